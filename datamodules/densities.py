"""Densities on the plane that are known exactly: the usual toys, and the course's ellipse.

Sizes are those of FFJORD (Grathwohl et al. 2019) and of Canziani & LeCun's ellipse; all of them fit into a square of
half-width ``HALF_WIDTH``, and points are given in units of it, in [-1, 1]².
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

HALF_WIDTH = 5.0  # of the square, in the usual units
POINTS_AT_ONCE = 20_000


class Density(Protocol):
    """A density in [-1, 1]²."""

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Points, (n, 2)."""

    def log_density(self, points: Tensor) -> Tensor:
        """At points (n, 2) in double precision, (n,)."""


@dataclass(frozen=True)
class BlurredCurve:
    """Points of a curve with Gaussian noise.

    Attributes:
        curve: u uniform in [0, 1) -> points of the curve, (n,) -> (n, 2), in the usual units.
        sigma: of the noise, in the usual units.
        nodes: of u, at whose midpoints the density is summed.
    """

    curve: Callable[[Tensor], Tensor]
    sigma: float
    nodes: int = 256

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Points, (n, 2)."""
        centres = self.curve(torch.rand(n, generator=generator))
        return (centres + self.sigma * torch.randn(n, 2, generator=generator)) / HALF_WIDTH

    def log_density(self, points: Tensor) -> Tensor:
        """At points (n, 2), (n,)."""
        u = (torch.arange(self.nodes, dtype=torch.float64) + 0.5) / self.nodes
        centres, sigma = self.curve(u) / HALF_WIDTH, self.sigma / HALF_WIDTH
        parts = [
            torch.logsumexp((part[:, None] - centres).square().sum(-1) / (-2 * sigma**2), 1)
            for part in points.double().split(POINTS_AT_ONCE)
        ]
        return torch.cat(parts) - math.log(self.nodes * 2 * math.pi * sigma**2)


class Checkerboard:
    """The dark fields of a board of 4 x 4 fields of side 2."""

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Points, (n, 2)."""
        x = 4 * torch.rand(n, generator=generator) - 2
        below = 2 * torch.randint(2, (n,), generator=generator)
        y = torch.rand(n, generator=generator) - below + x.floor() % 2
        return 2 * torch.stack([x, y], 1) / HALF_WIDTH

    def log_density(self, points: Tensor) -> Tensor:
        """At points (n, 2), (n,)."""
        field = (points.double() * HALF_WIDTH / 2).floor()
        dark = (field.sum(1) % 2 == 0) & (field >= -2).all(1) & (field < 2).all(1)
        return torch.where(dark, 2 * math.log(HALF_WIDTH) - math.log(32), -math.inf)


def _at(angle: Tensor, x: Tensor | float = 1.0, y: Tensor | float = 1.0) -> Tensor:
    return torch.stack([x * angle.cos(), y * angle.sin()], -1)


def _eight(u: Tensor) -> Tensor:
    return 4 / 1.414 * _at((8 * u).floor() * math.pi / 4)


def _moons(u: Tensor) -> Tensor:
    upper, lower = 2 * _at(2 * math.pi * u), 2 * _at(2 * math.pi * u - math.pi)
    upper, lower = upper - upper.new_tensor([1.0, 0.2]), lower.new_tensor([1.0, 0.8]) - lower
    return torch.where((u < 0.5)[:, None], upper, lower)


def _circles(u: Tensor) -> Tensor:
    radius = torch.where(u < 0.5, 3.0, 1.5)
    return _at(4 * math.pi * u, radius, radius)


def _ellipse(u: Tensor) -> Tensor:
    return _at(2 * math.pi * u, *SEMI_AXES)


SEMI_AXES, NOISE = (2.0, 1.5), 20**-0.5  # of the ellipse
DENSITIES: dict[str, Density] = {
    "eight_gaussians": BlurredCurve(_eight, 0.5 / 1.414, nodes=8),
    "checkerboard": Checkerboard(),
    "moons": BlurredCurve(_moons, 0.2),
    "circles": BlurredCurve(_circles, 0.24),
    "ellipse": BlurredCurve(_ellipse, NOISE),
}
