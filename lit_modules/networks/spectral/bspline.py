"""Clamped B-splines: the smooth kernels of the spectral filter ŵ(Λ) = diag(B w)."""

import torch
from torch import Tensor


def clamped_knots(n_splines: int, degree: int, low: float, high: float, device: torch.device | None = None) -> Tensor:
    """Knots for ``n_splines`` splines on [low, high]: uniform inside, both ends ``degree + 1``-fold.

    Raises:
        ValueError: there are fewer splines than a polynomial of that degree needs, or no interval.
    """
    if n_splines <= degree:
        raise ValueError(f"{n_splines} splines of degree {degree}: at least {degree + 1} are needed")
    if not low < high:
        raise ValueError(f"the splines need an interval; [{low:g}, {high:g}] is none")
    inner = torch.linspace(low, high, n_splines - degree + 1, dtype=torch.float64, device=device)
    return torch.cat([inner[:1].expand(degree), inner, inner[-1:].expand(degree)])


def bspline_basis(points: Tensor, knots: Tensor, degree: int) -> Tensor:
    r"""Values of all B-splines by the recursion of Cox and de Boor.

    B_k,0(x) = 1 on [t_k, t_k+1), else 0;
    B_k,p(x) = (x - t_k) / (t_k+p - t_k) B_k,p-1(x) + (t_k+p+1 - x) / (t_k+p+1 - t_k+1) B_k+1,p-1(x),
    with 0/0 = 0 (de Boor 1978, A Practical Guide to Splines, ch. X). The last interval is closed, so
    that the values sum to one on all of [low, high], both ends included. Outside, a point counts as
    the nearest end.

    Args:
        points: any shape.
        knots: of :func:`clamped_knots`.
        degree: of the polynomials; 3 is twice continuously differentiable.

    Returns:
        Values of shape (\*points.shape, n_splines), differentiable in ``points``.
    """
    knots = knots.to(points)
    x = points.clamp(knots[0], knots[-1]).unsqueeze(-1)
    first, last = degree, len(knots) - degree - 2  # the intervals that are not empty
    interval = (torch.searchsorted(knots, x.detach(), right=True) - 1).clamp(first, last)
    values = (interval == torch.arange(len(knots) - 1, device=x.device)).to(x.dtype)
    for p in range(1, degree + 1):
        width = knots[p:] - knots[:-p]
        inverse = torch.where(width > 0, 1 / width, 0.0)
        rise = (x - knots[: -p - 1]) * inverse[:-1]
        fall = (knots[p + 1 :] - x) * inverse[1:]
        values = rise * values[..., :-1] + fall * values[..., 1:]
    return values
