"""Mass functions of stars at birth: broken power laws."""

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BrokenPowerLaw:
    """Power laws dN/dm ~ m^-slope that meet at their limits.

    Attributes:
        limits: of the pieces, increasing, Msun.
        slopes: of the pieces, one less than limits.
    """

    limits: tuple[float, ...]
    slopes: tuple[float, ...]

    @cached_property
    def _edges(self) -> Array:
        return np.array(self.limits)

    @cached_property
    def _power(self) -> Array:
        return 1 - np.array(self.slopes)

    @cached_property
    def _height(self) -> Array:
        """Of each power law, so that the pieces meet and hold all stars."""
        height = np.cumprod([1.0, *(self._edges[1:-1] ** (self._power[:-1] - self._power[1:]))])
        return height / (height * self._area).sum()

    @cached_property
    def _area(self) -> Array:
        """Integral of m^-slope over each piece."""
        return (self._edges[1:] ** self._power - self._edges[:-1] ** self._power) / self._power

    @cached_property
    def _below(self) -> Array:
        """Fraction of the stars below each limit."""
        return np.array([0.0, *np.cumsum(self._height * self._area)[:-1], 1.0])

    def fraction(self, mass: ArrayLike) -> Array:
        """Fraction of the stars that are born lighter than ``mass`` (Msun)."""
        mass = np.clip(mass, self._edges[0], self._edges[-1])
        k = np.searchsorted(self._edges[1:-1], mass)
        power = self._power[k]
        return self._below[k] + self._height[k] * (mass**power - self._edges[k] ** power) / power

    def mass(self, fraction: Array) -> Array:
        """Mass (Msun) below which lies a ``fraction`` of the stars: the inverse of :meth:`fraction`."""
        lowest = self._edges[:-1] ** self._power
        mass = _inverse(fraction.ravel(), self._below, lowest, self._power, self._height)
        return mass.reshape(fraction.shape)


@numba.njit(cache=True)
def _inverse(fraction: Array, below: Array, lowest: Array, power: Array, height: Array) -> Array:
    mass = np.empty_like(fraction)
    for i in range(len(fraction)):
        k = 0
        while k < len(power) - 1 and fraction[i] >= below[k + 1]:
            k += 1
        mass[i] = (lowest[k] + (fraction[i] - below[k]) * power[k] / height[k]) ** (1 / power[k])
    return mass


KROUPA = BrokenPowerLaw((0.08, 0.5, 100.0), (1.3, 2.3))  # Kroupa (2001), eq. 2, without brown dwarfs
SALPETER = BrokenPowerLaw((0.1, 100.0), (2.35,))  # Salpeter (1955)
