"""Clamping: what is known of the distance or the age of a cluster, as energies added to those of a map.

Bayes' theorem: P(y|x, known) ∝ P(y|x) P(known|y), and -ln of the last factor is an energy.
"""

import math
from typing import NamedTuple

from torch import Tensor


class Known(NamedTuple):
    """A measurement and its standard deviation, of a distance in kpc or of an age in Gyr."""

    mean: float
    sigma: float

    def energy(self, value: Tensor) -> Tensor:
        """-ln N(mean; value, σ²) of true values, (...), in nats."""
        return (value - self.mean).square() / (2 * self.sigma**2) + math.log(math.sqrt(2 * math.pi) * self.sigma)
