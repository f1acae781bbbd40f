"""What the networks of π-DOC say of a number: a Gaussian."""

from typing import NamedTuple

import torch
from torch import Tensor


class Estimate(NamedTuple):
    """Independent Gaussians of some targets, each (B, targets)."""

    mean: Tensor
    sigma: Tensor

    def first(self, rows: int) -> "Estimate":
        """Those of the first rows."""
        return Estimate(self.mean[:rows], self.sigma[:rows])


def gaussians(outputs: Tensor, targets: int) -> Estimate:
    """Means and, if there are more outputs (B, 2 targets), logarithms of variances as Gaussians in float32."""
    mean, log_variance = outputs[:, :targets].float(), outputs[:, targets:].float().clamp(-12.0, 6.0)
    return Estimate(mean, torch.exp(0.5 * log_variance) if log_variance.shape[1] else torch.ones_like(mean))
