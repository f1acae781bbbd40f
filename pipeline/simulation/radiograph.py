"""Chest phantoms: X-ray line integrals through a simple random anatomy, seen from the front.

Beer and Lambert's law gives the intensity behind the body, I = I0 exp(-∫ μ dz), for parallel rays
along z. Large organs are convex, so a ray crosses each in one chord with a closed form; bones, vessels
and airways are tubes whose walls are sampled and dropped on the pixels. Lengths are in cm, x points
to the patient's left (the right of the picture), y down, z to the front. The anatomy looks plausible
to a layman; it is a phantom and carries no medical knowledge beyond that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]

FIELD = 36.0  # cm, the side of the detector
# Linear attenuation between 50 and 60 keV, 1/cm (NIST's tables: Hubbell & Seltzer 1995): soft tissue, lung
# of a quarter of its density, and what cortical bone adds to tissue.
TISSUE, LUNG, BONE = 0.22, 0.055, 0.50


@dataclass(frozen=True)
class Chest:
    """Sizes and places of one person's organs, cm; see :func:`random_chest`."""

    width: float  # half-width of the rib cage at its base
    depth: float  # half-depth of the rib cage
    apex: float  # y of the top of the lungs
    base: float  # y of the lowest lung
    wall: float  # muscle and fat outside the ribs
    domes: tuple[float, float]  # y of the right and left dome of the diaphragm
    heart: tuple[float, float, float, float]  # x, y, half-width, half-height
    rib_drop: float  # how far a rib sinks from the back to the front
    arm_angle: float  # from hanging, radians
    gas: float  # radius of the gas bubble in the stomach; 0: none

    def cage_width(self, y: Array | float) -> Array:
        """Half-width of the lungs' container at height y: an egg with its point up."""
        t = np.clip((np.asarray(y) - self.apex) / (self.base - self.apex), 0, 1)
        return self.width * (1 - (1 - t) ** 2.4) ** 0.55


def random_chest(rng: np.random.Generator) -> Chest:
    """Draw a person."""
    size = rng.normal(1.0, 0.06)
    base = size * rng.normal(14.0, 1.3)
    right = base - rng.normal(5.0, 0.8)
    width = size * rng.normal(13.4, 0.9)
    heart_width = width * rng.normal(0.41, 0.04)
    return Chest(
        width=width,
        depth=size * rng.normal(8.8, 0.6),
        apex=size * rng.normal(-14.5, 0.8),
        base=base,
        wall=rng.uniform(1.2, 3.2),
        domes=(right, right + rng.normal(1.3, 0.5)),
        heart=(
            width * rng.normal(0.16, 0.02),
            right - rng.normal(1.8, 0.5),
            heart_width,
            heart_width * rng.normal(1.3, 0.08),
        ),
        rib_drop=rng.normal(10.5, 1.0),
        arm_angle=rng.uniform(0.15, 0.6),
        gas=rng.uniform(1.0, 2.6) * (rng.random() < 0.6),
    )


@dataclass(frozen=True)
class View:
    """Where the detector's pixels lie in the patient's coordinates."""

    size: int
    angle: float
    centre: tuple[float, float]
    magnification: float

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
        x, y = points[..., 0] - self.centre[0], points[..., 1] - self.centre[1]
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
    step = view.pixel / 2
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0, s[-1], max(int(s[-1] / step), 2))
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


def body(chest: Chest, x: Array, y: Array) -> Array:
    """Thickness of the trunk with neck, shoulders and arms, cm."""
    shoulder = chest.apex + 2.5
    width = chest.width + chest.wall
    trunk_width = width * (1 - 0.004 * (y - chest.base))
    half = (chest.depth + 0.8 * chest.wall) * step(y - shoulder + 1.5, 1.2)
    trunk = 2 * half * np.clip(1 - np.abs(x / trunk_width) ** 2.6, 0, None) ** 0.45
    neck = 2 * 5.5 * np.sqrt(np.clip(1 - (x / 5.5) ** 2, 0, None)) * step(shoulder + 4 - y, 0.8)
    slope = ellipsoid(x, y, (0, shoulder + 3.2), (width + 7.5, 6.0, 7.0))
    parts = [trunk, neck, slope]
    for side in (-1, 1):
        dx, dy = side * x - width - 1.0, y - shoulder - 3.0
        reach = np.clip(dx * np.sin(chest.arm_angle) + dy * np.cos(chest.arm_angle), 0, None)
        across = np.hypot(dx - reach * np.sin(chest.arm_angle), dy - reach * np.cos(chest.arm_angle))
        parts.append(2 * np.sqrt(np.clip((5.2 - 0.03 * reach) ** 2 - across**2, 0, None)))
    return np.max(parts, axis=0)


