"""The catalogue of a folder of maps: what it leaves open is drawn, what is missing is told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from pipeline.errors import InputError
from pipeline.inputs.cluster_catalogue import FEWEST, Source, read_source

CLUSTERS: Any = SimpleNamespace(seed=1, val_fraction=0.1, test_fraction=0.1, calibration_fraction=0.0)


def source(folder: Path, n: int = 20, **columns: object) -> Source:
    values = {"age_gyr": [12.0] * n, "distance_kpc": [5.0] * n, **columns}
    pl.DataFrame(values).write_csv(folder / "catalogue.csv")
    return read_source(folder, CLUSTERS)


def test_what_the_catalogue_leaves_open_is_filled_in(tmp_path: Path) -> None:
    found = source(tmp_path)
    assert found.folder == tmp_path and found.layout == "arrays" and not found.complete
    assert found.catalogue["map"].to_list() == found.catalogue["cluster"].to_list() == list(range(20))
    numbers = dict(found.catalogue["split"].value_counts().iter_rows())
    assert numbers == {"train": 20 - 2 * FEWEST, "val": FEWEST, "test": FEWEST}, "a tenth is too few to be evaluated"


def test_a_catalogue_that_says_all_is_taken_as_it_is(tmp_path: Path) -> None:
    split = ["train"] * 12 + ["val"] * 4 + ["test"] * 4
    found = source(tmp_path, map=range(20), cluster=range(20), split=split)
    assert found.complete and found.catalogue["split"].to_list() == split
    assert found.rows(range(3, 5)) == [
        {"age_gyr": 12.0, "distance_kpc": 5.0, "map": k, "cluster": k, "split": "train"} for k in (3, 4)
    ]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_calibration_alone_may_be_missing(split: str, tmp_path: Path) -> None:
    others = [name for name in ("train", "val", "test", "calibration") if name != split]
    with pytest.raises(InputError, match=f"column split has no {split}; give some to each of train, val, test"):
        source(tmp_path, split=[others[k % 3] for k in range(20)])


def test_files_are_stars_or_pictures(tmp_path: Path) -> None:
    twice = [f"run{k}.csv" for k in range(10)] * 2
    assert source(tmp_path, star_file=twice).catalogue["cluster"].to_list() == [*range(10)] * 2
    assert source(tmp_path, mass_file=["m.fits"] * 20, flux_file=["f.fits"] * 20).layout == "images"
    with pytest.raises(InputError, match="mass_file, and one of light_file and flux_file"):
        source(tmp_path, mass_file=["m.fits"] * 20)
