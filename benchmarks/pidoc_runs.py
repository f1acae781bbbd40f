"""Trainings of π-DOC that benchmarks share: the chain's own stages in runs/benchmarks/pidoc/<name>."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.chain import RAW, SEEN, Settings, evaluated, make_maps
from datamodules.cluster_maps import ClusterMapsDataModule
from pipeline.evaluation.pidoc.measures import Array

MASS, AGE, ENERGY = "pidoc-mass", "pidoc-age-distance", "ebm"
MEASURES = {  # of each model: name, measure of reports/evaluate/<model>.json, unit
    MASS: (
        ("mass per pixel", "pixel_error_binned_percent", "%"),
        ("mass in the field", "field_error_percent", "%"),
    ),
    AGE: (
        ("distance", "distance_error_kpc", "kpc"),
        ("age", "age_error_binned_gyr", "Gyr"),
    ),
}
PERCEPTRON_EPOCHS = 60  # of what reads statistics
ENERGY_EPOCHS = 24
LOOKS = 1  # at each map beside the clean one: fewer than the chain's, for the statistics of so many maps take long


@dataclass(frozen=True)
class Size:
    """Training clusters, one map of each, and epochs and width of the network of masses."""

    clusters: int
    epochs: int
    width: float


SIZES = {
    "authors": Size(80000, 1, 2.0),
    "broad": Size(36000, 1, 1.0),
}
QUICK = Size(64, 1, 0.25)


@dataclass(frozen=True)
class Trained:
    """Folder of a network and its metrics."""

    size: Size
    folder: Path
    metrics: dict[str, Any]


def trained(priors: str, model: str, quick: bool) -> Trained:
    """Train a network on a set of priors, unless an earlier run has."""
    return trained_on(*full_size(priors, quick), priors, model)


def full_size(priors: str, quick: bool) -> tuple[str, Size]:
    """Name of the folder and size of the main trainings on a set of priors."""
    size = QUICK if quick else SIZES[priors]
    return f"{priors}-{size.clusters}", size


def trained_on(name: str, size: Size, priors: str, model: str) -> Trained:
    """Train a network in folder runs/benchmarks/pidoc/<name>, which both share, unless an earlier run has."""
    folder = training_maps(name, size, priors)
    return Trained(size, folder, evaluated(folder, model))


def training_maps(name: str, size: Size, priors: str) -> Path:
    """Folder runs/benchmarks/pidoc/<name> with maps and parameters of both networks.

    A tenth of the number of training clusters, at most 600, validate, as many calibrate, and at most 100 are for the
    test.
    """
    clusters: dict[str, Any] = {
        "priors": priors,
        "projections": 1,
        "n_train": size.clusters,
        "n_val": min(600, max(4, size.clusters // 10)),
        "n_calibration": min(600, max(4, size.clusters // 10)),
        "n_test": min(100, size.clusters),
    }
    networks: Settings = {
        MASS: {
            "model.width": size.width,
            "data.statistics_passes": -(-PERCEPTRON_EPOCHS // size.epochs),
            "trainer.max_epochs": size.epochs,
            "trainer.threads": 1,
        },
        AGE: {"trainer.max_epochs": PERCEPTRON_EPOCHS, "trainer.threads": 1},
        ENERGY: {"trainer.max_epochs": ENERGY_EPOCHS, "trainer.threads": 1},
    }
    return make_maps(f"pidoc/{name}", {"clusters": clusters, "maps": {"looks": LOOKS}, **networks})


def test_maps(priors: str, clusters: int) -> Path:
    """Folder of further test clusters, of another seed than those that networks are trained and judged on."""
    sizes = {"projections": 1, "n_train": 1, "n_val": 1, "n_calibration": 1, "n_test": clusters, "seed": 2}
    settings: Settings = {"clusters": {"priors": priors, **sizes}, "maps": {"looks": LOOKS}}
    return make_maps(f"pidoc/{priors}-test-{clusters}", settings)


def maps_of(folder: Path) -> ClusterMapsDataModule:
    """The maps of a run."""
    data = ClusterMapsDataModule(folder / "data/clusters", batch_size=100, seed=1, statistics_passes=1)
    data.setup()
    return data


@dataclass(frozen=True)
class RawMaps:
    """The maps of a split before the telescope, in the order of its batches.

    Attributes:
        light: V, per pixel (maps, H, H), in units of LIGHT_UNIT.
        catalogue: a row for each.
    """

    light: NDArray[np.float16]
    catalogue: pl.DataFrame

    @property
    def distance(self) -> Array:
        """Of each map, kpc."""
        return self.catalogue["distance_kpc"].to_numpy()

    @property
    def field_log_mass(self) -> Array:
        """log10 of the mass in the field of each map, Msun."""
        return self.catalogue["field_log_mass"].to_numpy()

    @property
    def age(self) -> Array:
        """Of each map, Gyr."""
        return self.catalogue["age_gyr"].to_numpy()


def raw_maps(folder: Path, split: str) -> RawMaps:
    """Those of a run; they follow one another in the files, so that nothing is copied."""
    catalogue = pl.read_csv(folder / SEEN / "catalogue.csv").filter(pl.col("split") == split).sort("map")
    rows = slice(catalogue["map"][0], catalogue["map"][-1] + 1)
    return RawMaps(np.load(folder / RAW / "light.npy", mmap_mode="r")[rows], catalogue)
