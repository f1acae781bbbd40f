"""The held-out items of an evaluation as a table of W&B, and the histograms of their errors."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import polars as pl

from pipeline.evaluation.common.charts import rounded

if TYPE_CHECKING:
    import numpy as np
    import wandb
    from numpy.typing import NDArray


def table_of(frame: pl.DataFrame) -> "wandb.Table":
    """A table with the columns and rows of a frame."""
    import wandb

    return wandb.Table(columns=list(frame.columns), data=[list(row) for row in frame.iter_rows()])


def held_out(items: pl.DataFrame, thumbnails: "Sequence[NDArray[np.uint8]]") -> "wandb.Table":
    """A row for each item, with the thumbnails of the first of them in a last column where there are any."""
    import wandb

    if not thumbnails:
        return table_of(rounded(items))
    pictures = [wandb.Image(picture) for picture in thumbnails]
    rows = zip_longest(rounded(items).iter_rows(), pictures)
    return wandb.Table(columns=[*items.columns, "picture"], data=[[*row, picture] for row, picture in rows])


def error_histograms(items: pl.DataFrame) -> "dict[str, wandb.Histogram]":
    """A histogram of each column of errors, under ``histograms/<column>``."""
    import wandb

    errors = [items[name].drop_nulls() for name in items.columns if "error" in name]
    return {f"histograms/{column.name}": wandb.Histogram(column.to_list()) for column in errors if len(column)}
