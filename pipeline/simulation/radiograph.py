"""Chest phantoms: X-ray line integrals through a simple random anatomy, seen from the front.

Beer and Lambert's law gives the intensity behind the body, I = I0 exp(-∫ μ dz), for parallel rays along z. Habitus,
pose, breath, exposure, scatter, noise and display vary as they do from hospital to hospital, for both labels alike:
opacities are all that tells the labels apart. It is a phantom and carries no medical knowledge beyond that.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from pipeline.simulation.chest.anatomy import Chest, body, girdle, lungs, random_chest, ribs, spine, vessels
from pipeline.simulation.chest.opacity import opacity
from pipeline.simulation.chest.projection import Array, View, ellipsoid, tube

# Linear attenuation between 50 and 60 keV, 1/cm (NIST's tables: Hubbell & Seltzer 1995): soft tissue, lung of a quarter
# of its density, and what cortical bone adds to tissue. Thin wires and tubes: metal and the stripe of a catheter.
TISSUE, LUNG, BONE, WIRE = 0.22, 0.055, 0.50, 4.0
LEAD = 4.0  # optical depth of a side marker


def radiograph(rng: np.random.Generator, size: int, *, covid: bool) -> NDArray[np.uint8]:
    """Draw one phantom: anatomy, pose, exposure and noise are all random.

    Args:
        rng: the source of every draw.
        size: pixels a side.
        covid: put opacities into the lungs.

    Returns:
        (size, size) grey levels; bone is bright, air is dark.
    """
    chest, view = random_chest(rng), _random_view(rng, size)
    depth = _anatomy(chest, view, rng, covid=covid)
    depth += WIRE * _devices(chest, view, rng)
    depth += LEAD * _marker(size, rng)
    return _develop(np.clip(depth, 0, None), view.pixel, rng)


def _random_view(rng: np.random.Generator, size: int) -> View:
    centre = rng.normal(0, 0.9), rng.normal(-1.0, 1.3)
    return View(size, rng.normal(0, 0.045), centre, np.exp(rng.normal(0.1, 0.075)), rng.normal(0, 0.08))


def _anatomy(chest: Chest, view: View, rng: np.random.Generator, *, covid: bool) -> Array:
    """Optical depth of the body."""
    x, y = view.grid()
    air = lungs(chest, x, y, view.turn)
    depth = TISSUE * body(chest, x, y) - (TISSUE - LUNG) * air
    if covid:
        depth += (TISSUE - LUNG) * air * opacity(chest, x, y, view.pixel, rng)
    depth += (TISSUE - LUNG) * vessels(chest, view, rng) * np.minimum(air / 6, 1)
    calcium = BONE * rng.uniform(0.8, 1.3)
    depth += calcium * (ribs(chest, view, rng) + spine(chest, x, y, view.turn, rng) + girdle(chest, view, rng))
    windpipe = np.array([[0.3, -30, 0], [0.2, chest.apex + 4, -1], [0, chest.apex + 9.5, -2]])
    depth -= TISSUE * tube(view, windpipe, 0.85)
    for side in (-1, 1):
        bronchus = np.array([[0, chest.apex + 9.5, -2], [side * 3.5, chest.apex + 12.5, -2]])
        depth -= TISSUE * tube(view, bronchus, 0.45)
    if chest.gas:
        stomach = 0.45 * chest.width, chest.domes[1] + 1.2 + chest.gas
        level = y < stomach[1] + 0.3 * chest.gas  # gas above fluid
        depth -= TISSUE * level * ellipsoid(x, y, stomach, (1.6 * chest.gas, chest.gas, 2.5))
    return depth


def _devices(chest: Chest, view: View, rng: np.random.Generator) -> Array:
    """Path length through metal, cm: leads with their electrodes, and a catheter from the neck, in some pictures."""
    length = np.zeros((view.size, view.size))
    t = np.linspace(0, 1, 30)
    for _ in range(rng.integers(1, 5) if rng.random() < 0.25 else 0):
        end = np.array([rng.uniform(-1, 1) * chest.width, rng.uniform(chest.apex, chest.base), chest.depth])
        start = np.array([rng.uniform(-1, 1) * chest.width, chest.base + 6, chest.depth])
        lead = start + (end - start) * t[:, None]
        lead[:, 0] += rng.normal(0, 2.5) * np.sin(np.pi * t)
        length += tube(view, lead, 0.09)
        length += tube(view, end + np.array([[0, 0, 0], [0, 0, 0.3]]), 0.5)
    if rng.random() < 0.15:
        side = rng.choice((-1, 1))
        catheter = np.stack([side * 4 * (1 - t) ** 2 - 1.5 * t, chest.apex - 6 + 19 * t, 0 * t], axis=-1)
        length += tube(view, catheter, 0.12)
    return length


def _marker(size: int, rng: np.random.Generator) -> Array:
    """A letter of lead, 1 where it lies: most pictures have one beside a shoulder."""
    canvas = Image.new("L", (size, size))
    if rng.random() < 0.7:
        letter, left = rng.choice(("R", "L", "D")), rng.random() < 0.7
        place = size * (rng.uniform(0.02, 0.1) if left else rng.uniform(0.86, 0.94)), size * rng.uniform(0.03, 0.3)
        font = ImageFont.load_default(size * rng.uniform(0.04, 0.08))
        ImageDraw.Draw(canvas).text(place, str(letter), fill=255, font=font)
    return np.asarray(canvas) / 255


def _develop(depth: Array, pixel: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Scatter, quanta, detector blur; then logarithm, equalisation, sharpening, window and the collimator's edge."""
    light = np.exp(-depth)
    light += rng.uniform(0.02, 0.12) * gaussian_filter(light, 3.0 / pixel)
    quanta = 10 ** rng.uniform(4.0, 5.2)
    light = rng.poisson(quanta * light) / quanta
    signal = -np.log(np.clip(gaussian_filter(light, 0.06 / pixel), 1e-4, None))
    signal -= rng.uniform(0.0, 0.6) * gaussian_filter(signal, 5.0 / pixel)
    signal += rng.uniform(0.0, 1.0) * (signal - gaussian_filter(signal, 0.7 / pixel))
    low, high = np.quantile(signal, [rng.uniform(0.02, 0.15), rng.uniform(0.92, 0.99)])
    grey = np.clip((signal - low) / (high - low), 0, 1) ** rng.uniform(0.6, 1.3)
    grey = rng.uniform(0.0, 0.1) + rng.uniform(0.8, 0.9) * grey
    return np.round(255 * grey * _collimator(len(depth), rng)).astype(np.uint8)


def _collimator(size: int, rng: np.random.Generator) -> Array:
    """1 within a rectangle, 0 outside: in some pictures its blades are in sight."""
    open_field = np.zeros((size, size))
    edges = (size * rng.uniform(0, 0.08, 4) * (rng.random(4) < 0.15)).astype(int)
    open_field[edges[0] : size - edges[1], edges[2] : size - edges[3]] = 1
    return open_field
