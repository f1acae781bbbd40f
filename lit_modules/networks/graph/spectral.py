"""Spectral graph convolution, w * h = Φ ŵ(Λ) Φᵀ h, with smooth and with free filters."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lit_modules.networks.graph.bspline import bspline_basis, clamped_knots
from lit_modules.networks.graph.laplacian import fourier_basis, graph_fourier, inverse_graph_fourier


def matrix_function(matrix: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    r"""g(L) = Φ g(Λ) Φᵀ of symmetric matrices, with a gradient that stays finite at repeated eigenvalues.

    The derivative in the direction E is Φ (F ∘ (Φᵀ E Φ)) Φᵀ with the divided differences
    F_ij = (g(λ_i) - g(λ_j)) / (λ_i - λ_j) (Daleckii & Krein 1965; Higham 2008, Functions of Matrices,
    thm 3.11). Eigenvectors are never differentiated; where eigenvalues meet, F is g' by a central
    difference. Parameters inside ``function`` receive their gradient too.

    Args:
        matrix: symmetric, shape (..., n, n).
        function: elementwise, from any shape S to (\*S, k): k functions at once.

    Returns:
        Shape (..., k, n, n). It does not depend on sign or rotation of the eigenvectors.
    """
    with torch.no_grad():
        eigenvalues, basis = fourier_basis(matrix)
    filtered = torch.einsum("...ij,...jk,...lj->...kil", basis, function(eigenvalues), basis)
    if not matrix.requires_grad:
        return filtered
    with torch.no_grad():
        middle = (eigenvalues.unsqueeze(-1) + eigenvalues.unsqueeze(-2)) / 2
        gap = (eigenvalues.unsqueeze(-1) - eigenvalues.unsqueeze(-2)).abs() / 2
        smallest = torch.finfo(gap.dtype).eps ** (1 / 3) * eigenvalues.abs().amax(-1).clamp(min=1e-6)
        half = gap.maximum(smallest[..., None, None])
        slopes = (function(middle + half) - function(middle - half)) / (2 * half.unsqueeze(-1))
    change = basis.mT @ (matrix - matrix.detach()) @ basis  # zero, but it carries the gradient
    return filtered + torch.einsum("...ij,...jlk,...jl,...ml->...kim", basis, slopes, change, basis)


def distinct(eigenvalues: Tensor) -> Tensor:
    """Number of the distinct value that each ascending eigenvalue has, shape (n,): 0, 1, 1, 2, ..."""
    gaps = eigenvalues.diff() > 1e-9 * eigenvalues.abs().amax()
    return torch.cat([gaps.new_zeros(1), gaps]).cumsum(0)


def filter_on_basis(signal: Tensor, basis: Tensor, kernels: Tensor, weight: Tensor) -> Tensor:
    """Y_o = Σ_i Φ diag(B w_io) Φᵀ H_i on one fixed graph.

    Args:
        signal: H, shape (..., n, in).
        basis: Φ, shape (n, n).
        kernels: B, the K kernels at the eigenvalues, shape (n, K).
        weight: w, shape (K, in, out).

    Returns:
        Shape (..., n, out).
    """
    filters = torch.einsum("nk,kio->nio", kernels, weight)
    filtered = torch.einsum("...ni,nio->...no", graph_fourier(signal, basis), filters)
    return inverse_graph_fourier(filtered, basis)


class SplineSpectralConv(nn.Module):
    r"""The course's layer: spectral convolution with a smooth filter of K weights.

    .. math:: Y_o = \sum_i \Phi\, \mathrm{diag}(B w_{io})\, \Phi^T H_i + b_o

    where L = Φ Λ Φᵀ and B holds K clamped B-splines at the eigenvalues Λ (Bruna et al. 2014, arXiv
    1312.6203, sec. 5.2; Henaff et al. 2015, arXiv 1506.05163). Smooth in the spectrum means local on
    the graph. Equal weights are a constant filter, a multiple of the identity.

    Args:
        in_channels: features of a node going in.
        out_channels: features of a node coming out.
        n_splines: K.
        degree: of the splines.
        laplacian: of the one fixed graph, symmetric, shape (n, n). Its eigenbasis is computed once,
            here, and the splines reach from its smallest to its largest eigenvalue. None: ``forward``
            takes a graph per sample.
        domain: interval of the splines for a graph per sample; eigenvalues outside count as its ends.

    Raises:
        ValueError: the fixed graph has fewer distinct eigenvalues than there are splines, so that the
            weights would be undetermined.
    """

    basis: Tensor
    kernels: Tensor
    knots: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        n_splines: int,
        degree: int = 3,
        *,
        laplacian: Tensor | None = None,
        domain: tuple[float, float] = (0.0, 2.0),
    ) -> None:
        super().__init__()
        self.degree = degree
        if laplacian is not None:
            eigenvalues, basis = fourier_basis(laplacian.double())
            found = int(distinct(eigenvalues)[-1]) + 1
            if n_splines > found:
                raise ValueError(
                    f"{n_splines} splines, but the Laplacian of this graph has {found} distinct eigenvalues, so a "
                    f"filter on it has {found} degrees of freedom; take n_splines <= {found}"
                )
            domain = float(eigenvalues[0]), float(eigenvalues[-1])
            kernels = bspline_basis(eigenvalues, clamped_knots(n_splines, degree, *domain), degree)
            self.register_buffer("basis", basis.to(torch.get_default_dtype()))
            self.register_buffer("kernels", kernels.to(torch.get_default_dtype()))
        self.register_buffer("knots", clamped_knots(n_splines, degree, *domain))
        self.weight = nn.Parameter(torch.empty(n_splines, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        nn.init.uniform_(self.weight, -(self.weight.shape[1] ** -0.5), self.weight.shape[1] ** -0.5)
        nn.init.zeros_(self.bias)

    def forward(self, signal: Tensor, laplacian: Tensor | None = None) -> Tensor:
        """Filter a signal (..., n, in_channels) on the fixed graph, or on Laplacians (..., n, n) of its own."""
        if laplacian is None:
            return filter_on_basis(signal, self.basis, self.kernels, self.weight) + self.bias
        kernels = matrix_function(laplacian, lambda x: bspline_basis(x, self.knots, self.degree))
        return torch.einsum("...kmn,...ni,kio->...mo", kernels, signal, self.weight) + self.bias


class FreeSpectralConv(nn.Module):
    """The non-parametric filter on one fixed graph: a weight per distinct eigenvalue, O(n) of them, not localised.

    Equal eigenvalues share a weight; else the result would depend on how their eigenvectors are
    rotated (Bruna et al. 2014, eq. 3.2).

    Args:
        in_channels: features of a node going in.
        out_channels: features of a node coming out.
        laplacian: of the graph, symmetric, shape (n, n).
    """

    basis: Tensor
    kernels: Tensor

    def __init__(self, in_channels: int, out_channels: int, laplacian: Tensor) -> None:
        super().__init__()
        eigenvalues, basis = fourier_basis(laplacian.double())
        kernels = nn.functional.one_hot(distinct(eigenvalues))
        self.register_buffer("basis", basis.to(torch.get_default_dtype()))
        self.register_buffer("kernels", kernels.to(torch.get_default_dtype()))
        self.weight = nn.Parameter(torch.empty(kernels.shape[1], in_channels, out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.uniform_(self.weight, -(in_channels**-0.5), in_channels**-0.5)

    def forward(self, signal: Tensor) -> Tensor:
        """Filter a signal (..., n, in_channels)."""
        return filter_on_basis(signal, self.basis, self.kernels, self.weight) + self.bias