def lungs(chest: Chest, x: Array, y: Array) -> Array:
    """Path length through air-filled lung, cm: the cage less mediastinum, heart and diaphragm."""
    width = np.maximum(chest.cage_width(y), 1e-3)
    depth = chest.depth * np.sqrt(width / chest.width)
    cage = 2 * depth * np.sqrt(np.clip(1 - (x / width) ** 2, 0, None)) * (y > chest.apex)
    hx, hy, a, b = chest.heart
    heart = ellipsoid(x, y, (hx, hy), (a, b, 0.68 * chest.depth), tilt=-0.7)
    aorta = ellipsoid(x, y, (1.6, chest.apex + 9.0), (2.4, 2.6, 3.0))
    dome = np.zeros_like(x)
    for side, top in zip((-1, 1), chest.domes, strict=True):
        fall = (np.abs(x) / chest.width - 0.5) ** 2 * (9.0 if side < 0 else 10.0)
        below = 2 * chest.depth * 0.75 * np.sqrt(np.clip(y - top - fall, 0, None) / 2.2)
        dome = np.where(side * x > 0, below, dome)
    upper = np.clip((y - chest.apex) / 8.0, 0, 1)
    open_air = step(np.abs(x) - 3.0 + 0.6 * upper, 0.3)
    return np.clip(cage - np.maximum(heart, dome) - aorta, 0, None) * open_air * step(chest.base - y, 0.3)


def ribs(chest: Chest, view: View, rng: np.random.Generator) -> Array:
    """Path length through the walls of ten pairs of ribs, cm; each sinks on its way around the side."""
    length = np.zeros((view.size, view.size))
    turn = np.linspace(0.12, 2.45, 60)  # from the spine around the side to the front
    radius = np.interp(turn, [0, 1.7, 2.45], [0.72, 0.66, 0.5])  # the front end turns to cartilage
    first = rng.normal(0.6, 0.4)
    for rib in range(10):
        height = chest.apex + first + rib * (chest.base - chest.apex) / 11.5
        for side in (-1, 1):
            drop = chest.rib_drop * min(1.0, 0.35 + 0.13 * rib) + rng.normal(0, 0.2)
            y = height - 1.1 * np.sin(turn) + drop * (1 - np.cos(turn)) / 2
            reach = chest.cage_width(height + 0.75 * drop + 0.6) + 0.35
            z = -(chest.depth + 0.3) * np.cos(turn) * np.sqrt(reach / chest.width)
            length += tube(view, np.stack([side * reach * np.sin(turn) ** 0.85, y, z], axis=-1), radius, wall=0.3)
    return length


