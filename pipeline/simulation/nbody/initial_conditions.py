"""Starts of N-body systems: the course's random stars, Plummer and King models, fractals.

Simulation k of a run is the same whatever the batch: small systems are drawn in groups of fixed
membership, each from its own seed, larger ones one by one. All profiles but the course's are in N-body
units (Heggie & Mathieu 1986): total mass 1, virial radius 1, so that the potential energy without
softening is -G/2.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.simulation.clusters.mass_function import KROUPA, SALPETER
from pipeline.simulation.nbody.gravity import kinetic_energy, potential_energy

Array = NDArray[np.float64]
Profile = Literal["course", "plummer", "king", "fractal"]
MassFunction = Literal["equal", "kroupa", "salpeter"]
Sample = tuple[Array, Array]
Shape = tuple[int, int]  # systems, stars

GROUP, GROUPED_STARS = 64, 64  # systems drawn together, if they have no more than so many stars

EQUILIBRIUM = 0.5  # virial ratio T/|U|
MASS_FUNCTIONS = {"kroupa": KROUPA, "salpeter": SALPETER}


def total_mass(profile: Profile) -> float:
    """Mass of a whole system: 20 for the course's start, else 1."""
    return 20.0 if profile == "course" else 1.0


def draw(
    seed: int,
    simulations: range,
    *,
    stars: int,
    profile: Profile,
    king_w0: float,
    fractal_dimension: float,
    mass_function: MassFunction,
    mass_segregation: float,
    virial_ratio: float | None,
    softening: float,
    G: float,
) -> tuple[Array, Array, Array]:
    """Draw the start of each simulation, at rest in its centre of mass.

    Args:
        seed: of the run.
        simulations: their numbers, one after another.
        stars: per simulation.
        profile: of positions and velocities.
        king_w0: central potential of a King model, in squares of its velocity scale.
        fractal_dimension: of a fractal; 3 is a uniform sphere.
        mass_function: of the stars.
        mass_segregation: from 0 (none) to 1 (the heavier, the more tightly bound).
        virial_ratio: kinetic over potential energy; None: as drawn for the course, else 1/2.
        softening: Plummer length, part of the potential energy of the virial ratio.
        G: constant of gravity.

    Returns:
        Positions and velocities ``(simulations, stars, 3)`` and masses ``(simulations, stars)``.
    """
    profiles: dict[Profile, Callable[[np.random.Generator, Shape], Sample]] = {
        "course": course,
        "plummer": plummer,
        "king": lambda rng, shape: king(rng, shape, king_w0),
        "fractal": lambda rng, shape: fractal(rng, shape, fractal_dimension),
    }
    size = GROUP if stars <= GROUPED_STARS else 1
    groups = range(simulations[0] // size, simulations[-1] // size + 1)
    parts = []
    for group in groups:
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(group,)))
        x, v = profiles[profile](rng, (size, stars))
        mass = drawn_masses(rng, (size, stars), mass_function)
        if mass_segregation > 0:
            mass = np.stack([segregate(rng, *system, mass_segregation) for system in zip(x, v, mass, strict=True)])
        parts.append((x, v, mass))
    wanted = slice(simulations[0] - groups[0] * size, simulations[-1] + 1 - groups[0] * size)
    x, v, mass = (np.concatenate(part)[wanted] for part in zip(*parts, strict=True))
    mass = mass * (total_mass(profile) / mass.sum(-1, keepdims=True))
    x, v = centred(x, mass), centred(v, mass)
    if profile != "course":
        x = scaled_to_nbody_units(x, mass, G)
        virial_ratio = EQUILIBRIUM if virial_ratio is None else virial_ratio
    if virial_ratio is not None:
        v = scaled_to_virial_ratio(x, v, mass, virial_ratio, softening, G)
    return x, v, mass


# --- profiles: positions and velocities (systems, stars, 3) -------------------------------------------------


def course(rng: np.random.Generator, shape: Shape) -> Sample:
    """The course's start: standard normal positions and velocities."""
    x, v = rng.standard_normal((2, *shape, 3))
    return x, v


