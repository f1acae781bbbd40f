"""Functions of symmetric matrices, g(L) = Φ g(Λ) Φᵀ, with a gradient that stays finite at repeated eigenvalues."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lit_modules.networks.spectral.laplacian import fourier_basis


def matrix_function(matrix: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    r"""g(L) = Φ g(Λ) Φᵀ of symmetric matrices; parameters inside ``function`` receive their gradient too.

    Args:
        matrix: symmetric, shape (..., n, n).
        function: elementwise, from any shape S to (\*S, k): k functions at once.

    Returns:
        Shape (..., k, n, n). It does not depend on sign or rotation of the eigenvectors.

    Raises:
        RuntimeError: its gradient is differentiated once more.
    """
    with torch.no_grad():
        eigenvalues, basis = fourier_basis(matrix)
    result: Tensor = _Filtered.apply(matrix, function(eigenvalues).mT, eigenvalues, basis, function)
    return result


class _Filtered(torch.autograd.Function):
    """Φ diag(g) Φᵀ with the derivative of Daleckii and Krein, which knows no derivative of eigenvectors.

    In the direction E it is Φ (F ∘ (Φᵀ E Φ)) Φᵀ with the divided differences F_ij = (g(λ_i) - g(λ_j)) / (λ_i - λ_j)
    (Higham 2008, Functions of Matrices, thm 3.11). Where eigenvalues meet, F is g' by a central difference.
    """

    @staticmethod
    def forward(
        ctx: Any,
        matrix: Tensor,
        values: Tensor,
        eigenvalues: Tensor,
        basis: Tensor,
        function: Callable[[Tensor], Tensor],
    ) -> Tensor:
        ctx.save_for_backward(eigenvalues, basis)
        ctx.function = function
        basis = basis.unsqueeze(-3)
        return basis * values.unsqueeze(-2) @ basis.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        eigenvalues, basis = ctx.saved_tensors
        spectral = basis.unsqueeze(-3).mT @ gradient @ basis.unsqueeze(-3)
        of_values = spectral.diagonal(dim1=-2, dim2=-1)
        if not ctx.needs_input_grad[0]:
            return None, of_values, None, None, None
        change = (divided_differences(ctx.function, eigenvalues) * spectral).sum(-3)
        return basis @ change @ basis.mT, of_values, None, None, None


def divided_differences(function: Callable[[Tensor], Tensor], eigenvalues: Tensor) -> Tensor:
    """F of k functions at eigenvalues (..., n), shape (..., k, n, n)."""
    middle = (eigenvalues.unsqueeze(-1) + eigenvalues.unsqueeze(-2)) / 2
    gap = (eigenvalues.unsqueeze(-1) - eigenvalues.unsqueeze(-2)).abs() / 2
    smallest = torch.finfo(gap.dtype).eps ** (1 / 3) * eigenvalues.abs().amax(-1).clamp(min=1e-6)
    half = gap.maximum(smallest[..., None, None])
    slopes = (function(middle + half) - function(middle - half)) / (2 * half.unsqueeze(-1))
    return slopes.movedim(-1, -3)
