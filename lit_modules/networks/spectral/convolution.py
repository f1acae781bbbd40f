r"""Spectral graph convolution ŵ * h = Φ ŵ(Λ) Φᵀ h, where L = Φ Λ Φᵀ, and the kernels that filters are made of."""

import torch
from torch import Tensor, nn

from lit_modules.networks.spectral.bspline import bspline_basis, clamped_knots
from lit_modules.networks.spectral.laplacian import graph_fourier, inverse_graph_fourier

DEGREE = 3  # of the splines: twice continuously differentiable


class SpectralConv(nn.Module):
    r"""The course's layer: spectral convolution with filters of K weights each.

    .. math:: Y_o = \sum_i \Phi\, \mathrm{diag}(B w_{io})\, \Phi^T H_i + b_o

    The K columns of B are kernels at the eigenvalues (Bruna et al. 2014, arXiv 1312.6203, sec. 5.2; Henaff et al. 2015,
    arXiv 1506.05163). A filter that is smooth in λ is local on the graph.

    Args:
        in_channels: features of a node going in.
        out_channels: features of a node coming out.
        n_kernels: K.
        power: mean of Σ_k B_k² over the spectrum. The weights are drawn such that the variance of a white signal is
            kept, whatever the kernels.
    """

    def __init__(self, in_channels: int, out_channels: int, n_kernels: int, power: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_kernels, in_channels, out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        bound = (3 / (in_channels * power)) ** 0.5
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, signal: Tensor, kernels: Tensor, basis: Tensor) -> Tensor:
        """Y of H.

        Args:
            signal: H, shape (..., n, in_channels).
            kernels: B, shape (n, K) for all graphs, or (..., n, K).
            basis: Φ, shape (n, n) for all graphs, or (..., n, n).

        Returns:
            Shape (..., n, out_channels).
        """
        filters = torch.einsum("...nk,kio->...nio", kernels, self.weight)
        spectrum = torch.einsum("...ni,...nio->...no", graph_fourier(signal, basis), filters)
        return inverse_graph_fourier(spectrum, basis) + self.bias


def frequency(eigenvalues: Tensor, highest: float | Tensor) -> Tensor:
    """θ in [0, π], where λ = highest · sin²(θ/2): on a ring, that of the wave which is the Fourier function.

    Eigenvalues beyond both ends count as the ends.
    """
    return (1 - 2 * eigenvalues / highest).clamp(-1, 1).acos()


def spline_kernels(points: Tensor, n_kernels: int, highest: float | Tensor) -> Tensor:
    r"""Clamped cubic B-splines on [0, highest] at points such as eigenvalues, shape (\*points.shape, K).

    Equal weights of them are a constant filter, a multiple of the identity.
    """
    knots = clamped_knots(n_kernels, DEGREE, 0.0, 1.0, points.device)
    return bspline_basis(points / highest, knots, DEGREE)


def chebyshev_kernels(eigenvalues: Tensor, n_kernels: int, highest: float | Tensor) -> Tensor:
    r"""Polynomials T_k(2 λ / highest - 1) at eigenvalues, shape (\*eigenvalues.shape, K).

    Those of Defferrard et al. (2016, arXiv 1606.09375) and of PyG's ChebConv. Beyond ``highest`` they keep their ends.
    """
    angle = (2 * eigenvalues / highest - 1).clamp(-1, 1).acos()
    return (angle.unsqueeze(-1) * torch.arange(n_kernels, device=angle.device)).cos()
