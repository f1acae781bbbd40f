"""Sections clusters, maps, cluster_pictures and star_fields of params.yaml: mock clusters, and pictures of them."""

from bisect import bisect_right
from itertools import accumulate
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from datamodules.settings import CLUSTER_SPLITS
from pipeline.settings.base import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    Seed,
)

HELD_OUT = 9000  # number of the random numbers of the first cluster of validation


class Range(Section):
    """An interval to draw from."""

    low: float
    high: float


def _within(lowest: float, highest: float) -> AfterValidator:
    def check(interval: Range) -> Range:
        if not lowest <= interval.low <= interval.high <= highest:
            raise ValueError(f"low and high should lie between {lowest:g} and {highest:g}, in this order")
        return interval

    return AfterValidator(check)


class ClusterPriors(Section):
    initial_stars: Annotated[Range, _within(1e3, 1e7)]
    age_gyr: Annotated[Range, _within(0.1, 14.0)]
    metallicity: Annotated[Range, _within(1e-4, 1e-2)]
    orbit_kpc: Annotated[Range, _within(0.1, 1e3)]
    most_lost: Annotated[float, Field(gt=0, le=0.95)]
    half_mass_radius_pc: Annotated[Range, _within(0.1, 100.0)]
    w0: Annotated[Range, _within(1.5, 8.0)]
    truncation: Annotated[Range, _within(1.0, 2.0)]
    neutron_stars: Annotated[Range, _within(0.0, 1.0)]
    black_holes: Annotated[Range, _within(0.0, 1.0)]

    def intervals(self) -> dict[str, Any]:
        """Arguments of ``pipeline.simulation.clusters.star_cluster.draw_parameters``."""
        values = {name: getattr(self, name) for name in ClusterPriors.model_fields}
        return {name: (v.low, v.high) if isinstance(v, Range) else v for name, v in values.items()}


class MapPriors(ClusterPriors):
    distance_kpc: Annotated[Range, _within(0.1, 1e4)]
    distance_spread: Literal["uniform", "log-uniform"]
    shift_arcsec: NonNegativeFloat


class Clusters(Section):
    source: str
    val_fraction: Fraction
    calibration_fraction: Fraction
    test_fraction: Fraction
    n_train: PositiveInt
    n_val: PositiveInt
    n_calibration: PositiveInt
    n_test: PositiveInt
    projections: PositiveInt
    test_distances: Annotated[list[PositiveFloat], Field(min_length=1)]
    pixels: PositiveInt
    margin: PositiveInt
    mass_psf_sigma: PositiveFloat
    mass_floor: float
    priors: Literal["broad", "authors"]
    broad: MapPriors
    authors: MapPriors
    seed: Seed

    @field_validator("mass_psf_sigma")
    @classmethod
    def _fits_into_margin(cls, sigma: float, info: ValidationInfo) -> float:
        margin = info.data.get("margin")
        if margin is not None and 4 * sigma > margin:
            raise ValueError(f"four times {sigma:g} is more than margin {margin}; raise margin")
        return sigma

    @property
    def chosen(self) -> MapPriors:
        """The set of priors that ``priors`` names."""
        return self.broad if self.priors == "broad" else self.authors

    @property
    def n(self) -> int:
        """Number of clusters."""
        return self.n_train + self.n_val + self.n_calibration + self.n_test

    @property
    def n_maps(self) -> int:
        """Number of maps of all clusters."""
        return (self.n - self.n_test) * self.projections + self.n_test * len(self.test_distances)

    def place(self, cluster: int) -> tuple[str, int, int]:
        """Split, number of the first map and number of maps of a cluster."""
        tested = cluster - (self.n - self.n_test)
        if tested >= 0:
            n = len(self.test_distances)
            return "test", self.n_maps - (self.n_test - tested) * n, n
        ends = list(accumulate([self.n_train, self.n_val, self.n_calibration]))
        return CLUSTER_SPLITS[bisect_right(ends, cluster)], cluster * self.projections, self.projections

    def stream(self, cluster: int) -> int:
        """Number of the random numbers of a cluster.

        Those of validation and test keep theirs however many there are to train on, so that a larger training is judged
        by the same clusters, seen clean from the same sides.
        """
        held_out = cluster - self.n_train
        if held_out < 0:
            return cluster if cluster < HELD_OUT else cluster + self.n - self.n_train
        if held_out >= self.n_val:  # calibration last
            held_out = self.n_val + (held_out - self.n_val - self.n_calibration) % (self.n_calibration + self.n_test)
        return HELD_OUT + held_out


class Maps(Section):
    psf_sigma: PositiveFloat
    flux_floor: float
    looks: NonNegativeInt
    look_psf_sigma: Annotated[Range, _within(0.1, 100.0)]
    log_noise: Annotated[Range, _within(-12.0, 0.0)]
    sky: Annotated[Range, _within(10.0, 30.0)]
    sky_error: NonNegativeFloat
    foreground: Annotated[Range, _within(0.0, 1e3)]
    seed: Seed

    @property
    def widest_psf(self) -> float:
        """Largest sigma of a look's point-spread function, pixels."""
        return max(self.psf_sigma, self.look_psf_sigma.high if self.looks else 0.0)


class ClusterPictures(Section):
    n_pictures: PositiveInt
    size: PositiveInt
    cluster: ClusterPriors
    distance_kpc: Annotated[Range, _within(0.1, 1e4)]
    half_width: Annotated[Range, _within(0.1, 100.0)]
    blue_branch: Annotated[Range, _within(0.0, 1.0)]
    field_stars: Annotated[Range, _within(0.0, 1e3)]
    seeing_pixels: Annotated[Range, _within(0.1, 20.0)]
    sky: Annotated[Range, _within(10.0, 30.0)]
    one_electron: Annotated[Range, _within(10.0, 40.0)]
    white: Annotated[Range, _within(0.5, 1.0)]
    soft: Annotated[Range, _within(1e-3, 1e6)]
    tint: Annotated[Range, _within(0.0, 1.0)]
    seed: Seed


class StarFields(Section):
    n_fields: PositiveInt
    n_stars: Annotated[int, Field(ge=16)]
    cluster: ClusterPriors
    distance_kpc: Annotated[Range, _within(0.1, 1e4)]
    share: Annotated[Range, _within(0.05, 0.95)]
    half_width: Annotated[Range, _within(1.0, 100.0)]
    off_centre: Fraction
    reddening: Annotated[Range, _within(0.0, 3.0)]
    colour_error: NonNegativeFloat
    seed: Seed
