"""What fills the air of the lungs of COVID-like phantoms: each kind is a share of the air replaced by fluid, 0 to 1."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from pipeline.simulation.chest.anatomy import Chest
from pipeline.simulation.chest.projection import Array, step

SIDES = (-1, 1)


def opacity(chest: Chest, x: Array, y: Array, pixel: float, rng: np.random.Generator) -> Array:
    """Patches in every phantom; in some, lines, haze over all of one or both lungs, or fluid at their base.

    Most patches are bilateral, peripheral and basal. A fractal texture frays all edges.

    Args:
        chest: whose lungs.
        x: of the pixels, cm.
        y: of the pixels, cm.
        pixel: its side, cm.
        rng: the source of every draw.
    """
    noise = _texture(x.shape, pixel, (0.25, 0.6, 1.4), rng)
    clear = _patches(chest, x, y, noise, rng)
    if rng.random() < 0.35:
        clear *= 1 - rng.uniform(0.1, 0.3) * step(_texture(x.shape, pixel, (0.15, 0.4), rng) - 0.6, 0.3)
    if rng.random() < 0.35:
        clear *= 1 - _haze(chest, x, y, noise, rng)
    if rng.random() < 0.2:
        clear *= 1 - _effusion(chest, x, y, rng)
    return 1 - clear


def _texture(shape: tuple[int, ...], pixel: float, lengths: Sequence[float], rng: np.random.Generator) -> Array:
    """Noise of several lengths, cm, each of the same variance."""
    layers = [gaussian_filter(rng.normal(size=shape), length / pixel) * (3 * length / pixel) for length in lengths]
    return np.sum(layers, axis=0)


def _patches(chest: Chest, x: Array, y: Array, noise: Array, rng: np.random.Generator) -> Array:
    """Share of the air that is left: wide faint patches are the ground glass, small dense ones the consolidation."""
    clear, severity = np.ones_like(x), rng.uniform(0.3, 1.0)
    height = chest.base - chest.apex
    spared = rng.choice((-1, 0, 1), p=(0.1, 0.8, 0.1))  # a side that is hardly touched
    for side in SIDES:
        for _ in range(1 if side == spared else rng.integers(2, 8)):
            v = chest.apex + height * (0.25 + 0.55 * rng.beta(2.2, 1.4))
            u = side * chest.cage_width(v) * rng.uniform(0.4, 0.95)
            solid = rng.random() < 0.35
            radius = rng.uniform(1.0, 3.0) if solid else rng.uniform(2.0, 5.0)
            share = rng.uniform(0.5, 0.9) if solid else rng.uniform(0.2, 0.5)
            distance = np.hypot((x - u) / rng.uniform(0.7, 1.1), (y - v) / rng.uniform(0.9, 1.5))
            clear *= 1 - severity * share * step(radius - distance + 0.5 * noise, 0.3 * radius)
    return clear


def _haze(chest: Chest, x: Array, y: Array, noise: Array, rng: np.random.Generator) -> Array:
    """All of a lung below some height turns grey, up to a white lung; the other one less, or not."""
    top = chest.apex + (chest.base - chest.apex) * rng.uniform(-0.1, 0.6)
    shares = rng.permutation([rng.uniform(0.2, 0.85), rng.uniform(0.0, 0.6)])
    side = np.where(x < 0, *shares)
    return side * step(y - top + 0.7 * noise, 2.5)


def _effusion(chest: Chest, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Fluid between lung and rib cage: level at the diaphragm, it climbs along the side."""
    side, depth = rng.choice(SIDES), rng.uniform(0.5, 5.0)
    outward = np.clip(side * x / chest.width, 0, 1)
    surface = chest.domes[0 if side < 0 else 1] + 2.0 - depth - 5.0 * outward**4
    return 0.95 * step(y - surface, 0.5) * (side * x > 0)
