"""A network of spectral convolutions: a number for each node of a graph."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from lit_modules.networks.spectral.convolution import SpectralConv, chebyshev_kernels, frequency, spline_kernels
from lit_modules.networks.spectral.settings import SpectralSettings

CHANNELS = 3  # of the signal of a star: magnitude, colour, spacing


class SpectralNetwork(nn.Module):
    r"""H ← silu(Φ diag(B w) Φᵀ H + b), layer upon layer, and a linear read-out of each node.

    The knots of ``spline`` are even in the frequency θ of waves, λ = highest · sin²(θ/2), of which Chebyshev's
    polynomials are cosines. So its splines are narrow in λ at both ends of the spectrum, the lower of which tells most,
    for there the Fourier functions are smoothest; at λ = 0 they are even sharp, as θ ~ √λ, so that a filter may treat
    the mean of the whole field by itself. Those of ``plain_spline``, the course's, are even in λ. Such filters fit
    graphs of any size; free ones have a weight for each place among the ascending eigenvalues, so they fit graphs of K
    nodes, with no eigenvalue twice.

    Args:
        settings: which filters, how many layers and channels.

    Buffers:
        mean, scale: of the channels of the signal, by which they are standardised.
        highest: eigenvalue to which splines and polynomials reach.
    """

    mean: Tensor
    scale: Tensor
    highest: Tensor

    def __init__(self, settings: SpectralSettings) -> None:
        super().__init__()
        self.filter, self.n_kernels = settings.filter, settings.coefficients
        widths = [CHANNELS] + [settings.hidden] * settings.layers
        self.register_buffer("mean", torch.zeros(CHANNELS))
        self.register_buffer("scale", torch.ones(CHANNELS))
        self.register_buffer("highest", torch.tensor(2.0))
        power = float(self.kernels(torch.linspace(0, 2, 1000)).square().sum(-1).mean())
        self.layers = nn.ModuleList(
            [SpectralConv(n_in, n_out, self.n_kernels, power) for n_in, n_out in pairwise(widths)]
        )
        self.read_out = nn.Linear(settings.hidden, 1)

    def forward(self, signal: Tensor, eigenvalues: Tensor, basis: Tensor) -> Tensor:
        """Logits (B, n) of signals (B, n, channels) on graphs with eigenvalues (B, n) and eigenvectors (B, n, n)."""
        kernels = self.kernels(eigenvalues)
        hidden = (signal - self.mean) / self.scale
        for layer in self.layers:
            hidden = silu(layer(hidden, kernels, basis))
        return self.read_out(hidden).squeeze(-1)

    def kernels(self, eigenvalues: Tensor) -> Tensor:
        """B, shape (..., n, K), of eigenvalues (..., n)."""
        match self.filter:
            case "spline":
                return spline_kernels(frequency(eigenvalues, self.highest), self.n_kernels, math.pi)
            case "plain_spline":
                return spline_kernels(eigenvalues, self.n_kernels, self.highest)
            case "chebyshev":
                return chebyshev_kernels(eigenvalues, self.n_kernels, self.highest)
            case "free":
                return torch.eye(self.n_kernels, dtype=eigenvalues.dtype, device=eigenvalues.device)

    def responses(self, eigenvalues: Tensor) -> list[Tensor]:
        """The filters ŵ(λ) = B w of each layer, shape (..., n, in, out)."""
        kernels = self.kernels(eigenvalues)
        return [torch.einsum("...nk,kio->...nio", kernels, layer.weight) for layer in self.layers]
