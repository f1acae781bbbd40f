"""Trainings of π-DOC that benchmarks share: the chain's own stages in runs/benchmarks/pidoc/<name>."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.chain import Settings, evaluated, make_folder, stage
from datamodules.cluster_maps import ClusterMapsDataModule
from pipeline.evaluation.pidoc_measures import Array

MASS, AGE = "pidoc-mass", "pidoc-age-distance"
PIXEL_ERROR, FIELD_ERROR = "pixel mass, authors' bins (%)", "M/L of the field, mean error (%)"
DISTANCE_ERROR, AGE_ERROR = "distance, authors' mean over distances (kpc)", "age, authors' bins (Gyr)"
RAW = Path("data/synthetic/cluster_maps")


@dataclass(frozen=True)
class Size:
    """Training clusters, three maps each, and epochs of the two networks."""

    clusters: int
    mass_epochs: int
    age_epochs: int


SIZES, QUICK = {"authors": Size(8000, 11, 16), "broad": Size(8000, 3, 8)}, Size(64, 1, 1)


@dataclass(frozen=True)
class Trained:
    """Folder of both networks, at width 0.5 (mass) and 1 (distance and age), and their metrics."""

    size: Size
    folder: Path
    mass: dict[str, Any]
    age: dict[str, Any]


def trained(priors: str, quick: bool) -> Trained:
    """Train both networks on a set of priors, unless an earlier run has."""
    size = QUICK if quick else SIZES[priors]
    folder = make_maps(f"{priors}-{size.clusters}", priors, size.clusters, {
        MASS: {"model.width": 0.5, "trainer.max_epochs": size.mass_epochs},
        AGE: {"model.width": 1.0, "trainer.max_epochs": size.age_epochs},
    })  # fmt: skip
    return Trained(size, folder, evaluated(folder, MASS), evaluated(folder, AGE))


def make_maps(name: str, priors: str, clusters: int, settings: Settings) -> Path:
    """Folder runs/benchmarks/pidoc/<name> with its parameters and its maps.

    Args:
        name: of the folder.
        priors: authors or broad.
        clusters: for training; a tenth of them, at most 200, for validation, and 100 for the test.
        settings: further values of params.yaml, by section and by dotted name.
    """
    sizes = {"n_train": clusters, "n_val": min(200, max(4, clusters // 10)), "n_test": min(100, clusters)}
    folder = make_folder(f"pidoc/{name}", {"clusters": {"priors": priors, **sizes}, **settings})
    stage(folder, str(RAW), "generate_clusters")
    stage(folder, "data/clusters", "preprocess_maps")
    return folder


def maps_of(folder: Path) -> ClusterMapsDataModule:
    """The maps of a run."""
    data = ClusterMapsDataModule(folder / "data/clusters", batch_size=100, seed=1)
    data.setup()
    return data


@dataclass(frozen=True)
class RawMaps:
    """The maps of a split before the telescope, in the order of its batches.

    Attributes:
        light: Lsun, V, per pixel (maps, pixels, pixels).
        mass: Msun per pixel, likewise.
        catalogue: a row for each.
    """

    light: NDArray[np.float32]
    mass: NDArray[np.float32]
    catalogue: pl.DataFrame

    @property
    def distance(self) -> Array:
        """Of each map, kpc."""
        return self.catalogue["distance_kpc"].to_numpy()

    @property
    def age(self) -> Array:
        """Of each map, Gyr."""
        return self.catalogue["age_gyr"].to_numpy()


def raw_maps(folder: Path, split: str) -> RawMaps:
    """Those of a run; they follow one another in the files, so that nothing is copied."""
    catalogue = pl.read_csv(folder / RAW / "catalogue.csv").filter(pl.col("split") == split).sort("map")
    rows = slice(catalogue["map"][0], catalogue["map"][-1] + 1)
    light, mass = (np.load(folder / RAW / name, mmap_mode="r")[rows] for name in ("light.npy", "mass.npy"))
    return RawMaps(light, mass, catalogue)