def spine(x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Path length through the vertebrae, cm: a gently bowed column with gaps for the discs."""
    pitch = rng.normal(2.35, 0.1)
    bow = rng.normal(0, 0.25) * np.sin(y / 12 + rng.uniform(0, 6))
    vertebra = step(np.cos(2 * np.pi * y / pitch) + 0.75, 0.12)
    return step(1.75 - np.abs(x - bow), 0.12) * (0.7 + 0.5 * vertebra)


def girdle(chest: Chest, view: View, rng: np.random.Generator) -> Array:
    """Path length through clavicles, edges of the shoulder blades and upper arms, cm."""
    length = np.zeros((view.size, view.size))
    t = np.linspace(0, 1, 40)
    top, side_wall = chest.apex + 2.4, chest.width + chest.wall
    for side in (-1, 1):
        across = side * (2.0 + (chest.width + 0.5) * t)
        rise = rng.normal(-1.6, 0.5)
        clavicle = np.stack([across, top + rise * t - 0.8 * np.sin(2 * np.pi * t), 4 - 6 * t], axis=-1)
        length += tube(view, clavicle, 0.8, wall=0.4)
        blade = np.array([[0.93, 0, -6.0], [0.80, 9.5, -7.5], [0.62, 2.0, -7.0], [0.9, 0.2, -6.5]])
        length += tube(view, blade * [side * side_wall, 1, 1] + [0, top + 1.2, 0], 0.45, wall=0.5)
        joint = np.array([side * (side_wall + 1.4), top + 1.4, -2.0])
        down = np.array([side * np.sin(chest.arm_angle), np.cos(chest.arm_angle), 0.0])
        length += tube(view, joint + 26 * t[:, None] * down, 1.15 + 0.9 * np.exp(-225 * t**2), wall=0.35)
    return length


def vessels(chest: Chest, view: View, rng: np.random.Generator) -> Array:
    """Path length through the lungs' vessels, cm: they fan out from the hila and thin out."""
    length = np.zeros((view.size, view.size))
    for side in (-1, 1):
        for _ in range(22):
            hilum = np.array([side * 3.2, chest.apex + 12.5 - 0.8 * (side > 0), 0.0]) + rng.normal(0, 0.8, 3)
            heading = rng.uniform(-1.1, 1.45)
            bend = np.cumsum(rng.normal(0, 0.11, 24)) + heading
            reach = rng.uniform(0.45, 0.95) * chest.width / 24
            walk = np.stack([side * np.cos(bend), np.sin(bend), rng.normal(0, 0.4) + 0 * bend], axis=-1) * reach
            radius = np.linspace(rng.uniform(0.3, 0.6), 0.08, 25)
            length += tube(view, np.vstack([hilum, hilum + np.cumsum(walk, axis=0)]), radius)
    return length


def opacity(chest: Chest, x: Array, y: Array, pixel: float, rng: np.random.Generator) -> Array:
    """Share of the lung's air replaced by fluid, 0 to 1: bilateral, peripheral and basal patches.

    Wide faint patches are the ground glass, small dense ones the consolidation. A fractal texture
    frays their edges.
    """
    noise = sum(gaussian_filter(rng.normal(size=x.shape), cm / pixel) * (cm / pixel) * 3 for cm in (0.25, 0.6, 1.4))
    clear, severity = np.ones_like(x), rng.uniform(0.45, 1.0)
    height = chest.base - chest.apex
    for side in (-1, 1):
        for _ in range(rng.integers(3, 7)):
            v = chest.apex + height * (0.25 + 0.55 * rng.beta(2.2, 1.4))
            u = side * chest.cage_width(v) * rng.uniform(0.5, 0.95)
            solid = rng.random() < 0.35
            radius = rng.uniform(1.0, 2.2) if solid else rng.uniform(2.0, 4.2)
            share = rng.uniform(0.45, 0.8) if solid else rng.uniform(0.2, 0.45)
            distance = np.hypot((x - u) / rng.uniform(0.7, 1.1), (y - v) / rng.uniform(0.9, 1.5))
            clear *= 1 - severity * share * step(radius - distance + 0.5 * noise, 0.3 * radius)
    return 1 - clear


def radiograph(rng: np.random.Generator, size: int, *, covid: bool) -> NDArray[np.uint8]:
    """Draw one phantom: anatomy, pose, exposure and noise are all random.

    Args:
        rng: the source of every draw.
        size: pixels a side.
        covid: put patches of fluid into the lungs.

    Returns:
        (size, size) grey levels; bone is bright, air is dark.
    """
    chest = random_chest(rng)
    view = View(size, rng.normal(0, 0.035), (rng.normal(0, 1.0), rng.normal(-1.0, 1.3)), rng.normal(1.0, 0.06))
    x, y = view.grid()
    air = lungs(chest, x, y)
    depth = TISSUE * body(chest, x, y) - (TISSUE - LUNG) * air
    if covid:
        depth += (TISSUE - LUNG) * air * opacity(chest, x, y, view.pixel, rng)
    depth += (TISSUE - LUNG) * vessels(chest, view, rng) * np.minimum(air / 6, 1)
    depth += BONE * (ribs(chest, view, rng) + spine(x, y, rng) + girdle(chest, view, rng))
    windpipe = np.array([[0.3, -30, 0], [0.2, chest.apex + 4, -1], [0, chest.apex + 9.5, -2]])
    depth -= TISSUE * tube(view, windpipe, 0.85)
    for side in (-1, 1):
        bronchus = np.array([[0, chest.apex + 9.5, -2], [side * 3.5, chest.apex + 12.5, -2]])
        depth -= TISSUE * tube(view, bronchus, 0.45)
    if chest.gas:
        stomach = 0.45 * chest.width, chest.domes[1] + 1.2 + chest.gas
        depth -= TISSUE * ellipsoid(x, y, stomach, (1.6 * chest.gas, chest.gas, 2.5))
    return _develop(np.clip(depth, 0, None), view.pixel, rng)


def _develop(depth: Array, pixel: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Scatter, quanta, detector blur; then the logarithm and a random display window."""
    light = np.exp(-depth)
    light += rng.uniform(0.02, 0.08) * gaussian_filter(light, 3.0 / pixel)
    quanta = 10 ** rng.uniform(4.4, 5.2)
    light = rng.poisson(quanta * light) / quanta
    signal = -np.log(np.clip(gaussian_filter(light, 0.06 / pixel), 1e-4, None))
    low, high = rng.uniform(0.9, 1.4), np.quantile(signal, rng.uniform(0.96, 0.995))
    grey = np.clip((signal - low) / (high - low), 0, 1) ** rng.uniform(0.9, 1.4)
    return np.round(255 * grey).astype(np.uint8)
