"""Folders of clusters as people have them, and the stage that imports them."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from conftest import edit_params, run_stage

from pipeline.settings.clusters import Clusters
from pipeline.settings.load import load_params

OUT, OURS = Path("data/clusters/maps"), Path("data/synthetic/cluster_maps")
SMALL = {
    "clusters.n_train": 7,
    "clusters.n_val": 4,
    "clusters.n_calibration": 1,
    "clusters.n_test": 1,
    "runtime.workers": 1,
}
NEEDED, SPLITS = ("age_gyr", "distance_kpc"), ["train", "val", "test"]


def clusters() -> Clusters:
    return load_params("params.yaml").clusters


def import_from(source: str | Path) -> None:
    edit_params(Path(), {"clusters.source": str(source)})
    run_stage("import_clusters")


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def plummer(n: int, seed: int = 1) -> pl.DataFrame:
    """A cluster of equal stars, all within 10 pc."""
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal((3, n))
    position = direction / np.linalg.norm(direction, axis=0) * rng.uniform(0, 10, n)
    return pl.DataFrame(dict(zip("xyz", position, strict=True))).with_columns(mass=pl.lit(0.5), luminosity=pl.lit(0.25))


def own_stars(mine: Path, n: int = 12) -> pl.DataFrame:
    mine.mkdir()
    for k in range(n):
        plummer(2000, k).write_csv(mine / f"run{k}.csv")
    rows = pl.DataFrame(
        {
            "star_file": [f"run{k}.csv" for k in range(n)],
            "age_gyr": 12.0 - 0.5 * np.arange(n),
            "distance_kpc": [100.0] * n,
        }
    )
    rows.write_csv(mine / "catalogue.csv")
    return rows


def edit_catalogue(**columns: Any) -> Callable[[Path], None]:
    def edit(mine: Path) -> None:
        table = pl.read_csv(mine / "catalogue.csv")
        for name, value in columns.items():
            table = table.drop(name) if value is None else table.with_columns(pl.Series(name, value))
        table.write_csv(mine / "catalogue.csv")

    return edit
