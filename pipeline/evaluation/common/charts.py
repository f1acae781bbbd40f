"""Charts without a look: the table behind each, which W&B, DVC and the report draw in their own way."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import polars.selectors as cs

KINDS: dict[str, tuple[str, ...]] = {  # of a chart: the columns that its table must have
    "predicted": ("truth", "predicted"),
    "calibration": ("stated_percent", "found_percent"),
    "roc": ("false_positive_rate", "true_positive_rate", "score"),
}
OPTIONAL: dict[str, tuple[str, ...]] = {  # and those that it may have
    "predicted": ("low", "high", "group"),
    "calibration": ("group",),
    "roc": (),
}
NAME = re.compile(r"[a-z0-9_]+")
DIGITS = 7  # significant ones of a number in a file
POINTS = 5_000  # of a thinned table, at most


@dataclass(frozen=True)
class Chart:
    """A chart as data.

    Attributes:
        name: of its file, without suffix: lower case, digits and ``_``.
        kind: one of ``KINDS``.
        title: a sentence.
        table: ``predicted``: truth, predicted, and low and high where there are intervals; ``calibration``:
            stated_percent, found_percent; ``roc``: false_positive_rate, true_positive_rate and score, the name of what
            tells the classes apart. ``group`` tells kinds of points apart.

    Raises:
        ValueError: a name is no name, a column is missing, unknown or has a number that is not finite.
    """

    name: str
    kind: str
    title: str
    table: pl.DataFrame

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of a chart; use lower case, digits and _")
        columns, needed = set(self.table.columns), set(KINDS[self.kind])
        if not needed <= columns <= needed | set(OPTIONAL[self.kind]):
            raise ValueError(f"{self.name}: a chart of kind {self.kind} has no columns {self.table.columns}")
        check_finite(self.table, self.name)


def check_finite(table: pl.DataFrame, name: str) -> None:
    """Refuse a table with a number that is not finite; null is allowed: there is none.

    Raises:
        ValueError: there is one; ``name`` and the column are named.
    """
    for column in table.select(cs.float()):
        if not column.is_finite().all():
            raise ValueError(f"{name}: column {column.name} has a number that is not finite")


def rounded(table: pl.DataFrame) -> pl.DataFrame:
    """The table as it stands in files: seven significant digits."""
    return table.with_columns(cs.float().cast(pl.Float64).round_sig_figs(DIGITS))


def thinned(table: pl.DataFrame) -> pl.DataFrame:
    """Every so many of the rows, so that no browser has to draw more than ``POINTS``."""
    return table.gather_every(-(-len(table) // POINTS))


def write_charts(charts: Sequence[Chart], items: pl.DataFrame | None, folder: Path) -> None:
    """Write ``<chart>.csv`` for each chart, ``items.csv``, and ``charts.json`` with kind and title of each chart.

    Args:
        charts: in reading order.
        items: a row for each held-out item.
        folder: that exists.
    """
    for chart in charts:
        rounded(chart.table).write_csv(folder / f"{chart.name}.csv")
    if items is not None:
        rounded(items).write_csv(folder / "items.csv")
    told = {chart.name: {"kind": chart.kind, "title": chart.title} for chart in charts}
    (folder / "charts.json").write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf-8")
