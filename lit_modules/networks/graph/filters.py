"""Filters g(λ) = -λ q(λ) of the Laplacian of the stars: each module is q, which acts on L h.

So g(0) = 0 whatever is learned, and every filter begins as the linear one, q = 1.
"""

import torch
from torch import Tensor, nn

from lit_modules.networks.graph.edges import Edges
from lit_modules.networks.graph.settings import NBodySettings
from lit_modules.networks.spectral.bspline import bspline_basis, clamped_knots
from lit_modules.networks.spectral.matrix_function import matrix_function


class LinearFilter(nn.Module):
    """q = 1: gravity's own filter."""

    def forward(self, signal: Tensor, weights: Tensor, edges: Edges) -> Tensor:
        """The signal (n, channels, batch) itself."""
        return signal


class PolynomialFilter(nn.Module):
    """q(λ) = Σ_k c_k (λ / stiff)^k: a layer reaches k hops.

    Args:
        number: of the c_k.
        stiff: unit of the eigenvalues.
    """

    def __init__(self, number: int, stiff: float) -> None:
        super().__init__()
        self.stiff = stiff
        self.coefficients = nn.Parameter(torch.eye(number)[0])

    def forward(self, signal: Tensor, weights: Tensor, edges: Edges) -> Tensor:
        """q(L) of a signal (n, channels, batch), with weights (pairs, batch)."""
        result = self.coefficients[0] * signal
        for coefficient in self.coefficients[1:]:
            signal = edges.laplacian(weights / self.stiff, signal)
            result = result + coefficient * signal
        return result


class SplineFilter(nn.Module):
    """q(λ) = Σ_k c_k B_k(s) with cubic B-splines in s = λ / (stiff + abs(λ)), domain [-1, 1].

    The domain is the whole line of λ, squeezed: learned weights may be negative, for charges attract
    and repel.

    Args:
        number: of splines.
        stiff: eigenvalue at s = 1/2.
    """

    knots: Tensor

    def __init__(self, number: int, stiff: float) -> None:
        super().__init__()
        self.stiff = stiff
        self.register_buffer("knots", clamped_knots(number, 3, -1.0, 1.0))
        self.coefficients = nn.Parameter(torch.ones(number))

    def response(self, eigenvalues: Tensor) -> Tensor:
        """q(λ), with a last dimension of 1."""
        squeezed = eigenvalues / (self.stiff + eigenvalues.abs())
        return bspline_basis(squeezed, self.knots, 3) @ self.coefficients.unsqueeze(-1)

    def forward(self, signal: Tensor, weights: Tensor, edges: Edges) -> Tensor:
        """q(L) of a signal (n, channels, batch), with weights (pairs, batch)."""
        q = matrix_function(edges.matrices(weights), self.response).squeeze(-3)
        if edges.root_mass is not None:
            signal = signal * edges.root_mass.unsqueeze(1)
        result = torch.einsum("bij,jcb->icb", q, signal)
        return result if edges.root_mass is None else result / edges.root_mass.unsqueeze(1)


def make_filter(settings: NBodySettings) -> nn.Module:
    """The filter of one of the layers, each of which advances time by 1 / layers.

    A polynomial counts λ in units of the squared frequency that such a step just resolves; a spline is
    finest where a kick just matters.
    """
    match settings.filter:
        case "linear":
            return LinearFilter()
        case "polynomial":
            return PolynomialFilter(settings.coefficients, stiff=settings.layers**2)
        case "spline":
            return SplineFilter(settings.coefficients, stiff=settings.layers)
