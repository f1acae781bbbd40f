"""Fields of the sky with a star cluster among stars of the Milky Way: King-model mocks, see ``star_cluster``."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.simulation.clusters.star_cluster import StarCluster
from pipeline.simulation.clusters.stars import SUN_V, band_ratio
from pipeline.simulation.clusters.telescope import random_shift, random_view, sky_position

Array = NDArray[np.float64]

SUN_COLOUR = 0.65  # B - V
BLUE = 445.0  # nm, of B
EXTINCTION = 3.1  # A_V over E(B - V)
COUNTS = 0.3  # of the Milky Way: dex of stars a magnitude
LOG_TEMPERATURE = (3.72, 0.07)  # of its stars: mean and deviation


@dataclass(frozen=True)
class StarField:
    """The brightest stars of a square, brightest first.

    Attributes:
        position: arcmin from the middle of the square, (2, n).
        v: apparent V magnitude, (n,).
        colour: measured B - V, (n,).
        colour_error: its standard deviation, (n,).
        member: whether the star belongs to the cluster, (n,).
    """

    position: Array
    v: Array
    colour: Array
    colour_error: Array
    member: NDArray[np.bool_]


def draw_star_field(
    rng: np.random.Generator,
    n: int,
    cluster: StarCluster,
    *,
    distance: float,
    share: float,
    half_width: float,
    off_centre: float,
    reddening: float,
    colour_error: float,
) -> StarField:
    """A square in which the brightest n stars are those of a cluster and of the Milky Way before and behind it.

    The limiting magnitude is that of the first star of the cluster which is left out, so that no star of the field
    marks it. Positions of the stars of the Milky Way are uniform, their magnitudes follow N(< V) ~ 10^(0.3 V); they are
    not reddened, also those behind the cluster.

    Args:
        rng: random numbers.
        n: stars.
        cluster: its stars.
        distance: of the cluster, kpc.
        share: of the cluster's stars among the n; less where there are not as many.
        half_width: of the square, in median distances of the cluster's brightest stars from its centre.
        off_centre: largest distance of the cluster's centre from the middle, in half-widths.
        reddening: E(B - V) of the cluster.
        colour_error: standard deviation of B - V of a star at the limit; that of others goes as flux^(-1/2).
    """
    brightest = np.argsort(-cluster.luminosity_v, kind="stable")[: round(share * n) + 1]
    v, colour = _seen(cluster, brightest, distance, reddening)
    brightest, limit = brightest[:-1], v[-1]
    offset = sky_position(cluster.position[:, brightest], random_view(rng), distance, np.zeros(2)) / 60
    side = half_width * float(np.median(np.hypot(*offset)))
    offset += side * random_shift(rng, off_centre)[:, None]
    members = np.flatnonzero((np.abs(offset) < side).all(0))
    others = _others(rng, n - len(members), limit, side)
    position = np.concatenate([offset[:, members], others[0]], 1)
    v, colour = (np.concatenate([own[members], other]) for own, other in zip((v, colour), others[1:], strict=True))
    error = colour_error * 10 ** (0.2 * (v - limit))
    colour += error * rng.standard_normal(n)
    member = np.arange(n) < len(members)
    order = np.argsort(v, kind="stable")
    return StarField(position[:, order], v[order], colour[order], error[order], member[order])


def _seen(cluster: StarCluster, chosen: NDArray[np.int64], distance: float, reddening: float) -> tuple[Array, Array]:
    """V and B - V of chosen stars of a cluster, dimmed and reddened."""
    dimming = 5 * np.log10(100 * distance) + EXTINCTION * reddening
    mass, isochrone = cluster.initial_mass[chosen], cluster.isochrone
    temperature = np.interp(mass, isochrone.initial_mass, isochrone.temperature)
    return SUN_V - 2.5 * np.log10(cluster.luminosity_v[chosen]) + dimming, b_v(temperature) + reddening


def _others(rng: np.random.Generator, n: int, limit: float, side: float) -> tuple[Array, Array, Array]:
    """Positions (2, n), V and B - V of stars of the Milky Way."""
    v = limit + np.log10(1 - rng.random(n)) / COUNTS
    position = rng.uniform(-side, side, (2, n))
    return position, v, b_v(10 ** rng.normal(*LOG_TEMPERATURE, n))


def b_v(temperature: ArrayLike) -> Array:
    """B - V of a black body of a temperature (K), 0.65 for that of the Sun."""
    return SUN_COLOUR - 2.5 * np.log10(band_ratio(temperature, BLUE))
