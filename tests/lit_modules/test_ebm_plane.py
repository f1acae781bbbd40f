"""LitPlanes: an energy for each density, and a line where one is not finite."""

from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.densities import DENSITIES
from datamodules.planes import draw_all
from lit_modules.ebm_plane import LitPlanes
from pipeline.errors import InputError
from pipeline.settings.load import load_params

ROOT = Path(__file__).parents[2]


def make(**changes: Any) -> LitPlanes:
    torch.manual_seed(0)
    values = load_params(ROOT / "params.yaml").model_section("ebm-plane").model.model_dump()
    return LitPlanes(**{**values, **changes})


def test_there_is_an_energy_for_each_density() -> None:
    model = make()
    assert list(model.net) == list(DENSITIES)
    assert model(torch.zeros(4, 2)).shape == (len(DENSITIES), 4)


def test_the_loss_is_the_mean_of_the_densities() -> None:
    losses = make().losses(draw_all(64, 1, 2))
    assert set(losses) == {"loss", *DENSITIES}
    parts = torch.stack([losses[name] for name in DENSITIES])
    torch.testing.assert_close(losses["loss"], parts.mean())


@pytest.mark.parametrize("training", ["exact", "metropolis", "persistent", "nce"])
def test_few_steps_learn_a_part_of_each(training: str) -> None:
    """An untrained energy is nearly flat, ln 4 = 1.39 nats."""
    model = make(training=training, nodes=24, steps=5, hidden=32)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(60):
        loss = model.losses(draw_all(128, 1, 2 + step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model.eval().losses(draw_all(2000, 1, 1))["loss"].item() < 0.6


def test_persistent_chains_go_into_the_checkpoint() -> None:
    model, resumed = make(training="persistent", steps=2, nodes=8), make(training="persistent")
    model.losses(draw_all(16, 1, 2))
    model.all_gather = lambda states: states  # as one process does
    checkpoint: dict[str, Any] = {}
    model.on_save_checkpoint(checkpoint)
    resumed.on_load_checkpoint(checkpoint)
    for name in DENSITIES:
        torch.testing.assert_close(resumed.objectives[name].states, model.objectives[name].states)


def test_an_energy_that_is_not_finite_is_one_line() -> None:
    model = make(training="metropolis", nodes=8)
    with torch.no_grad():
        model.ellipse.log_sigma.fill_(torch.nan)
    with pytest.raises(InputError, match=r"ebm-plane: ellipse: .*not finite.*lr"):
        model.losses(draw_all(16, 1, 2))


def test_pictures_have_the_points_below_their_density() -> None:
    """Of an energy -c y₁ the density is bright on the right; points in the upper left corner are there below it."""
    model = make()
    corner = torch.tensor([-0.99, 0.99]).expand(16, 2)
    for name in model.net:
        model.net[name].forward = lambda y: -3 * y[..., 0]  # type: ignore[method-assign]
    with torch.no_grad():
        [picture] = model.example_images({name: corner for name in model.net}).values()
    side = (picture.shape[-2] - 1) // 2
    learned, points = picture[0, :side, :side], picture[0, side + 1 :, :side]
    assert (learned[:, 1:] > learned[:, :-1]).all() and points[0, 0] == 1 and points.sum() == 1
