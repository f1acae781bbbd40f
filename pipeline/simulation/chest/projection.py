"""Parallel X-rays through tubes and ellipsoids: where the pixels lie, and path lengths behind them, cm.

Large organs are convex, so a ray crosses each in one chord with a closed form; bones, vessels and airways are tubes
whose walls are sampled and dropped on the pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FIELD = 36.0  # cm, the side of the detector


@dataclass(frozen=True)
class View:
    """Where the detector's pixels lie in the patient's coordinates."""

    size: int
    angle: float
    centre: tuple[float, float]
    magnification: float
    # Of the patient about the upright axis, radians: what lies in front moves to the left of the patient, and organs
    # keep their shapes, for the turn is small
    turn: float

    @property
    def pixel(self) -> float:
        """Side of a pixel, cm."""
        return FIELD / self.size / self.magnification

    def grid(self) -> tuple[Array, Array]:
        """Centres of the pixels, x and y, each (size, size)."""
        v, u = (np.indices((self.size, self.size)) + 0.5 - self.size / 2) * self.pixel
        c, s = np.cos(self.angle), np.sin(self.angle)
        return c * u - s * v + self.centre[0], s * u + c * v + self.centre[1]

    def deposit(self, points: Array, mass: Array | float) -> Array:
        """Drop masses at (..., 3) points on the pixels they project to; column density, mass/cm²."""
        x, y = points[..., 0] + self.turn * points[..., 2] - self.centre[0], points[..., 1] - self.centre[1]
        c, s = np.cos(self.angle), np.sin(self.angle)
        column = np.floor((c * x + s * y) / self.pixel + self.size / 2).astype(int)
        row = np.floor((c * y - s * x) / self.pixel + self.size / 2).astype(int)
        inside = (column >= 0) & (column < self.size) & (row >= 0) & (row < self.size)
        mass = np.broadcast_to(mass, inside.shape)[inside]
        flat = np.bincount(row[inside] * self.size + column[inside], weights=mass, minlength=self.size**2)
        return flat.reshape(self.size, self.size) / self.pixel**2


def tube(view: View, path: Array, radius: Array | float, wall: float = 1.0) -> Array:
    """Path length of the rays inside a tube, cm: its circular rings are sampled and deposited.

    Args:
        view: the detector.
        path: (points, 3) axis of the tube.
        radius: of the tube, a number or one a point.
        wall: its thickness over the radius; 1 is a solid rod, less a bone with bright edges.
    """
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    spacing = min(0.8 * view.pixel, np.max(radius) / 3)
    at = np.linspace(0, s[-1], max(int(s[-1] / spacing), 2))
    axis = np.stack([np.interp(at, s, path[:, k]) for k in range(3)], axis=-1)
    radii = np.interp(at, s, np.broadcast_to(radius, s.shape))
    tangent = np.gradient(axis, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    first = np.cross(tangent, [0.3, 0.2, 0.93])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(tangent, first)
    # The golden angle turns each ring against the last: the samples never line up in stripes.
    corners = int(2 * np.pi * radii.max() / view.pixel) + 8
    phi = np.arange(corners) * 2 * np.pi / corners + 2.39996 * np.arange(len(at))[:, None]
    inner, rings = (1 - wall) ** 2, int(wall * radii.max() / view.pixel) + 2
    fractions = np.sqrt(inner + (1 - inner) * (np.arange(rings) + 0.5) / rings)  # rings of equal area
    ring = first[:, None] * np.cos(phi)[..., None] + second[:, None] * np.sin(phi)[..., None]
    points = axis[:, None, None] + radii[:, None, None, None] * fractions[:, None, None] * ring[:, None]
    volume = np.pi * radii**2 * (1 - inner) * (s[-1] / len(at)) / (corners * rings)
    return view.deposit(points, volume[:, None, None])


def ellipsoid(x: Array, y: Array, centre: Sequence[float], axes: Sequence[float], tilt: float = 0.0) -> Array:
    """Chord of a ray along z through an ellipsoid: 2 c √(1 - (x/a)² - (y/b)²)."""
    dx, dy = x - centre[0], y - centre[1]
    c, s = np.cos(tilt), np.sin(tilt)
    u, v = (c * dx + s * dy) / axes[0], (c * dy - s * dx) / axes[1]
    return 2 * axes[2] * np.sqrt(np.clip(1 - u**2 - v**2, 0, None))


def step(distance: Array, softness: float) -> Array:
    """A soft step from 0 to 1 at zero distance."""
    return 1 / (1 + np.exp(-np.clip(distance / softness, -40, 40)))
