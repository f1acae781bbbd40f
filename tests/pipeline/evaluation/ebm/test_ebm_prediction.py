"""What the energy-based model says of one's own cluster, with what is known beside the map."""

import copy
import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from astropy.table import Table
from conftest import ROOT
from scipy.stats import kstest

sys.path.insert(0, str(Path(__file__).parent))
from toy import Toy

from lit_modules.ebm import LitEBM
from lit_modules.networks.maps.statistics import LENGTH
from pipeline.errors import InputError
from pipeline.evaluation.ebm.draws import box_draws
from pipeline.evaluation.ebm.known import Measurements
from pipeline.evaluation.ebm.prediction import NODES, contradictions, cut_off, fine_posterior, on_the_grid, predict
from pipeline.prediction.answers import write
from pipeline.settings.load import load_params


@pytest.fixture(scope="module")
def model() -> LitEBM:
    torch.manual_seed(1)
    return LitEBM(**load_params(ROOT / "params.yaml").model_section("ebm").model.model_dump()).eval()


@pytest.fixture
def own_map(tmp_path: Path) -> Path:
    """A smooth cluster in the middle of the field."""
    y, x = 0.25 * (np.indices((160, 160)) - 79.5)
    np.save(tmp_path / "mine.npy", -3.5 - 1.5 * np.log10(1 + (x**2 + y**2) / 60))
    return tmp_path / "mine.npy"


def by_brute_force(model: Toy, shown: torch.Tensor, known: Measurements) -> dict[str, list[float]]:
    """Quantiles of distance and age: the mean of the maps' densities times the likelihoods, on 4000 x 500 points."""
    edges = np.geomspace(4, 120, 4001), np.linspace(0, 14, 501)
    distance, age = np.sqrt(edges[0][1:] * edges[0][:-1]), (edges[1][1:] + edges[1][:-1]) / 2
    y = (
        model.to_box(torch.tensor(distance)[:, None].expand(-1, 500), torch.tensor(age).expand(4000, -1))
        .double()
        .numpy()
    )
    density = np.zeros((4000, 500))
    for at in shown.double().numpy():
        one = np.exp(-0.5 * (((y - at) / model.width) ** 2).sum(-1))
        density += one / one.sum()
    for values, mean, error in (
        (distance[:, None], known.distance, known.distance_error),
        (age, known.age, known.age_error),
    ):
        if mean is not None:
            density = density * np.exp(-0.5 * ((values - mean) / error) ** 2)
    found = {}
    for name, ends, axis in (("distance", edges[0], 1), ("age", edges[1], 0)):
        cdf = density.sum(axis).cumsum() / density.sum()
        found[name] = np.interp([0.025, 0.16, 0.5, 0.84, 0.975], cdf, ends[1:]).tolist()
    return found


KNOWN = [
    {},
    {"distance": 17.0, "distance_error": 0.5},
    {"distance": 17.0, "distance_error": 0.05},
    {"age": 11.0, "age_error": 1.0},
    {"distance": 25.0, "distance_error": 2.0, "age": 9.0, "age_error": 0.3},
]


@pytest.mark.parametrize("given", KNOWN, ids=str)
@torch.no_grad()
def test_what_is_known_weighs_the_mean_of_the_densities(given: dict[str, float]) -> None:
    """Two maps that may be true; a cell of a grid over the whole box would be half of the narrowest error wide."""
    model, known = Toy(0.15), Measurements(**given)
    shown = torch.tensor([[-0.1, 0.3], [0.1, 0.1]])
    context = model.context(torch.cat([shown, torch.full((2, 1), -3.0)], 1))
    found = on_the_grid(model, *fine_posterior(model, context, known)[:2])
    expected = by_brute_force(model, shown, known)
    for name in ("distance", "age"):
        ends = [found[name][end] for end in ("low_95", "low", "value", "high", "high_95")]
        width = expected[name][3] - expected[name][1]
        assert ends == pytest.approx(expected[name], abs=0.03 * width)


@torch.no_grad()
def test_clamped_draws_follow_the_quadrature() -> None:
    model, known = Toy(0.15), Measurements(distance=17.0, distance_error=0.5)
    context = model.context(torch.tensor([[-0.1, 0.3, -3.0]]))
    window, cells, _ = fine_posterior(model, context, known)
    draws = box_draws(known.energy(model, context), 20_000, torch.Generator().manual_seed(0), window)[0]
    for part in range(2):
        cdf = torch.cat([torch.zeros(1), cells.sum(1 - part).cumsum(0)]).numpy()
        edges = np.linspace(float(window.low[part]), float(window.high[part]), NODES + 1)
        assert kstest(draws[:, part].double().numpy(), lambda x: np.interp(x, edges, cdf)).pvalue > 1e-3  # noqa: B023


