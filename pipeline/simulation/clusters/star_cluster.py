"""Mock globular clusters: who is still bound, and where the stars are in a multimass King model.

These are King-model mocks, not N-body runs: no core collapse, no tidal tails, no binaries, no rotation.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.optimize import brentq

from pipeline.simulation.clusters.stars import BLACK_HOLE, NEUTRON_STAR, Isochrone, draw_initial_masses, isochrone

Array = NDArray[np.float64]

G = 4.30091e-3  # pc (km/s)² / Msun
KM_S_MYR = 1.022712  # a km/s in pc/Myr
HEAVIEST_ESCAPER = 1.2  # Msun, m_d of Lamers, Baumgardt & Gieles (2013)


# --- how clusters age ---------------------------------------------------------------------------


def dissolution_time(stars: float, orbit: float) -> float:
    """Time (Gyr) in which the Galaxy dissolves a cluster: Baumgardt & Makino (2003), eq. 7.

    T = 1.91 Myr [N / ln(0.02 N)]^0.75 R_G (V_G / 220 km/s)^-1 (1 - e)

    Args:
        stars: N at birth.
        orbit: R_G (1 - e) of the orbit in kpc, for a circular speed of 220 km/s.
    """
    return float(1.91e-3 * (stars / np.log(0.02 * stars)) ** 0.75 * orbit)


def relaxation_time(stars: float, mean_mass: float, half_mass_radius: float) -> float:
    """Half-mass relaxation time (Gyr): Spitzer (1987), eq. 2-63, with ln(0.11 N) after Giersz & Heggie (1994).

    Args:
        stars: number of stars now.
        mean_mass: Msun.
        half_mass_radius: pc.
    """
    time = 0.138 * np.sqrt(stars * half_mass_radius**3 / (G * mean_mass)) / np.log(0.11 * stars)
    return float(time / KM_S_MYR / 1e3)


def bound_fraction(stars: Isochrone, lost: float) -> Array:
    """Fraction of the stars at each node of ``stars`` that stay when a fraction ``lost`` of all their mass escapes.

    Relaxation drives out light stars first, dN/dt ~ -N (1 - (m/m_d)^½) below m_d = 1.2 Msun (Lamers, Baumgardt & Gieles
    2013; Balbinot & Gieles 2018), or below the heaviest star that shines where that is more.
    """
    shining = stars.kind < NEUTRON_STAR
    slowness = np.sqrt(stars.mass / max(HEAVIEST_ESCAPER, stars.mass[shining].max()))
    rate = np.clip(1 - slowness, 0, None)
    weight = stars.fraction * (stars.mass[1:] + stars.mass[:-1]) * shining[1:]
    weight /= 2 * weight.sum()

    def stay(time: float) -> Array:
        return np.exp(-time * rate)

    def excess(time: float) -> float:
        bound = stay(time)
        return float((weight * (bound[1:] + bound[:-1])).sum()) - (1 - lost)

    return stay(brentq(excess, 0.0, 1e4))


# --- where the stars are ------------------------------------------------------------------------


@dataclass(frozen=True)
class Profile:
    """Radii of a multimass King model in units of its half-mass radius, for stars of any mass.

    Attributes:
        log_mass: natural log of mass over mean mass, by equal steps, (columns,).
        radius: radii that enclose fractions u of the stars of a mass, (columns, steps + 1). Steps are equal in w from 0
            to 1 where u = (w (2 - w))³: fine in the core, in which u grows as r³, and in the halo.
    """

    log_mass: Array
    radius: Array

    def scaled(self, log_mass: Array, weight: Array) -> "Profile":
        """The same model in half-mass radii of a population: stars of ``log_mass`` that weigh ``weight``."""
        share = _shares(self._column(log_mass), weight, len(self.log_mass))
        w = np.linspace(0, 1, self.radius.shape[1])
        shells = np.outer(share, np.diff((w * (2 - w)) ** 3)).ravel()
        radius = ((self.radius[:, 1:] + self.radius[:, :-1]) / 2).ravel()
        order = np.argsort(radius, kind="stable")
        half = float(np.interp(0.5, (np.cumsum(shells[order]) - shells[order] / 2) / shells.sum(), radius[order]))
        return Profile(self.log_mass, self.radius / half)

    def positions(self, rng: np.random.Generator, log_mass: Array) -> Array:
        """Isotropic positions (3, stars) of stars, in half-mass radii."""
        return _positions(self.radius, self._column(log_mass), rng.random((3, len(log_mass))))

    def _column(self, log_mass: Array) -> Array:
        step = self.log_mass[1] - self.log_mass[0]
        return np.clip((log_mass - self.log_mass[0]) / step, 0, len(self.log_mass) - 1 - 1e-9)


@numba.njit(cache=True)
def _shares(column: Array, weight: Array, columns: int) -> Array:
    """Weight of stars that lie between columns, dealt out to both."""
    share = np.zeros(columns)
    for k in range(len(column)):
        lower = int(column[k])
        part = column[k] - lower
        share[lower] += weight[k] * (1 - part)
        share[lower + 1] += weight[k] * part
    return share


@numba.njit(cache=True)
def _positions(radius: Array, column: Array, uniform: Array) -> Array:
    steps = radius.shape[1] - 1
    xyz = np.empty((3, len(column)))
    for k in range(len(column)):
        w = steps * (1 - np.sqrt(1 - np.cbrt(uniform[0, k])))
        i, j = min(int(w), steps - 1), int(column[k])
        f, g = w - i, column[k] - j
        light = (1 - f) * radius[j, i] + f * radius[j, i + 1]
        heavy = (1 - f) * radius[j + 1, i] + f * radius[j + 1, i + 1]
        r = (1 - g) * light + g * heavy
        z = 2 * uniform[1, k] - 1
        angle = 2 * np.pi * uniform[2, k]
        rho = r * np.sqrt(1 - z * z)
        xyz[0, k], xyz[1, k], xyz[2, k] = rho * np.cos(angle), rho * np.sin(angle), r * z
    return xyz


@cache
def _library() -> tuple[RegularGridInterpolator, Array]:
    with np.load(Path(__file__).parent / "data" / "king_profiles.npz") as file:
        axes = (file["mean_mass"], file["truncation"], file["w0"], file["segregation"])
        return RegularGridInterpolator(axes, file["radius"].astype(float)), file["log_mass"]


def multimass_profile(mean_mass: float, w0: float, truncation: float, segregation: float) -> Profile:
    """A multimass King model, interpolated in a library solved with LIMEPY (Gieles & Zocchi 2015).

    Args:
        mean_mass: of its stars (Msun), which tells how many light ones are left; the nearest of the library.
        w0: depth of the central potential, 1.5 to 8.
        truncation: g of the family: 1 is King (1966) and Gunn & Griffin (1979), 2 is Wilson (1975).
        segregation: delta of the velocity scale of a mass, s_j ~ m_j^-delta: 0 none, 0.5 full.

    Raises:
        ValueError: outside the library.
    """
    radius, log_mass = _library()
    lightest, *_, heaviest = radius.grid[0]
    return Profile(log_mass, radius((np.clip(mean_mass, lightest, heaviest), truncation, w0, segregation)))


# --- a cluster ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClusterParameters:
    """What a mock cluster is made from.

    Attributes:
        initial_stars: N at birth.
        age_gyr: age.
        metallicity: mass fraction of metals, Z.
        orbit_kpc: R_G (1 - e), which sets how much has been lost.
        half_mass_radius_pc: now.
        w0: depth of the central potential.
        truncation: g of the model.
        neutron_stars: fraction of neutron stars that stayed when they were born.
        black_holes: likewise.
    """

    initial_stars: int
    age_gyr: float
    metallicity: float
    orbit_kpc: float
    half_mass_radius_pc: float
    w0: float
    truncation: float
    neutron_stars: float
    black_holes: float

    @property
    def mass_lost(self) -> float:
        """Fraction of the mass that has escaped: M ~ 1 - t/T (Baumgardt & Makino 2003)."""
        return self.age_gyr / dissolution_time(self.initial_stars, self.orbit_kpc)


Interval = tuple[float, float]


def draw_parameters(
    rng: np.random.Generator,
    *,
    initial_stars: Interval,
    age_gyr: Interval,
    metallicity: Interval,
    orbit_kpc: Interval,
    most_lost: float,
    half_mass_radius_pc: Interval,
    w0: Interval,
    truncation: Interval,
    neutron_stars: Interval,
    black_holes: Interval,
) -> ClusterParameters:
    """Parameters of one cluster that is still bound, each from its interval.

    Stars, metallicity, orbit and radius are drawn log-uniformly, all else uniformly. The orbit is wide enough that no
    cluster has lost more than ``most_lost`` of its mass.
    """
    age, stars = rng.uniform(*age_gyr), round(log_uniform(rng, *initial_stars))
    narrowest = age / (most_lost * dissolution_time(stars, 1.0))
    low, high = (max(orbit, narrowest) for orbit in orbit_kpc)
    return ClusterParameters(
        initial_stars=stars,
        age_gyr=age,
        metallicity=log_uniform(rng, *metallicity),
        orbit_kpc=log_uniform(rng, low, high),
        half_mass_radius_pc=log_uniform(rng, *half_mass_radius_pc),
        w0=rng.uniform(*w0),
        truncation=rng.uniform(*truncation),
        neutron_stars=rng.uniform(*neutron_stars),
        black_holes=rng.uniform(*black_holes),
    )


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform between those of ``low`` and ``high``."""
    return float(low * (high / low) ** rng.random())


