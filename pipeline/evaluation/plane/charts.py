"""Chart, items and thumbnails of the densities and of what was learned of them."""

import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from pipeline.evaluation.common.charts import Chart
from pipeline.evaluation.common.result import thumbnails

POINTS = 16  # of a side of the grid that the chart shows
Array = NDArray[Any]


def density_chart(true: dict[str, Tensor], found: dict[str, Tensor]) -> Chart:
    """Density at some points of the plane, learned against true."""
    tables = [
        pl.DataFrame({"truth": some_points(true[name]), "predicted": some_points(found[name])}).with_columns(
            group=pl.lit(name)
        )
        for name in true
    ]
    return Chart("density", "predicted", "Density at points of the unit box, learned and true.", pl.concat(tables))


def some_points(log_density: Tensor) -> Array:
    """Densities at ``POINTS``² nodes, evenly chosen of those of a grid (nodes²,)."""
    square = on_square(log_density)
    every = len(square) // POINTS
    return square[every // 2 :: every, every // 2 :: every].ravel()


def on_square(log_density: Tensor) -> Array:
    """Densities at the nodes of ``unit_grid``, (side, side), the first coordinate along the first axis."""
    side = math.isqrt(len(log_density))
    return log_density.double().exp().view(side, side).numpy()


def held_out(names: list[str], metrics: dict[str, Any]) -> pl.DataFrame:
    """A row for each density: the least negative log-likelihood that is possible, that of the model, their gap."""
    return pl.DataFrame(
        {
            "item": names,
            "nll_truth_nats": [metrics[f"baseline/entropy/{name}_nll_nats"] for name in names],
            "nll_predicted_nats": [metrics[f"test/{name}_nll_nats"] for name in names],
            "kl_nats": [metrics[f"test/{name}_kl_nats"] for name in names],
        }
    )


def density_pictures(true: dict[str, Tensor], found: dict[str, Tensor]) -> list[NDArray[np.uint8]]:
    """The true density and the learned one side by side, with one black and white."""
    pairs = [[on_square(densities[name]).T[::-1] for densities in (true, found)] for name in true]
    return [np.hstack(thumbnails(pair, white=float(pair[0].max()))) for pair in pairs]
