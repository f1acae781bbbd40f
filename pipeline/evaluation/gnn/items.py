"""What is told of each held-out system: a row of a table, a thumbnail, and its stars at the end of a rollout."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.evaluation.common.charts import Chart, thinned
from pipeline.evaluation.common.result import THUMBNAIL_WIDTH, THUMBNAILS
from pipeline.evaluation.gnn.measures import Array

TRACK, FORECAST = (150, 150, 150), (0, 158, 220)
MARGIN = 0.1  # of a thumbnail


def item_table(numbers: Array, stars: list[int], measures: dict[str, Array]) -> pl.DataFrame:
    """A row for each simulation: its number, how many stars it has, and what is measured of it.

    Args:
        numbers: of the simulations.
        stars: of each.
        measures: by column, (systems,) each.
    """
    return pl.DataFrame({"item": np.asarray(numbers, np.int64), "stars": stars, **measures})


def thumbnail(true: Array, predicted: Array) -> NDArray[np.uint8]:
    """True tracks (times, n, 3) as lines and forecasts (outputs, n, 3) as points, seen along z."""
    size = THUMBNAIL_WIDTH
    low, high = true[..., :2].min((0, 1)), true[..., :2].max((0, 1))
    scale = (1 - 2 * MARGIN) * size / float((high - low).max())

    def pixels(places: Array) -> list[tuple[float, float]]:
        x, y = ((places[:, :2] - (low + high) / 2) * scale).T
        return list(zip(size / 2 + x, size / 2 - y, strict=True))

    picture = Image.new("RGB", (size, size))
    draw = ImageDraw.Draw(picture)
    for star in range(true.shape[1]):
        draw.line(pixels(true[:, star]), fill=TRACK)
    inside = predicted[np.isfinite(predicted).all(-1) & (np.abs(predicted) < 1e3 * np.abs(true).max()).all(-1)]
    draw.point(pixels(inside), fill=FORECAST)
    return np.asarray(picture)


def thumbnails_of(true: list[Array], predicted: list[Array]) -> list[NDArray[np.uint8]]:
    """Of the first systems."""
    return [thumbnail(*pair) for pair in list(zip(true, predicted, strict=True))[:THUMBNAILS]]


def end_chart(true: list[Array], predicted: list[Array], unit: str) -> Chart:
    """Coordinates of all stars at the end of a rollout; none where the forecast ran away to infinity.

    Args:
        true: (times, n, 3) of each system.
        predicted: the same.
        unit: of the positions.
    """
    truth, forecast = (np.concatenate([run[-1].ravel() for run in runs]) for runs in (true, predicted))
    finite = np.where(np.isfinite(forecast), forecast, np.nan)
    table = pl.DataFrame({"truth": truth, "predicted": finite}).with_columns(pl.col("predicted").fill_nan(None))
    title = f"Coordinates of the stars at the end of the rollout ({unit})"
    return Chart("rollout_end", "predicted", title, thinned(table))
