"""The catalogue of a folder of clusters: a row a map, what it must say, and what is drawn where it says nothing.

Its columns tell the layout of the folder: with ``star_file`` tables of stars, with ``mass_file`` and ``light_file`` or
``flux_file`` an image of each for every map, else light.npy and mass.npy hold all maps as data/clusters/maps/ does.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from datamodules.settings import CLUSTER_SPLITS
from pipeline.errors import InputError, warn
from pipeline.settings.clusters import Clusters

Layout = Literal["arrays", "images", "stars"]
BOUNDS = {"age_gyr": (0.001, 14.0), "distance_kpc": (0.1, 1e4)}
SHIFTS = {"shift_x_arcsec": (-100.0, 100.0), "shift_y_arcsec": (-100.0, 100.0)}
FILES = ("star_file", "light_file", "flux_file", "mass_file")
NEEDED = tuple(split for split in CLUSTER_SPLITS if split != "calibration")  # val takes its place
FEWEST = 4  # maps in a split: evaluations show so many, and need a spread


@dataclass(frozen=True)
class Source:
    """A folder of maps and its catalogue.

    Attributes:
        folder: where they lie.
        catalogue: a row a map, in order, with ``map``, ``cluster``, ``split``, ``age_gyr`` and ``distance_kpc``.
        layout: how the maps are stored.
        complete: the file catalogue.csv says all this itself.
    """

    folder: Path
    catalogue: pl.DataFrame
    layout: Layout
    complete: bool

    def rows(self, block: range) -> list[dict[str, Any]]:
        """Of the catalogue."""
        return self.catalogue[block.start : block.stop].to_dicts()


def read_source(folder: Path, clusters: Clusters) -> Source:
    """Read and check the catalogue of a folder; what it leaves open is numbered, or drawn from the seed.

    Raises:
        InputError: there is none, or a column is missing or says what cannot be.
    """
    file = folder / "catalogue.csv"
    given = read_table(file, "a folder with a catalogue.csv, a row a map")
    layout = _layout(file, given)
    for column, bounds in (BOUNDS | SHIFTS if SHIFTS.keys() & set(given.columns) else BOUNDS).items():
        check_numbers(file, given, column, bounds)
    _check_names(file, given)
    catalogue = given if "map" in given.columns else given.with_row_index("map")
    if sorted(catalogue["map"]) != list(range(len(given))):
        raise InputError(f"{file}: column map does not number the maps 0, 1, 2, ...; mend or remove it")
    catalogue = catalogue.sort("map")
    if "cluster" not in catalogue.columns:
        alike = pl.col("star_file").rank("dense") - 1 if layout == "stars" else pl.col("map")
        catalogue = catalogue.with_columns(alike.cast(pl.Int64).alias("cluster"))
    if "split" not in catalogue.columns:
        catalogue = catalogue.with_columns(_drawn_split(file, catalogue["cluster"], clusters))
    _check_split(file, catalogue)
    return Source(folder, catalogue, layout, complete=layout == "arrays" and catalogue.equals(given))


def read_table(file: Path, wanted: str) -> pl.DataFrame:
    """A CSV, comma or semicolon, or Parquet table; names of columns without spaces around them.

    Raises:
        InputError: it is neither, or has no rows; says what is ``wanted``.
    """
    try:
        if file.suffix == ".parquet":
            table = pl.read_parquet(file)
        else:
            with file.open("rb") as lines:
                head = lines.readline()
            separator = ";" if b";" in head and b"," not in head else ","
            table = pl.read_csv(file, separator=separator, infer_schema_length=None)
        table = table.rename(lambda name: name.strip().removeprefix("\ufeff"))
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{file}: cannot be read ({reason}); give {wanted}") from error
    if table.is_empty():
        raise InputError(f"{file}: has no rows; give {wanted}")
    return table


def _layout(file: Path, catalogue: pl.DataFrame) -> Layout:
    names = set(catalogue.columns)
    if "star_file" in names:
        return "stars"
    if not names & {"mass_file", "light_file", "flux_file"}:
        return "arrays"
    if "mass_file" not in names or len(names & {"light_file", "flux_file"}) != 1:
        raise InputError(f"{file}: images need the column mass_file, and one of light_file and flux_file; add it")
    return "images"


def check_numbers(file: Path, table: pl.DataFrame, column: str, bounds: tuple[float, float]) -> None:
    """Whether a column is there and holds numbers within bounds.

    Raises:
        InputError: it is not.
    """
    if column not in table.columns:
        raise InputError(f"{file}: column {column} is missing; add it")
    if not table[column].dtype.is_numeric():
        raise InputError(f"{file}: column {column} is not all numbers; mend it")
    low, high = bounds
    wrong = table.with_row_index("row").filter(~pl.col(column).cast(float).is_between(low, high).fill_null(False))
    if len(wrong):
        row, value = wrong["row"][0], wrong[column][0]
        raise InputError(f"{file}: row {row}: {column} is {value}; it should lie between {low:g} and {high:g}")


def _check_names(file: Path, catalogue: pl.DataFrame) -> None:
    """Whether every map, cluster and file has its name."""
    for column in ("map", "cluster", *FILES):
        if column not in catalogue.columns:
            continue
        empty = catalogue[column].is_null().arg_true()
        if len(empty):
            raise InputError(f"{file}: row {empty[0]}: column {column} is empty; fill it, or remove the row or column")
        if column in FILES and catalogue[column].dtype != pl.String:
            raise InputError(f"{file}: column {column} names no files; give names with their suffix")


def _drawn_split(file: Path, cluster: pl.Series, clusters: Clusters) -> pl.Series:
    """Split of each map, drawn by cluster: the fractions of params.yaml.

    Val and test take more where that is too few maps, calibration then takes none.
    """
    import numpy as np

    names, number, maps = np.unique(cluster.to_numpy(), return_inverse=True, return_counts=True)
    left = np.random.default_rng(clusters.seed).permutation(len(names))
    split = np.full(len(names), "train", dtype=object)
    for name, fraction in (("val", clusters.val_fraction), ("test", clusters.test_fraction)):
        enough = int(np.searchsorted(maps[left].cumsum(), FEWEST)) + 1
        held, left = np.split(left, [max(enough, round(fraction * len(names)))])
        split[held] = name
    held, rest = np.split(left, [round(clusters.calibration_fraction * len(names))])
    if min(maps[held].sum(), maps[rest].sum()) >= FEWEST:
        split[held], left = "calibration", rest
    if maps[left].sum() < FEWEST:
        raise InputError(f"{file}: {len(names)} clusters are too few to be split; give more, or a column split")
    return pl.Series("split", split[number], dtype=pl.String)


def _check_split(file: Path, catalogue: pl.DataFrame) -> None:
    if unknown := set(catalogue["split"]) - set(CLUSTER_SPLITS):
        raise InputError(f"{file}: column split has {unknown.pop()}; it takes {', '.join(NEEDED)} and calibration")
    for split in CLUSTER_SPLITS:
        n = (catalogue["split"] == split).sum()
        if n == 0 and split in NEEDED:
            raise InputError(
                f"{file}: column split has no {split}; give some to each of {', '.join(NEEDED)}, or no column split"
            )
        if 0 < n < FEWEST:
            warn(f"{file}: {n} maps in split {split}; evaluations need {FEWEST}")
    torn = catalogue.group_by("cluster").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1)
    if len(torn):
        raise InputError(
            f"{file}: cluster {torn['cluster'].sort()[0]} is in more than one split; put its maps into one"
        )
