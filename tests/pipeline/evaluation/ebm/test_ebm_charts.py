"""What is shown of each test map, of a model whose posterior is known."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import check_items

sys.path.insert(0, str(Path(__file__).parent))
from toy import MASS, Toy

from pipeline.evaluation.ebm.charts import calibrations, held_out, light_pictures, predicted, read
from pipeline.evaluation.ebm.draws import quantities
from pipeline.evaluation.ebm.measures import Seen, coverage, densities, errors

MAPS, WIDTH, LIGHT = 150, 0.1, 1.0


def seen(stated: float) -> Seen:
    """Maps of which the model states a posterior of this width in the unit box; the honest one is ``WIDTH``."""
    generator = torch.Generator().manual_seed(1)
    model = Toy(stated)
    statistics = torch.rand(MAPS, 3, generator=generator) - 0.5
    statistics[:, 2] = LIGHT
    y = torch.cat([statistics[:, :2], torch.full((MAPS, 1), MASS[0])], 1)
    y += torch.randn(MAPS, 3, generator=generator) * torch.tensor([WIDTH, WIDTH, MASS[1]])
    truth = {name: value[:, 0] for name, value in quantities(model, y[:, None], statistics[:, 2]).items()}
    return Seen.of(model, statistics, truth, 32, generator)


@pytest.fixture(scope="module")
def looks() -> dict[str, Seen]:
    """Clean maps are read honestly, noisy ones with a third of the width that is due."""
    return {"clean": seen(WIDTH), "noisy": seen(WIDTH / 3)}


def test_charts_show_median_and_interval_of_each_quantity(looks: dict[str, Seen]) -> None:
    """Age is normal with the width of the box's: median at the map's own number, ends 1 σ away; so is log mass."""
    charts = predicted({look: read(maps) for look, maps in looks.items()})
    found = {chart.name: chart.table.filter(group="clean") for chart in charts}
    assert list(found) == ["distance", "age", "field_mass", "mass_to_light"]
    age = 7 * (1 + looks["clean"].statistics[:, 1].numpy())
    for end, k in (("low", -0.9945), ("predicted", 0), ("high", 0.9945)):  # quantiles of 16, 50 and 84 %
        for name, middle, sigma in (("age", age, 7 * WIDTH), ("field_mass", MASS[0], MASS[1])):
            offset = (found[name][end].to_numpy() - middle) / sigma - k
            assert np.abs(offset).max() < 0.25 and np.abs(offset).mean() < 0.06
    truth = looks["clean"].truth
    np.testing.assert_allclose(found["field_mass"]["truth"], truth["field_mass"].log10(), rtol=1e-6)
    np.testing.assert_allclose(found["mass_to_light"]["truth"], truth["mass_to_light"], rtol=1e-6)


def test_calibration_tells_the_honest_model_from_one_too_sure(looks: dict[str, Seen]) -> None:
    """A third of the width holds 25 % where 68 % are claimed; log mass is honest in both. As the metrics have it."""
    regions, intervals = (chart.table for chart in calibrations(looks))
    for table, group in ((regions, "clean"), (intervals, "age, clean"), (intervals, "mass in the field, noisy")):
        curve = table.filter(group=group)
        assert (curve["stated_percent"] - curve["found_percent"]).abs().max() < 12
    sure = intervals.filter(group="age, noisy", stated_percent=68)["found_percent"].item()
    assert sure == pytest.approx(25, abs=8)
    for look, maps in looks.items():
        for content in (50, 68, 90, 95):
            found = regions.filter(group=look, stated_percent=content)["found_percent"].item()
            expected = densities(maps.posterior)[f"truth_in_{content}_percent"].mean()
            assert found == pytest.approx(float(expected), rel=1e-5)
        for key, inside in coverage(maps).items():
            name = {"mass": "mass in the field", "mass_to_light": "mass-to-light ratio"}.get(
                key.removesuffix("_in_68_percent"), key.removesuffix("_in_68_percent")
            )
            found = intervals.filter(group=f"{name}, {look}", stated_percent=68)["found_percent"].item()
            assert found == pytest.approx(float(inside.mean()), rel=1e-5)


def test_items_sum_up_to_the_metrics(looks: dict[str, Seen]) -> None:
    like_training = SimpleNamespace(
        training_space=lambda statistics: statistics[:, 0] + 1.4,  # more than 1 where the first number is > -0.4
        psf_range=torch.tensor([2.4, 6.0]),
        noise_range=torch.tensor([-8.0, -5.0]),
    )
    bright_and_sharp = torch.tensor([0.0, 4.0, -6.0]).repeat(MAPS, 1)
    told = {
        look: replace(maps, statistics=torch.cat([maps.statistics[:, :1], bright_and_sharp], 1))
        for look, maps in looks.items()
    }
    found = {look: read(maps) for look, maps in looks.items()}
    items = held_out(like_training, told, found, torch.arange(MAPS) // 2)  # type: ignore[arg-type]
    metrics = {}
    for look, place in (("clean", "test"), ("noisy", "test/noisy")):
        maps = looks[look]
        of_maps = errors(maps.median(), maps.truth) | densities(maps.posterior) | coverage(maps)
        metrics |= {f"{place}/{what}": float(values.double().mean()) for what, values in of_maps.items()}
    check_items(items, metrics)
    assert len(items) == 2 * MAPS and items["item"].max() == MAPS - 1
    first = looks["noisy"].statistics[:, 0].numpy()
    assert items.filter(look="noisy")["outside_training"].to_list() == (first > -0.4).tolist()
    assert {"distance_error_kpc", "age_error_gyr", "mass_error_percent", "nll_nats"} <= set(items.columns)


def test_pictures_are_those_of_the_looks_of_each_map() -> None:
    """The telescope of the test shows one bright star: where it stands, by the look."""

    def log_flux(light: torch.Tensor, distance: torch.Tensor, looks: object) -> torch.Tensor:
        sky = torch.full((len(light), 64, 64), -8.0)
        sky[torch.arange(len(light)), 0, looks.psf_sigma.long()] = -3  # type: ignore[attr-defined]
        return sky

    rows = torch.zeros(250, 2, 5, dtype=torch.float64)
    rows[:, 0, 0], rows[:, 1, 0] = torch.arange(250) % 64, 63
    part = {"map": torch.arange(250), "distance": torch.ones(250), "looks": rows}
    files, telescope = {"light": torch.zeros(250, 8, 8)}, SimpleNamespace(log_flux=log_flux)
    data = SimpleNamespace(splits={"test": part}, files=files, telescope=telescope)
    pictures = light_pictures(data, 2)  # type: ignore[arg-type]
    assert len(pictures) == 200
    assert [int(picture[-1].argmax()) for picture in pictures[:6]] == [0, 63, 1, 63, 2, 63]
