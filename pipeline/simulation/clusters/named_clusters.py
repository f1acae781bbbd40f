"""Four globular clusters of the Milky Way, and mocks as heavy, large, far, metal-poor and old as they are.

The mocks are King models, not the real clusters.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.simulation.clusters.star_cluster import ClusterParameters, draw_cluster
from pipeline.simulation.clusters.telescope import bin_stars, random_view, sky_position

Array = NDArray[np.float64]

METALS_OF_THE_SUN = 0.0142  # Asplund et al. (2009)
POOREST = 1e-4  # metallicity Z of the table of stars
BORN = 2.5  # stars born for a solar mass that is left: a first guess
TRIALS = 5  # each corrects the number of stars by the mass that was left of the last


@dataclass(frozen=True)
class NamedCluster:
    """What is known of a cluster: Baumgardt & Hilker's N-body fits, Harris (1996, 2010 edition), ages as published.

    Attributes:
        distance: kpc.
        mass: Msun.
        radius: half-mass, pc.
        iron: [Fe/H].
        age: Gyr.
        w0: of the King model with the concentration of Harris.
        reddening: E(B-V).
    """

    distance: float
    mass: float
    radius: float
    iron: float
    age: float
    w0: float
    reddening: float

    @property
    def metallicity(self) -> float:
        """Z, not below that of the poorest stars in the table."""
        return max(POOREST, METALS_OF_THE_SUN * 10**self.iron)


NAMED = {
    "NGC 5053": NamedCluster(17.54, 6.28e4, 17.00, -2.27, 12.25, 3.4, 0.01),
    "NGC 5466": NamedCluster(16.12, 5.61e4, 13.75, -1.98, 12.50, 5.0, 0.00),
    "Pal 11": NamedCluster(14.02, 1.42e4, 9.75, -0.40, 10.4, 2.4, 0.35),
    "NGC 7492": NamedCluster(24.39, 1.97e4, 10.59, -1.78, 12.0, 3.3, 0.00),
}


def draw_named(cluster: NamedCluster, rng: np.random.Generator, pixels: int) -> tuple[Array, Array]:
    """Light (Lsun,V) and mass (Msun) in pixels of 0.25 arcsec around the middle of a mock, both (pixels, pixels)."""
    mock = draw_cluster(rng, parameters(cluster, stars_at_birth(cluster)))
    offset = sky_position(mock.position, random_view(rng), cluster.distance, np.zeros(2))
    light, mass = bin_stars(offset, np.stack([mock.luminosity_v, mock.mass]), pixels)
    return light, mass


@cache
def stars_at_birth(cluster: NamedCluster) -> int:
    """How many stars leave the mass of the cluster."""
    rng = np.random.default_rng(1)
    stars = BORN * cluster.mass
    for _ in range(TRIALS):
        stars *= cluster.mass / draw_cluster(rng, parameters(cluster, round(stars))).mass.sum()
    return round(stars)


def parameters(cluster: NamedCluster, stars: int) -> ClusterParameters:
    """Those of a mock with so many stars at birth."""
    return ClusterParameters(
        initial_stars=stars,
        age_gyr=cluster.age,
        metallicity=cluster.metallicity,
        orbit_kpc=20.0,
        half_mass_radius_pc=cluster.radius,
        w0=cluster.w0,
        truncation=1.0,
        neutron_stars=0.05,
        black_holes=0.0,
    )
