"""Fully connected autoencoder with a linear and a non-linear path to its code."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_modules.networks.autoencoder.code import penalty, sparse
from lit_modules.networks.autoencoder.settings import AutoencoderSettings

NOISE = 1e-6  # of the largest eigenvalue: below it axes are those of rounding


class Autoencoder(nn.Module):
    """side² - widths[0] - ... - widths[-1] and back: c = A x + f(x), s = sparse(c), x̂ = B s + g(s).

    A and B are linear; f and g are perceptrons through the hidden widths. x is the picture less the mean of
    the pictures that :meth:`fit` saw, in units of their standard deviation. As fitted, f and g are zero, the rows of
    A and columns of B principal axes: with a dense code the untrained network is the principal component analysis of
    those pictures, its covariance localised or not, with as many components as the code has entries. Rows of A beyond
    the pictures' rank are orthogonal to their axes, and columns of B zero; with tied matrices, where they cannot be,
    other pictures are redrawn better.
    """

    mean: Tensor
    std: Tensor
    linear_decoder: "nn.Linear | Transposed"

    def __init__(self, settings: AutoencoderSettings) -> None:
        super().__init__()
        self.settings, side = settings, settings.side
        sizes = [side**2, *settings.widths]
        self.encoder = _perceptron(sizes)
        self.linear_encoder = nn.Linear(sizes[0], sizes[-1], bias=False)
        nn.init.orthogonal_(self.linear_encoder.weight)
        if settings.tied:
            self.decoder, self.linear_decoder = _transposed(self.encoder), Transposed(self.linear_encoder)
        else:
            self.decoder, self.linear_decoder = _perceptron(sizes[::-1]), nn.Linear(sizes[-1], sizes[0], bias=False)
        self.register_buffer("mean", torch.zeros(1, side, side))
        self.register_buffer("std", torch.ones(()))

    @torch.no_grad()
    def fit(self, images: Tensor, *, localised: bool = False) -> None:
        """Take mean, standard deviation and principal axes from pictures (n, 1, side, side).

        Args:
            images: the pictures.
            localised: whether the covariance of two pixels falls with their distance, see :func:`locality`.
        """
        self.mean.copy_(images.mean(dim=0))
        centred = (images - self.mean).flatten(1)
        self.std.copy_(centred.std().clamp(min=1e-6))  # equal pictures have none
        variances, axes = self._components(centred, localised)
        self._start_from(axes[variances > NOISE * variances[0]][: self.settings.widths[-1]])

    def _components(self, centred: Tensor, localised: bool) -> tuple[Tensor, Tensor]:
        """Variances, the largest first, and principal axes (k, side²) of pictures (n, side²) without their mean."""
        if not localised and len(centred) < centred.shape[1]:  # large pictures have no room for their covariance
            _, deviations, axes = torch.linalg.svd(centred, full_matrices=False)
            return deviations.square(), axes
        covariance = centred.T @ centred
        if localised:
            covariance *= locality(self.settings.side).to(covariance)
        variances, axes = torch.linalg.eigh(covariance)
        return variances.flip(0), axes.T.flip(0)

    def _start_from(self, axes: Tensor) -> None:
        known, unknown = self.linear_encoder.weight.split([len(axes), self.settings.widths[-1] - len(axes)])
        known.copy_(axes)
        unknown -= unknown @ axes.T @ axes
        if isinstance(self.linear_decoder, nn.Linear):
            self.linear_decoder.weight.zero_()
            self.linear_decoder.weight[:, : len(axes)] = axes.T

    def coefficients(self, images: Tensor) -> Tensor:
        """The c (n, widths[-1]) of pictures (n, 1, side, side) in [0, 1]."""
        x = ((images - self.mean) / self.std).flatten(1)
        return self.linear_encoder(x) + self.encoder(x)

    def encode(self, images: Tensor) -> Tensor:
        """Pictures (n, 1, side, side) in [0, 1] to codes s (n, widths[-1])."""
        return sparse(self.coefficients(images), self.settings)

    def decode(self, code: Tensor) -> Tensor:
        """Codes (n, widths[-1]) to pictures (n, 1, side, side)."""
        x = self.linear_decoder(code) + self.decoder(code)
        return x.unflatten(1, self.mean.shape) * self.std + self.mean

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions of pictures (n, 1, side, side)."""
        return self.decode(self.encode(images))

    def penalty(self, coefficients: Tensor) -> Tensor:
        """λ times what a sparse code adds to ½|x - x̂|², in the units of the mean square error of a pixel, a scalar."""
        weight = 2 * self.settings.sparsity * self.std.square() / self.settings.side**2
        return weight * penalty(coefficients, self.settings)


def locality(side: int) -> Tensor:
    """cos²(π Δx / 2 side) cos²(π Δy / 2 side) of each two pixels, (side², side²).

    Few pictures correlate distant pixels by chance; a factor that falls with the distance takes that away, as in
    ensemble Kalman filters (Houtekamer & Mitchell 2001, Monthly Weather Review 129, 123).
    """
    angle = torch.pi / 2 * torch.arange(side) / side
    along = torch.cos(angle[:, None] - angle).square()
    return torch.kron(along, along)


class Transposed(nn.Module):
    """The matrix of another layer, transposed, and a bias of its own if that has one."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.bias = None if layer.bias is None else nn.Parameter(torch.zeros(layer.in_features))

    def forward(self, x: Tensor) -> Tensor:
        """(n, out_features of the other layer) to (n, its in_features)."""
        return F.linear(x, self.layer.weight.T, self.bias)


def _perceptron(sizes: Sequence[int]) -> nn.Sequential:
    """Layers of ``sizes``, of which the last is zero."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.SiLU()]
    last = layers[-2]
    nn.init.zeros_(last.weight)  # type: ignore[arg-type]
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers[:-1])


def _transposed(perceptron: nn.Sequential) -> nn.Sequential:
    """Its layers in reverse order; the first is zero, and so is all that comes of it."""
    return nn.Sequential(*(Transposed(layer) if isinstance(layer, nn.Linear) else layer for layer in perceptron[::-1]))