def plummer(rng: np.random.Generator, shape: Shape) -> Sample:
    """Plummer (1911) model with G = mass = scale length = 1 (Aarseth, Hénon & Wielen 1974, appendix).

    The squared speed in units of the squared escape speed follows a beta distribution: with
    ``f(E) ~ |E|^(7/2)``, ``q^2 (1 - q^2)^(7/2) dq`` is ``Beta(3/2, 9/2)`` in ``q^2``.
    """
    radius = (rng.random(shape) ** (-2 / 3) - 1) ** -0.5
    escape = np.sqrt(2) * (1 + radius**2) ** -0.25
    speed = escape * np.sqrt(rng.beta(3 / 2, 9 / 2, shape))
    return radius[..., None] * directions(rng, shape), speed[..., None] * directions(rng, shape)


def king(rng: np.random.Generator, shape: Shape, w0: float) -> Sample:
    """King (1966) model, ``f ~ exp(-E) - 1``, in units of its core radius and velocity scale."""
    radii, potential, mass = king_model(w0)
    radius = np.interp(rng.random(shape), mass, radii)
    w = np.interp(radius, radii, potential)
    speed = _king_speed(w, rng.random(shape))
    return radius[..., None] * directions(rng, shape), speed[..., None] * directions(rng, shape)


@lru_cache
def king_model(w0: float) -> tuple[Array, Array, Array]:
    """Radius, potential W and enclosed fraction of the mass of a King model, on a fine grid.

    Poisson's equation ``W'' + 2 W' / r = -9 rho(W) / rho(W0)`` (King 1966, eq. 20) from the centre
    to the tidal radius, where W vanishes.
    """
    from scipy.integrate import solve_ivp  # takes as long to import as a small run

    centre = 1e-6
    density0 = _king_density(np.array(w0))

    def slope(r: float, y: Array) -> list[float]:
        return [y[1], -9 * float(_king_density(np.maximum(y[0], 0)) / density0) - 2 * y[1] / r]

    def edge(r: float, y: Array) -> float:
        return y[0]

    edge.terminal = True  # type: ignore[attr-defined]
    start = [w0 - 1.5 * centre**2, -3 * centre]
    solution: Any = solve_ivp(slope, (centre, 1e6), start, events=edge, rtol=1e-10, atol=1e-12, dense_output=True)
    tidal_radius = solution.t_events[0][0]
    # As many points in log r as in r: the core of a concentrated model is a small part of its radius.
    radii = np.unique(np.concatenate([np.geomspace(1e-3, tidal_radius, 4000), np.linspace(1e-3, tidal_radius, 4000)]))
    potential, gradient = solution.sol(radii)
    potential[-1] = 0.0
    mass = -(radii**2) * gradient
    return np.insert(radii, 0, 0.0), np.insert(potential, 0, w0), np.insert(mass / mass[-1], 0, 0.0)


def _king_density(w: Array) -> Array:
    from scipy.special import erf

    return np.exp(w) * erf(np.sqrt(w)) - np.sqrt(4 * w / np.pi) * (1 + 2 * w / 3)


def _king_speed(w: Array, fraction: Array) -> Array:
    """Speed below which lies ``fraction`` of the stars at potential ``w``, by bisection.

    The density of speeds is ``u^2 (exp(w - u^2/2) - 1)`` for ``u < sqrt(2 w)``.
    """
    from scipy.special import erf

    def below(u: Array) -> Array:
        return np.exp(w) * (np.sqrt(np.pi / 2) * erf(u / np.sqrt(2)) - u * np.exp(-(u**2) / 2)) - u**3 / 3

    low, high = np.zeros_like(w), np.sqrt(2 * w)
    wanted = fraction * below(high)
    for _ in range(52):
        middle = 0.5 * (low + high)
        too_low = below(middle) < wanted
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    return 0.5 * (low + high)


