"""A simple random anatomy of the chest, seen from the front, cm.

x points to the patient's left (the right of the picture), y down, z to the front. It looks plausible to a layman; it
is a phantom and carries no medical knowledge beyond that.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.simulation.chest.projection import Array, View, ellipsoid, step, tube


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
    mediastinum: float  # half-width of what lies between the lungs above the heart
    rib_drop: float  # how far a rib sinks from the back to the front
    arm_angle: float  # from hanging, radians
    gas: float  # radius of the gas bubble in the stomach; 0: none
    breasts: float  # thickness of each, front to back; 0: none
    chin: float  # how far the head hangs into the picture, from the top of the lungs
    bow: tuple[float, float]  # sideways swing of the spine and where along it

    def cage_width(self, y: Array | float) -> Array:
        """Half-width of the lungs' container at height y: an egg with its point up."""
        t = np.clip((np.asarray(y) - self.apex) / (self.base - self.apex), 0, 1)
        return self.width * (1 - (1 - t) ** 2.4) ** 0.55


def random_chest(rng: np.random.Generator) -> Chest:
    """Draw a person: tall or broad, lean or stout, breathed in deeply or not."""
    size = rng.normal(1.0, 0.06)
    base = size * rng.normal(14.0, 1.6)
    right = base - rng.normal(5.2, 1.2)
    width = size * rng.normal(13.4, 1.1)
    heart_width = width * rng.normal(0.42, 0.055)
    return Chest(
        width=width,
        depth=size * rng.normal(8.8, 0.9),
        apex=size * rng.normal(-14.5, 1.0),
        base=base,
        wall=rng.uniform(0.8, 4.0),
        domes=(right, right + rng.normal(1.3, 0.9)),
        heart=(
            width * rng.normal(0.16, 0.035),
            right - rng.normal(1.8, 0.7),
            heart_width,
            heart_width * rng.normal(1.3, 0.12),
        ),
        mediastinum=rng.normal(3.1, 0.25),
        rib_drop=rng.normal(10.0, 1.8),
        arm_angle=rng.uniform(0.1, 1.1),
        gas=rng.uniform(1.0, 3.2) * (rng.random() < 0.6),
        breasts=rng.uniform(1.0, 4.0) * (rng.random() < 0.4),
        chin=rng.normal(-6.0, 3.0),
        bow=(rng.normal(0, 0.45), rng.uniform(0, 6)),
    )


def body(chest: Chest, x: Array, y: Array) -> Array:
    """Thickness of the trunk with neck, shoulders and arms, cm."""
    shoulder = chest.apex + 2.5
    width = chest.width + chest.wall
    trunk_width = width * (1 - 0.004 * (y - chest.base))
    half = (chest.depth + 0.8 * chest.wall) * step(y - shoulder + 1.5, 1.2)
    trunk = 2 * half * np.clip(1 - np.abs(x / trunk_width) ** 2.6, 0, None) ** 0.45
    neck = 2 * 5.5 * np.sqrt(np.clip(1 - (x / 5.5) ** 2, 0, None)) * step(shoulder + 4 - y, 0.8)
    slope = ellipsoid(x, y, (0, shoulder + 4.0), (width + 7.5, 8.5, 7.5))
    head = ellipsoid(x, y, (0, chest.apex + chest.chin - 9.0), (7.0, 9.0, 8.0))
    parts = [trunk, neck, slope, head]
    for side in (-1, 1):
        dx, dy = side * x - width - 1.0, y - shoulder - 3.0
        reach = np.clip(dx * np.sin(chest.arm_angle) + dy * np.cos(chest.arm_angle), 0, None)
        across = np.hypot(dx - reach * np.sin(chest.arm_angle), dy - reach * np.cos(chest.arm_angle))
        parts.append(2 * np.sqrt(np.clip((5.2 - 0.03 * reach) ** 2 - across**2, 0, None)))
    thickness = np.max(parts, axis=0)
    for side in (-1, 1):
        place = side * 0.58 * chest.width, chest.base - 6.5
        thickness += ellipsoid(x, y, place, (0.42 * chest.width, 5.5, chest.breasts / 2))
    return thickness


