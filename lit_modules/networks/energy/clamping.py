"""Clamping: what is known of the distance or the age of a cluster, as energies added to those of a map.

Bayes' theorem: P(y|x, known) ∝ P(y|x) P(known|y), and -ln of the last factor is an energy.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Known(NamedTuple):
    """A measurement and its standard deviation, of a distance in kpc or of an age in Gyr."""

    mean: float
    sigma: float

    def energy(self, value: Tensor) -> Tensor:
        """-ln N(mean; value, σ²) of true values, (...), in nats."""
        return (value - self.mean).square() / (2 * self.sigma**2) + math.log(math.sqrt(2 * math.pi) * self.sigma)


def clamped(log_density: Tensor, energy: Tensor) -> Tensor:
    """The log density of y on a grid, (B, n, n), once energies (n, n) or (B, n, n) of what is known come on top.

    It is normalised anew: the mean of the density stays what it was.
    """
    joint = log_density - energy
    total = [torch.logsumexp(x, (-2, -1), keepdim=True) for x in (log_density, joint)]
    return joint + total[0] - total[1]
