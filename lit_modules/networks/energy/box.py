"""The box of admissible y: the prior of a chain, and the grid of an exact integral."""

import torch
from torch import Tensor


def unit_grid(nodes: int, dimensions: int = 2) -> Tensor:
    """Midpoints of equal cells that fill [-1, 1]^dimensions.

    For a density that is smooth on the scale of a cell the midpoint sum is exact but for its
    boundary terms. The last dimension runs fastest.

    Returns:
        Shape (nodes ** dimensions, dimensions).
    """
    axis = (torch.arange(nodes) + 0.5) * (2 / nodes) - 1
    return torch.cartesian_prod(*[axis] * dimensions).reshape(-1, dimensions)


def cell_volume(nodes: int, dimensions: int = 2) -> float:
    """Volume of a cell of ``unit_grid``."""
    return (2 / nodes) ** dimensions


def inside(points: Tensor) -> Tensor:
    """Whether each point, shape (..., d), lies in [-1, 1]^d."""
    return (points.abs() <= 1).all(-1)