def fractal(rng: np.random.Generator, shape: Shape, dimension: float) -> Sample:
    """Fractals of Goodwin & Whitworth (2004) in the unit sphere.

    A cube is cut into eighths again and again; each eighth survives with the probability
    ``2^(dimension - 3)``. It inherits the velocity of its parent plus a random part in proportion to its
    size. A star lies anywhere in its last cube.
    """
    systems, stars = shape
    x, v = zip(*(_one_fractal(rng, stars, dimension) for _ in range(systems)), strict=True)
    return np.stack(x), np.stack(v)


def _one_fractal(rng: np.random.Generator, stars: int, dimension: float) -> Sample:
    while True:
        x, v, half = np.zeros((1, 3)), np.zeros((1, 3)), 1.0
        while 0 < len(x) < 8 * stars:  # then even a lopsided sphere holds enough
            half /= 2
            x = (x[:, None] + half * _OCTANTS).reshape(-1, 3)
            alive = rng.random(len(x)) < 2 ** (dimension - 3)
            x, v = x[alive], np.repeat(v, 8, axis=0)[alive]
            v = v + half * rng.standard_normal(v.shape)
        x = x + half * rng.uniform(-1, 1, x.shape)
        inside = np.flatnonzero((x**2).sum(-1) < 1)
        if len(inside) >= stars:
            chosen = rng.choice(inside, stars, replace=False)
            return x[chosen], v[chosen]


_OCTANTS = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], dtype=float)


def directions(rng: np.random.Generator, shape: Shape) -> Array:
    """Isotropic unit vectors, shape ``(systems, stars, 3)``."""
    n = rng.standard_normal((*shape, 3))
    return n / np.linalg.norm(n, axis=-1, keepdims=True)


# --- masses -------------------------------------------------------------------------------------------------


def drawn_masses(rng: np.random.Generator, shape: Shape, mass_function: MassFunction) -> Array:
    """Masses at birth, Msun; ones where all are equal."""
    if mass_function == "equal":
        return np.ones(shape)
    return MASS_FUNCTIONS[mass_function].mass(rng.random(shape))


def segregate(rng: np.random.Generator, x: Array, v: Array, mass: Array, degree: float) -> Array:
    """Deal the masses of a system out again, the heavier to the more tightly bound stars (Küpper et al. 2011).

    Stars are ordered by the energy they have with equal masses in virial equilibrium. From the heaviest on,
    each mass goes to the place ``floor(n (1 - u^(1 - degree)))`` among the n free ones, with u uniform: at
    random for 0, in strict order for 1.
    """
    depth = np.array([(1 / np.linalg.norm(np.delete(x, i, 0) - x[i], axis=-1)).sum() for i in range(len(x))])
    speed2 = (v**2).sum(-1)
    energy = depth.mean() / speed2.mean() * speed2 / 4 - depth  # units drop out: T = |U| / 2
    free = list(np.argsort(energy))
    dealt = np.empty_like(mass)
    for m, u in zip(np.sort(mass)[::-1], 1 - rng.random(len(mass)), strict=True):
        dealt[free.pop(int(len(free) * (1 - u ** (1 - degree))))] = m
    return dealt


# --- frames and units ---------------------------------------------------------------------------------------


def centred(x: Array, mass: Array) -> Array:
    """Positions or velocities relative to the centre of mass."""
    return x - (mass[..., None] * x).sum(-2, keepdims=True) / mass.sum(-1)[..., None, None]


def scaled_to_nbody_units(x: Array, mass: Array, G: float) -> Array:
    """Positions scaled so that the virial radius ``G M^2 / (2 |U|)``, without softening, is 1."""
    radius = G * mass.sum(-1) ** 2 / (-2 * potential_energy(x, mass, 0.0, G))
    return x / radius[..., None, None]


def scaled_to_virial_ratio(x: Array, v: Array, mass: Array, virial_ratio: float, softening: float, G: float) -> Array:
    """Velocities scaled so that kinetic over potential energy, with softening, is ``virial_ratio``."""
    now = kinetic_energy(v, mass) / -potential_energy(x, mass, softening, G)
    return v * np.sqrt(virial_ratio / now)[..., None, None]
