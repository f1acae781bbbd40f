"""The restricted Boltzmann machine with convolutional hidden units beside the dense ones (Lee et al. 2009)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine

WIDTH = 3  # pixels of a filter's side: a star covers no more
RARE = 0.1  # chance that a filter's hidden unit is on, at first


class ConvolutionalBoltzmannMachine(RestrictedBoltzmannMachine):
    """A restricted machine with filters beside the dense hidden units.

    Each filter has a hidden unit at every pixel, all with the same weights: they see the grey of the pixels next to
    them, wherever these are. What is alike everywhere, such as the shape of a star, is then learned from all places at
    once, and the dense units are left with the whole. How often a filter is on differs from place to place.

    h = (dense units, those of one filter after another); all else is that of the restricted machine.

    Args:
        n_visible: pixels of a square picture.
        n_dense: hidden units that see all pixels.
        levels: L, bits of a pixel.
        n_filters: filters.
    """

    def __init__(self, n_visible: int, n_dense: int, levels: int, n_filters: int) -> None:
        super().__init__(n_visible, n_dense, levels)
        self.n_dense, self.size, n_local = n_dense, round(n_visible**0.5), n_filters * n_visible
        self.n_hidden = n_dense + n_local
        self.filters = nn.Parameter(0.5 + 0.3 * torch.randn(n_filters, 1, WIDTH, WIDTH))
        self.hidden_bias = nn.Parameter(
            torch.cat([torch.zeros(n_dense), torch.full((n_local,), math.log(RARE / (1 - RARE)))])
        )
        self.hidden_offset = torch.cat([self.hidden_offset, torch.full((n_local,), RARE)])

    def to_hidden(self, centred: Tensor) -> Tensor:
        grey = self.grey(centred).reshape(-1, 1, self.size, self.size)
        local = F.conv2d(grey, self.filters, padding=WIDTH // 2)
        return torch.cat([super().to_hidden(centred), local.view(*centred.shape[:-1], -1)], -1)

    def to_visible(self, centred: Tensor) -> Tensor:
        dense, local = centred.split([self.n_dense, self.n_hidden - self.n_dense], -1)
        maps = local.reshape(-1, len(self.filters), self.size, self.size)
        grey = F.conv_transpose2d(maps, self.filters, padding=WIDTH // 2).view(*centred.shape[:-1], -1)
        return super().to_visible(dense) + torch.cat([grey / self.levels] * self.levels, -1)
