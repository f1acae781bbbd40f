"""What the evaluation of the energy-based model states, against known distributions."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))
from toy import Toy

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.maps.statistics import LENGTH
from pipeline.evaluation.ebm.baselines import features, gaussian_posteriors
from pipeline.evaluation.ebm.draws import posterior_draws
from pipeline.evaluation.ebm.examples import examples, second_mode
from pipeline.evaluation.ebm.measures import Posteriors, Seen, errors
from pipeline.evaluation.ebm.named import numbers_of
from pipeline.evaluation.ebm.points import joint_minimiser, minimiser
from pipeline.evaluation.ebm.sampling import Sample, kl_from_quadrature, sampled
from pipeline.settings.load import load_params


@pytest.fixture(scope="module")
def model() -> LitEBM:
    torch.manual_seed(0)
    settings = load_params(ROOT / "params.yaml").ebm.model.model_dump() | {"latent_nodes": 4}
    model = LitEBM(**settings).eval()
    for weight in (model.net.embed.weight, model.net.embed_y[-1].weight):
        torch.nn.init.normal_(weight, std=0.3)  # hills and valleys
    return model


def test_a_true_gaussian_is_calibrated_and_scores_its_entropy() -> None:
    torch.manual_seed(0)
    mean, sigma = torch.rand(2000, 2) * 0.6 - 0.3, 0.1
    y = mean + sigma * torch.randn(2000, 2)
    found = gaussian_posteriors(mean, y - mean, y, 96)
    assert -found.at_truth.mean().item() == pytest.approx(math.log(2 * math.pi * math.e * sigma**2), abs=0.05)
    for content in (0.25, 0.5, 0.9):
        assert (found.content() <= content).float().mean().item() == pytest.approx(content, abs=0.04)


@torch.no_grad()
def test_kl_is_small_for_exact_draws_and_large_for_others(model: LitEBM) -> None:
    context = model.context(torch.randn(2, LENGTH))
    exact = posterior_draws(model, context, 50_000, torch.Generator().manual_seed(0))
    sample = Sample(exact, exact.transpose(0, 1)[:, :, None], 1.0)
    floor = (16**2 - 1) / (2 * 50_000)  # the mean of a histogram's own KL
    assert kl_from_quadrature(model, context, sample).max() < 3 * floor
    uniform = (torch.rand(50_000, 2, 1, 3) * 2 - 1) * 0.5
    assert kl_from_quadrature(model, context, Sample(uniform, uniform, 1.0)).min() > 0.5


@torch.no_grad()
def test_chains_of_three_unknowns_find_the_exact_posterior(model: LitEBM) -> None:
    """Also its mass, of which chains know no more than the joint energy."""
    params = load_params(ROOT / "params.yaml").ebm
    evaluate = params.evaluate.model_copy(update={"chains": 32, "steps": 1500, "burn_in": 200})
    context = model.context(torch.randn(2, LENGTH))
    sample = sampled(model, context, params.model_copy(update={"evaluate": evaluate}))
    assert kl_from_quadrature(model, context, sample).max() < 0.05
    exact = posterior_draws(model, context, 20_000, torch.Generator().manual_seed(0))
    chains = sample.states.transpose(0, 1).flatten(1, 2)
    for part in range(3):
        spread = exact[..., part].std(1)
        assert ((chains[..., part].mean(1) - exact[..., part].mean(1)).abs() < 0.1 * spread).all()
        assert ((chains[..., part].std(1) / spread - 1).abs() < 0.1).all()


@torch.no_grad()
def test_minimiser_is_below_every_node_of_a_fine_grid(model: LitEBM) -> None:
    statistics = torch.randn(3, LENGTH)
    context = model.context(statistics)
    nodes = torch.cartesian_prod(*[torch.linspace(-1, 1, 201)] * 2)
    points = {beta: minimiser(model, context, beta) for beta in (1.0, math.inf)}
    for beta, best in points.items():
        at_best = model.free_energy(context, best[:, None], beta)[:, 0]
        assert (at_best <= model.free_energy(context, nodes, beta).amin(1) + 1e-3).all()
    joint = joint_minimiser(model, statistics, context)  # over y and z: that of F_inf by another way
    of_joint, of_f_inf = (model.free_energy(context, y[:, None], math.inf) for y in (joint, points[math.inf]))
    torch.testing.assert_close(of_joint, of_f_inf, rtol=0, atol=1e-2)


def test_features_do_not_change_when_the_map_turns() -> None:
    torch.manual_seed(0)
    maps = torch.randn(3, 1, 160, 160) - 5
    np.testing.assert_allclose(features(maps.rot90(1, (-2, -1))), features(maps), rtol=0, atol=1e-6)


def bumps(*heights: float) -> torch.Tensor:
    """Log density of narrow bumps of these heights side by side."""
    grid = unit_grid(48)
    centres = torch.linspace(-0.7, 0.7, len(heights))
    each = [
        height * torch.exp(-((grid - torch.tensor([centre, 0.0])) / 0.08).square().sum(-1) / 2)
        for height, centre in zip(heights, centres, strict=True)
    ]
    density = torch.stack(each).sum(0) + 1e-6
    return (density / density.sum() / cell_volume(48)).log().view(48, 48)


def test_second_mode_is_that_of_the_lesser_bump() -> None:
    """A 68 % region of two equal bumps takes 34 % in each; of one bump nothing is left for a second."""
    found = second_mode(torch.stack([bumps(1, 1), bumps(1), bumps(1, 0, 1)]))
    assert found.tolist() == [pytest.approx(0.34, abs=0.02), 0.0, pytest.approx(0.34, abs=0.02)]


def test_examples_are_different_maps_from_near_to_far_and_one_has_two_modes() -> None:
    distance = torch.tensor([15.0, 30.0, 60.0, 80.0] * 6)
    log_density = torch.stack([bumps(1)] * 24)
    log_density[13] = bumps(1, 0.9)
    truth = {"distance": distance, "age": torch.arange(24.0) / 2}
    maps = Seen(distance, None, truth, Posteriors(log_density, distance), {})  # type: ignore[arg-type]
    chosen = examples(maps)
    assert distance[chosen].tolist() == [15.0, 30.0, 60.0, 80.0] and int(chosen[1]) == 13


def test_errors_of_points() -> None:
    truth = {"distance": torch.tensor([10.0]), "age": torch.tensor([4.0]), "field_mass": torch.tensor([2e4])}
    points = {"distance": torch.tensor([12.0]), "age": torch.tensor([5.0]), "field_mass": torch.tensor([1e4])}
    truth["mass_to_light"], points["mass_to_light"] = torch.tensor([2.0]), torch.tensor([1.5])
    found = {name: value.item() for name, value in errors(points, truth).items()}
    assert found == {
        "distance_error_kpc": 2.0,
        "distance_error_percent": pytest.approx(20),
        "age_error_gyr": 1.0,
        "mass_error_percent": 50.0,
        "mass_to_light_error_percent": 25.0,
    }


def test_coverage_of_mocks_has_the_exact_binomial_interval() -> None:
    """34 of 50 inside: 68 %; Clopper and Pearson's ends are quantiles of beta distributions."""
    low, high = 100 * stats.beta.ppf(0.025, 34, 17), 100 * stats.beta.ppf(0.975, 35, 16)
    rank = torch.tensor([0.5] * 34 + [0.9] * 16)
    draws = torch.linspace(0.0005, 0.9995, 1000).expand(50, -1)
    names = ("distance", "age", "mass_to_light")
    mocks = Seen(rank, None, dict.fromkeys(names, rank), None, dict.fromkeys(names, draws))  # type: ignore[arg-type]
    found = numbers_of("test/pal_11", mocks)
    for name in names:
        key = f"test/pal_11/{name}_in_68_percent"
        ends = [found[key], found[f"{key}_low"], found[f"{key}_high"]]
        assert ends == pytest.approx([68.0, low, high], abs=1e-3)
    assert found["test/pal_11/age_median_error_gyr"] == pytest.approx(0.0, abs=1e-3)


def test_toy_states_what_it_is_told() -> None:
    """The oracle of other tests: its density on a grid integrates to one, with its peak at x."""
    toy = Toy(0.1)
    density = toy.log_posterior(toy.context(torch.tensor([[0.2, -0.3, 0.0]])), 64)[0].exp()
    assert float(density.sum()) * cell_volume(64) == pytest.approx(1, abs=1e-5)
    peak = unit_grid(64)[density.argmax()]
    torch.testing.assert_close(peak, torch.tensor([0.2, -0.3]), rtol=0, atol=1 / 64)
