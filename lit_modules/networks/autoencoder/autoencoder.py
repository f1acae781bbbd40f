"""Fully connected autoencoder with a linear and a non-linear path to a sparse code."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lit_modules.networks.autoencoder.settings import AutoencoderSettings


class Autoencoder(nn.Module):
    """side² - widths[0] - ... - widths[-1] and back: c = A x + f(x), s = top_k(c), x̂ = B s + g(s).

    A and B are linear; f and g are perceptrons through the hidden widths, whose last layers start at
    zero. x is the picture less the training set's mean, in units of its standard deviation. Before
    training, with the axes that :meth:`fit` finds, the network is the training set's principal
    component analysis.

    The code is that of the k-sparse autoencoder (Makhzani & Frey 2014, arXiv:1312.5663, algorithm 1),
    but for taking the k entries of largest magnitude where the paper takes the largest: a coefficient
    of a linear path has either sign.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, settings: AutoencoderSettings) -> None:
        super().__init__()
        side = settings.side
        sizes = [side**2, *settings.widths]
        self.active_units = settings.active_units
        self.encoder, self.decoder = _perceptron(sizes), _perceptron(sizes[::-1])
        self.linear_encoder = nn.Linear(sizes[0], sizes[-1], bias=False)
        self.linear_decoder = nn.Linear(sizes[-1], sizes[0], bias=False)
        nn.init.orthogonal_(self.linear_encoder.weight)
        self._tie()
        self.register_buffer("mean", torch.zeros(1, side, side))
        self.register_buffer("std", torch.ones(()))

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Take mean and standard deviation from the training pictures (n, 1, side, side), and their principal axes."""
        self.mean.copy_(images.mean(dim=0))
        centred = (images - self.mean).flatten(1)
        self.std.copy_(centred.std().clamp(min=1e-6))  # equal pictures have none
        axes = torch.linalg.svd(centred, full_matrices=False).Vh[: len(images) - 1]
        axes = axes[: self.linear_encoder.out_features]
        self.linear_encoder.weight[: len(axes)] = axes
        self._tie()

    @torch.no_grad()
    def _tie(self) -> None:
        self.linear_decoder.weight.copy_(self.linear_encoder.weight.T)

    def encode(self, images: Tensor) -> Tensor:
        """Pictures (n, 1, side, side) in [0, 1] to sparse codes (n, widths[-1])."""
        x = ((images - self.mean) / self.std).flatten(1)
        code = self.linear_encoder(x) + self.encoder(x)
        if self.active_units is None:
            return code
        kept = code.abs().topk(self.active_units, dim=1).indices
        return torch.zeros_like(code).scatter(1, kept, code.gather(1, kept))

    def decode(self, code: Tensor) -> Tensor:
        """Codes (n, widths[-1]) to pictures (n, 1, side, side)."""
        x = self.linear_decoder(code) + self.decoder(code)
        return x.unflatten(1, self.mean.shape) * self.std + self.mean

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions of pictures (n, 1, side, side)."""
        return self.decode(self.encode(images))


def _perceptron(sizes: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.SiLU()]
    last = layers[-2]
    nn.init.zeros_(last.weight)  # type: ignore[arg-type]
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers[:-1])