@dataclass(frozen=True)
class StarCluster:
    """The stars still bound, by increasing initial mass.

    Attributes:
        isochrone: of its age and metallicity.
        segregation: delta of its King model.
        initial_mass: Msun, (stars,).
        mass: Msun, (stars,).
        luminosity_v: Lsun,V, (stars,).
        position: pc from its centre, (3, stars).
    """

    isochrone: Isochrone
    segregation: float
    initial_mass: Array
    mass: Array
    luminosity_v: Array
    position: Array


def draw_cluster(rng: np.random.Generator, parameters: ClusterParameters) -> StarCluster:
    """Draw the stars of a mock cluster: born after Kroupa, evolved, thinned out, and placed in a King model.

    Segregation follows the dynamical age, delta = ½ (1 - exp(-t/t_rh)): an ansatz that ends at equipartition.

    Raises:
        ValueError: the cluster would have dissolved before this age.
    """
    if not parameters.mass_lost < 1:
        raise ValueError(f"{parameters} has dissolved; widen its orbit")
    stars = isochrone(parameters.age_gyr, parameters.metallicity)
    initial_mass = draw_initial_masses(rng, parameters.initial_stars)
    mass = np.interp(initial_mass, stars.initial_mass, stars.mass)
    stay = np.interp(initial_mass, stars.initial_mass, bound_fraction(stars, parameters.mass_lost))
    kind = stars.kind_of(initial_mass)
    stay[kind == NEUTRON_STAR] = parameters.neutron_stars
    stay[kind == BLACK_HOLE] = parameters.black_holes
    bound = rng.random(len(mass)) < stay
    initial_mass, mass = initial_mass[bound], mass[bound]
    relaxation = relaxation_time(len(mass), mass.mean(), parameters.half_mass_radius_pc)
    segregation = 0.5 * (1 - np.exp(-parameters.age_gyr / relaxation))
    log_mass = np.log(mass / mass.mean())
    profile = multimass_profile(mass.mean(), parameters.w0, parameters.truncation, segregation).scaled(log_mass, mass)
    return StarCluster(
        isochrone=stars,
        segregation=segregation,
        initial_mass=initial_mass,
        mass=mass,
        luminosity_v=np.interp(initial_mass, stars.initial_mass, stars.luminosity_v),
        position=parameters.half_mass_radius_pc * profile.positions(rng, log_mass),
    )
