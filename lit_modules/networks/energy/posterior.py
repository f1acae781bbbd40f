"""What a density on a grid says: marginals, quantiles, and credible regions of highest density."""

import torch
from torch import Tensor


def marginals(probability: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities of the two coordinates, each (B, n), from those of the cells of a grid (B, n, n)."""
    return probability.sum(2), probability.sum(1)


def quantiles(marginal: Tensor, levels: list[float]) -> Tensor:
    """Quantiles in [-1, 1] of densities that are constant in each of n equal cells, (B, n) -> (B, levels)."""
    cdf = torch.cat([marginal.new_zeros(len(marginal), 1), marginal.cumsum(1)], 1)
    wanted = marginal.new_tensor(levels).expand(len(marginal), -1) * cdf[:, -1:]
    upper = torch.searchsorted(cdf, wanted.contiguous()).clamp(1, marginal.shape[1])
    low, high = cdf.gather(1, upper - 1), cdf.gather(1, upper)
    return (upper - 1 + (wanted - low) / (high - low)) * (2 / marginal.shape[1]) - 1


def region_around(probability: Tensor, log_density: Tensor, at: Tensor) -> Tensor:
    """Content of the smallest credible region that reaches the given points.

    For a calibrated posterior the contents of regions that reach the truth are uniform in [0, 1].

    Args:
        probability: of the cells of a grid, (B, n, n).
        log_density: at the cells, (B, n, n).
        at: log density at a point of each, (B,).
    """
    return probability.where(log_density > at[:, None, None], 0).sum((1, 2))


def region_level(probability: Tensor, content: float) -> Tensor:
    """Cell probability at the edge of the smallest region of the given content, (B, n, n) -> (B,)."""
    ordered = probability.flatten(1).sort(1, descending=True).values
    edge = (ordered.cumsum(1) < content).sum(1, keepdim=True).clamp(max=ordered.shape[1] - 1)
    return ordered.gather(1, edge)[:, 0]
