"""What is told of each held-out field: a row of a table and a thumbnail; and the tables behind the charts."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.calibration import calibration_curve

from pipeline.evaluation.common.charts import Chart
from pipeline.evaluation.common.result import THUMBNAIL_WIDTH, THUMBNAILS
from pipeline.evaluation.common.roc import roc
from pipeline.evaluation.spectral.fields import THRESHOLD, Array, Fields
from pipeline.evaluation.spectral.figures import BINS

BLUE, GREEN, RED, GREY = (0, 114, 178), (0, 158, 115), (213, 94, 0), (90, 90, 90)
HALF = 1  # pixels about the middle of a dot
POINTS = 500  # of a curve


def item_table(numbers: NDArray[np.int64], fields: Fields, precision: Array) -> pl.DataFrame:
    """A row for each field: its number, how many members it has, how many the network expects, what it misses."""
    member, probability = fields.member > 0, fields.probability["model"]
    called, expected = probability >= THRESHOLD, probability.sum(1)
    return pl.DataFrame(
        {
            "item": numbers,
            "members_truth": member.sum(1),
            "members_predicted": expected,
            "members_error": np.abs(expected - member.sum(1)),
            "missed_members": (member & ~called).sum(1),
            "false_members": (~member & called).sum(1),
            "average_precision": precision,
        }
    )


def thumbnail(fields: Fields, field: int) -> NDArray[np.uint8]:
    """True members in blue, above hits in green, misses in blue and false members in red."""
    member, called = fields.member[field] > 0, fields.probability["model"][field] >= THRESHOLD
    truth = [BLUE if is_member else GREY for is_member in member]
    outcome = [SIGNS[pair] for pair in zip(member, called, strict=True)]
    return np.concatenate([dotted(fields.position[field], colours) for colours in (truth, outcome)])


SIGNS = {(True, True): GREEN, (True, False): BLUE, (False, True): RED, (False, False): GREY}


def dotted(position: Array, colours: list[tuple[int, int, int]]) -> NDArray[np.uint8]:
    """Stars as dots on black, y upwards."""
    size = THUMBNAIL_WIDTH
    places = (0.5 + 0.47 * position * [1, -1] / np.abs(position).max()) * size
    picture = Image.new("RGB", (size, size))
    draw = ImageDraw.Draw(picture)
    for (x, y), colour in zip(places, colours, strict=True):
        draw.rectangle((x - HALF, y - HALF, x + HALF, y + HALF), fill=colour)
    return np.asarray(picture)


def thumbnails_of(fields: Fields) -> list[NDArray[np.uint8]]:
    """Of the first fields."""
    return [thumbnail(fields, field) for field in range(len(fields.member))[:THUMBNAILS]]


def charts(fields: Fields) -> list[Chart]:
    """ROC beside the rivals, how often probabilities come true, and the number of members of each field."""
    counted = pl.DataFrame(
        {"truth": fields.member.sum(1), "predicted": fields.probability["model"].sum(1)},
        schema={"truth": pl.Float64, "predicted": pl.Float64},
    )
    found, stated = calibration_curve(fields.member.ravel(), fields.probability["model"].ravel(), n_bins=BINS)
    calibration = pl.DataFrame({"stated_percent": 100 * stated, "found_percent": 100 * found})
    return [
        Chart("membership", "roc", "Members found over stars of the field called members", roc_table(fields)),
        Chart("calibration", "calibration", "How often a stated probability of membership comes true", calibration),
        Chart("members", "predicted", "Members of a field, and the sum of the stated probabilities", counted),
    ]


def roc_table(fields: Fields) -> pl.DataFrame:
    """The ROC curve of each method over all held-out stars: ends, and at most ``POINTS`` corners."""
    return pl.concat([_roc(who, fields.member, values) for who, values in fields.probability.items()])


def _roc(who: str, member: Array, probability: Array) -> pl.DataFrame:
    curve = roc(who, member.ravel(), probability.ravel())
    return curve[np.unique(np.linspace(0, len(curve) - 1, POINTS).round().astype(int))]
