"""Development script: builds data/king_profiles.npz, scale-free multimass King models.

Solves the models with LIMEPY (Gieles & Zocchi 2015) and keeps, for stars of any mass in them, the radii that enclose
given fractions. Run it after ``pip install -e .[tables]``, about two minutes of one core:

    python -m pipeline.simulation.clusters.build_king_profiles
"""

from itertools import product
from pathlib import Path

import numpy as np
from limepy import limepy
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from scipy.interpolate import PchipInterpolator
from scipy.special import gammainc

from pipeline.simulation.clusters.star_cluster import bound_fraction
from pipeline.simulation.clusters.stars import NEUTRON_STAR, isochrone

Array = NDArray[np.float64]

LOST = (0.0, 0.2, 0.4, 0.6, 0.8)  # of the mass: populations from all that were born to few light stars
TRUNCATION = np.array([1.0, 1.5, 2.0])
W0 = np.array([1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.25, 8.0])
SEGREGATION = np.linspace(0.0, 0.5, 6)
LOG_MASS = np.linspace(np.log(0.15), np.log(30.0), 16)  # mass over mean mass
STEPS = 96
BINS = np.array([0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.6])  # Msun


def population(lost: float) -> tuple[Array, Array]:
    """Mean mass and total mass of each bin of a cluster of 10 Gyr that has lost a fraction of its mass."""
    stars = isochrone(10.0, 1e-3)
    alive = stars.kind[1:] < NEUTRON_STAR
    mass, bound = ((x[1:] + x[:-1])[alive] / 2 for x in (stars.mass, bound_fraction(stars, lost)))
    number = stars.fraction[alive] * bound
    numbers, masses = (np.histogram(mass, BINS, weights=weight)[0] for weight in (number, number * mass))
    return masses / numbers, masses


def density(potential: Array, truncation: float, segregation: float, mass: Array) -> Array:
    """Density of test stars of a mass (over the mean), relative to that at the centre: Gieles & Zocchi, eq. 11."""
    x = np.outer(mass ** (2 * segregation), potential)
    log_density = x + np.log(np.maximum(gammainc(truncation + 1.5, x), 1e-300))
    return np.exp(log_density - log_density[:, :1])


def radii(lost: float, truncation: float, w0: float, segregation: float) -> Array:
    """Radii (columns, STEPS + 1) at the enclosed fractions that ``star_cluster.Profile`` expects."""
    mean_mass, total_mass = population(lost)
    model = limepy(w0, truncation, mj=mean_mass, Mj=total_mass, delta=segregation, M=1, rh=1, meanmassdef="global")
    if not model.converged:
        raise ValueError(f"no model for g = {truncation}, W0 = {w0}, delta = {segregation}")
    potential = PchipInterpolator(model.r, model.phihat)
    radius = np.concatenate([[0.0], np.geomspace(1e-5, model.rt, 4000)])
    shells = density(np.maximum(potential(radius), 0), truncation, segregation, np.exp(LOG_MASS)) * radius**2
    enclosed = cumulative_trapezoid(shells, radius, initial=0)
    w = 1 - np.sqrt(1 - np.cbrt(enclosed / enclosed[:, -1:]))
    steps = np.linspace(0, 1, STEPS + 1)
    return np.array([np.interp(steps, row[keep], radius[keep]) for row in w for keep in [np.diff(row, prepend=-1) > 0]])


def main() -> None:
    """Write the library."""
    axes = (LOST, TRUNCATION, W0, SEGREGATION)
    radius = np.array([radii(*point) for point in product(*axes)])
    mean_mass = np.array([masses.sum() / (masses / each).sum() for each, masses in (population(lost) for lost in LOST)])
    out = Path(__file__).parent / "data" / "king_profiles.npz"
    np.savez_compressed(
        out, mean_mass=mean_mass, truncation=TRUNCATION, w0=W0, segregation=SEGREGATION, log_mass=LOG_MASS,
        radius=radius.reshape([len(axis) for axis in axes] + list(radius.shape[1:])).astype(np.float32),
    )  # fmt: skip
    print(out, radius.shape, f"{out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
