"""What readers of maps show of the test maps, clean and noisy: charts, a table of items, thumbnails."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from pipeline.evaluation.common.charts import Chart
from pipeline.evaluation.common.result import THUMBNAILS

Array = NDArray[Any]

CLEAN, NOISY = "clean", "noisy"  # looks 0 and 1 at a map
STRETCH = (1.0, 99.5)  # percentiles of a map that become black and white
LEAST = 1e-6  # dex between them: a map may be flat


class Estimates(NamedTuple):
    """A quantity of many maps, (n,) each.

    Attributes:
        truth: as the simulation has it.
        predicted: the best single value.
        low: lower end of the 68 % interval.
        high: its upper end.
    """

    truth: Array
    predicted: Array
    low: Array
    high: Array

    def columns(self, quantity: str, unit: str) -> dict[str, Array]:
        """Columns of :func:`items`, such as ``distance_truth_kpc``."""
        return {f"{quantity}_{what}_{unit}": values for what, values in self._asdict().items()}

    def log10(self) -> "Estimates":
        """Of the decimal logarithm."""
        return Estimates(*map(np.log10, self))


def counted(clusters: ArrayLike) -> str:
    """How many maps of how many clusters there are.

    Args:
        clusters: whose map each is, (n,).
    """
    maps = np.asarray(clusters)
    return f"{len(maps)} maps of {len(np.unique(maps))} clusters"


def predicted_chart(name: str, title: str, looks: Mapping[str, Estimates]) -> Chart:
    """A point with its interval for each map and look."""
    return Chart(name, "predicted", title, _grouped({look: found._asdict() for look, found in looks.items()}))


def calibration_chart(name: str, title: str, stated: Array, found: Mapping[str, ArrayLike]) -> Chart:
    """How often intervals hold the truth.

    Args:
        name: of its file.
        title: a sentence.
        stated: contents that intervals claim, (levels,), 0 to 1.
        found: share of the truths inside, (levels,), by group.
    """
    curves = {
        group: {"stated_percent": 100 * stated, "found_percent": 100 * np.asarray(share)}
        for group, share in found.items()
    }
    return Chart(name, "calibration", title, _grouped(curves))


def items(looks: Mapping[str, Mapping[str, ArrayLike]]) -> pl.DataFrame:
    """A row for each map and look, map by map; ``item`` is the number of the map within the test split.

    Args:
        looks: further columns, (n,) each, by look.
    """
    tables = [_table(columns).with_row_index("item").with_columns(look=pl.lit(look)) for look, columns in looks.items()]
    rows = pl.concat(tables).sort("item", maintain_order=True)
    return rows.select("item", "look", pl.exclude("item", "look"))


def first_rows(looks: Sequence[Array]) -> Array:
    """Of what each look has of all maps, (n, ...), the part that belongs to the first rows of :func:`items`."""
    maps = THUMBNAILS // len(looks)
    return np.stack([look[:maps] for look in looks], 1).reshape(-1, *looks[0].shape[1:])


def stretched(log_maps: Array, like: Array | None = None) -> Array:
    """Maps (n, H, W) as grey levels from 0 to 1, the last row on top as in figures.

    Args:
        log_maps: logarithms of flux or mass.
        like: maps whose percentiles become black and white; None: the same.
    """
    ends = np.percentile(log_maps if like is None else like, STRETCH, axis=(1, 2), keepdims=True)
    low, high = ends.astype(log_maps.dtype)
    return ((log_maps - low) / np.maximum(high - low, LEAST)).clip(0, 1)[:, ::-1]


def _grouped(groups: Mapping[str, Mapping[str, ArrayLike]]) -> pl.DataFrame:
    """Tables one below the other, told apart by a column ``group`` where there are several."""
    tables = {group: _table(columns) for group, columns in groups.items()}
    if len(tables) == 1:
        return next(iter(tables.values()))
    return pl.concat([table.with_columns(group=pl.lit(group)) for group, table in tables.items()])


def _table(columns: Mapping[str, ArrayLike]) -> pl.DataFrame:
    return pl.DataFrame({name: np.asarray(values) for name, values in columns.items()})
