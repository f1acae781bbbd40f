"""Matrices of a graph and its Fourier transform, for dense batches of graphs.

An adjacency matrix A has the shape (..., n, n); everything here works on any number of leading
dimensions.
"""

import torch
from torch import Tensor


def degree(adjacency: Tensor) -> Tensor:
    """Degrees d_i = sum_j a_ij, shape (..., n)."""
    return adjacency.sum(-1)


def laplacian(adjacency: Tensor) -> Tensor:
    """The Laplacian L = D - A, shape (..., n, n). It annihilates constants."""
    return torch.diag_embed(degree(adjacency)) - adjacency


def normalized_laplacian(adjacency: Tensor) -> Tensor:
    """The symmetric normalised Laplacian I - D^(-1/2) A D^(-1/2), shape (..., n, n).

    Its eigenvalues lie in [0, 2] if no weight is negative. The row of a node without edges is zero
    (Chung 1997, Spectral Graph Theory, eq. 1.2), so that 0 counts the connected parts.

    Args:
        adjacency: symmetric weights >= 0, shape (..., n, n).
    """
    degrees = degree(adjacency)
    connected = degrees > 0
    root = torch.where(connected, degrees, 1.0).rsqrt() * connected
    return torch.diag_embed(connected.to(adjacency.dtype)) - root.unsqueeze(-1) * adjacency * root.unsqueeze(-2)


def fourier_basis(laplacian: Tensor) -> tuple[Tensor, Tensor]:
    """Frequencies Λ (..., n), ascending, and Fourier functions Φ (..., n, n) in columns: L = Φ Λ Φᵀ."""
    eigenvalues, eigenvectors = torch.linalg.eigh(laplacian)
    return eigenvalues, eigenvectors


def graph_fourier(signal: Tensor, basis: Tensor) -> Tensor:
    """F(h) = Φᵀ h of a signal (..., n, channels)."""
    return (signal.mT @ basis).mT  # this way round, one basis for a batch is one matrix product


def inverse_graph_fourier(spectrum: Tensor, basis: Tensor) -> Tensor:
    """F⁻¹(ĥ) = Φ ĥ of a spectrum (..., n, channels)."""
    return (spectrum.mT @ basis.mT).mT
