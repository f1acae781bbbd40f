"""What the evaluation of the energy-based model states, against known distributions."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lit_modules.ebm import LitEBM
from pipeline.errors import InputError
from pipeline.evaluation.ebm.baselines import features, gaussian_posteriors
from pipeline.evaluation.ebm.evaluation import examples
from pipeline.evaluation.ebm.measures import (
    Sample,
    kl_from_quadrature,
    minimiser,
)
from pipeline.evaluation.ebm.prediction import predict
from pipeline.settings.load import load_params

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def model() -> LitEBM:
    torch.manual_seed(0)
    hparams = load_params(ROOT / "params.yaml").ebm.model.model_dump()
    model = LitEBM(**hparams).eval()
    telescope = {"psf_sigma": 4.0, "pixel_arcsec": 0.25, "log_flux_floor": -8.0, "flux_range": [[0.0, 0.0], [0.0, 0.0]]}
    for name, value in telescope.items():
        setattr(model, name, torch.tensor(value))
    return model


def test_a_true_gaussian_is_calibrated_and_scores_its_entropy() -> None:
    torch.manual_seed(0)
    mean, sigma = torch.rand(2000, 2) * 0.6 - 0.3, 0.1
    y = mean + sigma * torch.randn(2000, 2)
    found = gaussian_posteriors(mean, y - mean, y, 96)
    assert -found.at_truth.mean().item() == pytest.approx(math.log(2 * math.pi * math.e * sigma**2), abs=0.05)
    for content in (0.25, 0.5, 0.9):
        assert (found.content() <= content).float().mean().item() == pytest.approx(content, abs=0.04)
    torch.testing.assert_close(found.quantiles()[:, 2], mean, rtol=0, atol=0.01)


@torch.no_grad()
def test_kl_is_small_for_exact_draws_and_large_for_others(model: LitEBM) -> None:
    torch.manual_seed(0)
    context = model.context(torch.randn(2, 1, 160, 160))
    nodes = 128
    cells = model.log_posterior(context, nodes).exp().flatten(1)
    index = torch.multinomial(cells, 50_000, replacement=True)
    offsets = torch.rand(2, 50_000, 2)
    exact = (torch.stack([index // nodes, index % nodes], -1) + offsets) * (2 / nodes) - 1
    sample = Sample(exact, exact.transpose(0, 1)[:, :, None], 1.0)
    floor = (16**2 - 1) / (2 * 50_000)  # the mean of a histogram's own KL
    assert kl_from_quadrature(model, context, sample).max() < 3 * floor
    uniform = (torch.rand(50_000, 2, 1, 2) * 2 - 1) * 0.5
    assert kl_from_quadrature(model, context, Sample(uniform, uniform, 1.0)).min() > 0.5


@torch.no_grad()
def test_minimiser_is_below_every_node_of_a_fine_grid(model: LitEBM) -> None:
    context = model.context(torch.randn(3, 1, 160, 160))
    best = minimiser(model, context, 1.0)
    lowest = model.log_posterior(context, 200).flatten(1).amax(1)
    at_best = -model.net.free_energy(context, best[:, None], 1.0)[:, 0]
    at_nodes = -model.net.free_energy(context, torch.cartesian_prod(*[torch.linspace(-1, 1, 201)] * 2), 1.0).amin(1)
    assert (at_best >= at_nodes - 1e-4).all() and lowest.isfinite().all()


def test_features_do_not_change_when_the_map_turns() -> None:
    torch.manual_seed(0)
    maps = torch.randn(3, 1, 160, 160) - 5
    np.testing.assert_allclose(features(maps.rot90(1, (-2, -1))), features(maps), rtol=0, atol=1e-6)


def test_examples_are_different_maps_from_near_to_far() -> None:
    distance = torch.tensor([15.0, 30.0, 60.0, 80.0] * 6)
    test = {"distance": distance, "age": torch.arange(24.0) / 2}
    assert distance[examples(test)].tolist() == [15.0, 30.0, 60.0, 80.0]


def test_prediction_states_ordered_intervals_and_warns_of_extrapolation(model: LitEBM, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).normal(-5, 1, (160, 160)))
    result = predict([model], tmp_path / "mine.npy")
    for name, (lowest, highest) in (("distance", (4, 120)), ("age", (0, 14))):
        found = result.metrics[name]
        ordered = [found[key] for key in ("low_95", "low", "value", "high", "high_95")]
        assert lowest <= ordered[0] and ordered == sorted(ordered) and ordered[-1] <= highest
        assert found["low_95"] < found["mean"] < found["high_95"]
    assert any("extrapolations" in remark for remark in result.metrics["warnings"]), "nothing was trained on"
    assert [picture.name for picture in result.pictures] == ["posterior"]


def test_prediction_refuses_another_shape(model: LitEBM, tmp_path: Path) -> None:
    np.save(tmp_path / "small.npy", np.zeros((32, 32)))
    with pytest.raises(InputError, match=r"small\.npy"):
        predict([model], tmp_path / "small.npy")
