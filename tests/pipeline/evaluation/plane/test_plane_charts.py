"""What is shown of densities on the plane, against densities written out."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lit_modules.networks.energy.box import unit_grid
from pipeline.evaluation.plane.charts import density_chart, density_pictures, held_out

NODES = 64


def stripe(height: float) -> Tensor:
    """Log density of a stripe over the upper half of the plane, where y2 > 0; double or single precision."""
    return torch.where(unit_grid(NODES)[:, 1] > 0, math.log(height), -math.inf)


def test_densities_are_compared_at_the_same_points() -> None:
    """Learned is what is true times 1.5; of 16 x 16 points half lie in the stripe."""
    chart = density_chart({"stripe": stripe(0.5).double()}, {"stripe": stripe(0.75)})
    assert chart.table.columns == ["truth", "predicted", "group"] and len(chart.table) == 256
    np.testing.assert_allclose(chart.table["predicted"], 1.5 * chart.table["truth"].to_numpy(), rtol=1e-6)
    assert (chart.table["truth"] > 0).sum() == 128


def test_pictures_have_the_second_coordinate_upwards_and_one_white() -> None:
    [picture] = density_pictures({"stripe": stripe(0.5)}, {"stripe": stripe(0.1)})
    assert picture.shape == (64, 128) and picture.dtype == np.uint8
    true, found = picture[:, :64], picture[:, 64:]
    assert (true[:32] == 255).all() and (true[32:] == 0).all()
    assert (found[:32] == 51).all() and (found[32:] == 0).all()


def test_items_are_numbers_of_the_metrics() -> None:
    metrics = {"baseline/entropy/a_nll_nats": 2.0, "test/a_nll_nats": 2.5, "test/a_kl_nats": 0.5, "test/kl_nats": 0.5}
    items = held_out(["a"], metrics)
    assert items.rows() == [("a", 2.0, 2.5, 0.5)]
    assert items["kl_nats"].mean() == pytest.approx(metrics["test/kl_nats"])