@torch.no_grad()
def test_a_known_distance_that_the_map_excludes_is_told() -> None:
    model = Toy(0.1)
    context = model.context(torch.tensor([[0.0, 0.0, -3.0]]))  # 21.9 kpc, and a fifth of a decade about it
    (text,) = contradictions(model, context, Measurements(distance=100.0, distance_error=5.0))
    assert "100" in text and "contradicts" in text
    assert contradictions(model, context, Measurements(distance=24.0, distance_error=1.0)) == []
    assert contradictions(model, context, Measurements()) == []


@pytest.mark.parametrize(
    ("low", "high", "told"), [(20.0, 30.0, False), (84.2, 111.0, True), (84.2, 101.0, False), (4.5, 9.0, True)]
)
def test_an_interval_that_the_prior_cuts_off_is_told(low: float, high: float, told: bool) -> None:
    """The outer twentieths of log distance between 4 and 120 kpc begin at 4.74 and 101.2 kpc."""
    metrics = {"distance": {"low": low, "high": high}, "known": {}}
    assert len(cut_off(Toy(0.1), metrics)) == told
    assert cut_off(Toy(0.1), metrics | {"known": {"distance": {"mean": 100.0}}}) == []


def test_what_is_outside_the_training_is_said_first(model: LitEBM, own_map: Path) -> None:
    """The stars of the map are 4 pixels wide (σ), and those of the training no more than 3."""
    sharp = copy.deepcopy(model)
    sharp.psf_range[1] = 3.0
    result = predict([sharp], own_map, known=Measurements(age=11.0, age_error=1.0))
    assert list(result.metrics)[:2] == ["input", "outside_training"] and result.metrics["outside_training"] is True
    assert result.metrics["warnings"][0].startswith("unlike every map of the training")
    assert result.pictures[0].figure.get_suptitle() == (
        "mine\noutside what it was trained on: it cannot tell, with age 11 ± 1 Gyr known"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"distance": 17.0}, "--distance-error is missing"),
        ({"age_error": 1.0}, "--age is missing"),
        ({"distance": 17.0, "distance_error": 0.0}, "--distance-error 0"),
        ({"age": 5.0, "age_error": -1.0}, "--age-error -1"),
        ({"age": 5.0, "age_error": float("nan")}, "--age-error nan"),
        ({"distance": 3.0, "distance_error": 1.0}, "--distance 3: the network knows clusters of 4 to 120 kpc"),
        ({"age": -1.0, "age_error": 1.0}, "--age -1: the network knows clusters of 0 to 14 Gyr"),
    ],
)
def test_impossible_knowledge_is_refused_in_one_line(
    model: LitEBM, own_map: Path, given: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message.replace("-", r"\-")) as caught:
        predict([model], own_map, known=Measurements(**given))
    assert "\n" not in str(caught.value)


def test_prediction_states_five_quantities_and_their_draws(model: LitEBM, own_map: Path, tmp_path: Path) -> None:
    result = predict([model], own_map, known=Measurements(distance=17.0, distance_error=0.5))
    result.metrics["provenance"] = {}
    for name, unit in (("distance", "kpc"), ("age", "Gyr"), ("field_mass", "Msun"), ("mass_to_light", "Msun/Lsun")):
        found = result.metrics[name]
        ordered = [found[end] for end in ("low_95", "low", "value", "high", "high_95")]
        assert ordered == sorted(ordered) and found["unit"] == unit
    assert result.metrics["distance"]["value"] == pytest.approx(17.0, abs=0.2)
    assert result.metrics["known"] == {"distance": {"mean": 17.0, "error": 0.5, "unit": "kpc"}}
    path = write(result, tmp_path / "answer/mine", own_map)
    assert json.loads(path.read_text())["prior"]["distance"] == {"low": 4.0, "high": 120.0, "unit": "kpc"}
    draws = Table.read(tmp_path / "answer/mine_posterior.ecsv", format="ascii.ecsv")
    assert len(draws) == 4000
    assert draws.meta == {name: result.metrics[name] for name in ("input", "outside_training", "known")}
    units = {name: str(draws[name].unit) for name in draws.colnames}
    assert units == {
        "distance": "kpc",
        "age": "Gyr",
        "field_mass": "solMass",
        "field_luminosity": "solLum",
        "mass_to_light": "solMass / solLum",
    }
    for name in units:
        assert np.median(draws[name]) == pytest.approx(result.metrics[name]["value"], rel=0.02)
    light = 4 * np.pi * draws["distance"] ** 2 * (10 ** np.load(own_map)).sum()
    np.testing.assert_allclose(draws["field_luminosity"], light, rtol=1e-3)
    plt.close("all")


def test_a_map_unlike_the_training_is_said_to_tell_nothing(model: LitEBM, own_map: Path) -> None:
    known_space = torch.randn(500, LENGTH)
    model.training_space.fit(known_space, known_space)
    result = predict([model], own_map)
    assert result.metrics["outside_training"] is True
    assert "cannot be told" in result.metrics["warnings"][0]
    assert "cannot tell" in result.pictures[0].figure.get_suptitle()
    plt.close("all")