def lungs(chest: Chest, x: Array, y: Array, turn: float) -> Array:
    """Path length through air-filled lung, cm: the cage less mediastinum, heart and diaphragm.

    Args:
        chest: whose lungs.
        x: of the pixels, cm.
        y: of the pixels, cm.
        turn: of the patient about the upright axis, radians: it moves the heart, which lies in front.
    """
    width = np.maximum(chest.cage_width(y), 1e-3)
    depth = chest.depth * np.sqrt(width / chest.width)
    cage = 2 * depth * np.sqrt(np.clip(1 - (x / width) ** 2, 0, None)) * (y > chest.apex)
    hx, hy, a, b = chest.heart
    heart = ellipsoid(x, y, (hx + 3.5 * turn, hy), (a, b, 0.8 * chest.depth), tilt=-0.7)
    aorta = ellipsoid(x, y, (1.6, chest.apex + 9.0), (2.4, 2.6, 3.0))
    dome = np.zeros_like(x)
    for side, top in zip((-1, 1), chest.domes, strict=True):
        fall = (np.abs(x) / chest.width - 0.5) ** 2 * (9.0 if side < 0 else 10.0)
        below = 2 * chest.depth * 0.75 * np.sqrt(np.clip(y - top - fall, 0, None) / 2.2)
        dome = np.where(side * x > 0, below, dome)
    middle = chest.bow[0] * np.sin(y / 12 + chest.bow[1])
    waist = chest.mediastinum * (0.93 + 0.12 * np.cos((y - chest.apex) / 3.5))
    open_air = step(np.abs(x - middle) - waist, 0.3)
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
            drop = chest.rib_drop * min(1.0, 0.35 + 0.13 * rib) + rng.normal(0, 0.35)
            y = height - 1.1 * np.sin(turn) + drop * (1 - np.cos(turn)) / 2
            reach = chest.cage_width(height + 0.75 * drop + 0.6) + 0.35
            z = -(chest.depth + 0.3) * np.cos(turn) * np.sqrt(reach / chest.width)
            length += tube(view, np.stack([side * reach * np.sin(turn) ** 0.85, y, z], axis=-1), radius, wall=0.3)
    return length


def spine(chest: Chest, x: Array, y: Array, turn: float, rng: np.random.Generator) -> Array:
    """Path length through the vertebrae, cm: a gently bowed column with gaps for the discs, behind the middle."""
    pitch = rng.normal(2.35, 0.15)
    swing, phase = chest.bow
    middle = swing * np.sin(y / 12 + phase) - 0.7 * chest.depth * turn
    vertebra = step(np.cos(2 * np.pi * y / pitch) + 0.75, 0.12)
    return rng.uniform(0.2, 0.45) * step(1.75 - np.abs(x - middle), 0.3) * (0.7 + 0.5 * vertebra)


def girdle(chest: Chest, view: View, rng: np.random.Generator) -> Array:
    """Path length through clavicles, edges of the shoulder blades and upper arms, cm."""
    length = np.zeros((view.size, view.size))
    t = np.linspace(0, 1, 40)
    top, side_wall = chest.apex + 2.4, chest.width + chest.wall
    for side in (-1, 1):
        across = side * (2.0 + (chest.width + 0.5) * t)
        rise = rng.normal(-1.6, 1.4)
        bend = rng.normal(0.8, 0.3)
        clavicle = np.stack([across, top + rise * t - bend * np.sin(2 * np.pi * t), 4 - 6 * t], axis=-1)
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
    stout = rng.uniform(0.7, 1.4)
    for side in (-1, 1):
        for _ in range(22):
            hilum = np.array([side * 3.2, chest.apex + 12.5 - 0.8 * (side > 0), 0.0]) + rng.normal(0, 0.8, 3)
            heading = rng.uniform(-1.1, 1.45)
            bend = np.cumsum(rng.normal(0, 0.11, 24)) + heading
            reach = rng.uniform(0.45, 0.95) * chest.width / 24
            walk = np.stack([side * np.cos(bend), np.sin(bend), rng.normal(0, 0.4) + 0 * bend], axis=-1) * reach
            radius = stout * np.linspace(rng.uniform(0.3, 0.6), 0.08, 25)
            length += tube(view, np.vstack([hilum, hilum + np.cumsum(walk, axis=0)]), radius)
    return length
