"""Densities of the rivals are densities of the unit box, each against an independent oracle."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import truncnorm

from benchmarks import posterior
from benchmarks.pidoc_runs import AGE
from benchmarks.posterior_rivals import FoldedMaps, Simulations, flow, gaussian, quadratic_ridge, scaled_gaussian
from benchmarks.posterior_trust import CONTENTS, by_sbi, in_sigmas, quantile_test, standard_error
from lit_modules.networks.maps.gaussian import Gaussian
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS


@pytest.fixture(scope="module")
def energy() -> object:
    """An untrained model, of which the box is needed."""
    return MODELS["ebm"].make_module(load_params("params.yaml").model_section("ebm")).eval()


def test_a_gaussian_is_restricted_to_the_box() -> None:
    """Near an edge, where a third of it is cut off, against scipy's truncated normal."""
    mean, sigma = np.array([[0.9, -0.2], [0.0, 0.5]]), np.array([[0.2, 0.3], [0.1, 0.6]])
    y = torch.tensor([[0.7, 0.1], [0.05, -0.9]])
    found = gaussian(torch.from_numpy(mean), torch.diag_embed(torch.from_numpy(sigma**2)), y)
    true = truncnorm((-1 - mean) / sigma, (1 - mean) / sigma, mean, sigma)
    np.testing.assert_allclose(found.nll, -true.logpdf(y.numpy()).sum(1), atol=2e-3)
    np.testing.assert_allclose(found.medians, true.median(), atol=2e-3)


def test_the_gaussian_of_scaled_targets_keeps_its_probability(energy: object) -> None:
    """Density of log10 distance and age times the box's size, by hand."""
    module = MODELS[AGE].make_module(load_params("params.yaml").model_section(AGE))
    targets = module.net.targets
    targets.fit(torch.tensor([8.0, 20.0, 60.0, 100.0]), torch.tensor([1.0, 5.0, 9.0, 13.0]))
    distance, age, mean, sigma = torch.tensor([25.0]), torch.tensor([6.0]), [0.1, -0.2], [0.05, 0.1]
    found = scaled_gaussian(
        energy, targets, Gaussian(torch.tensor([mean]), torch.tensor([sigma])), energy.to_box(distance, age)
    )
    z = (targets.scale(distance, age)[0] - torch.tensor(mean)) / torch.tensor(sigma)
    per_dex_and_gyr = torch.exp(-0.5 * z**2) / (np.sqrt(2 * np.pi) * torch.tensor(sigma) * targets.std)
    half_box = torch.tensor([np.log10(120.0 / 4.0) / 2, 7.0])
    expected = -(per_dex_and_gyr * half_box).log().sum()
    np.testing.assert_allclose(found.nll, [float(expected)], atol=1e-3)
    expected_distance = 10 ** (mean[0] * targets.std[0] + targets.mean[0])
    np.testing.assert_allclose(energy.from_box(found.medians)[0], [float(expected_distance)], rtol=1e-3)


def test_a_flow_is_restricted_to_the_box() -> None:
    """By the share of its draws inside: a normal of which half lies outside gains ln 2."""
    normal = torch.distributions.MultivariateNormal(torch.tensor([1.0, 0.0]), 0.01 * torch.eye(2))
    estimator = SimpleNamespace(
        sample=lambda shape, condition: normal.sample((*shape, len(condition))),
        log_prob=lambda y, condition: normal.log_prob(y),
    )
    y = torch.tensor([[0.95, 0.02]])
    found = flow(estimator, Simulations(torch.zeros(1, 3), y))
    np.testing.assert_allclose(found.nll, -normal.log_prob(y) - np.log(2), atol=0.07)
    half = truncnorm(-20, 0, 1.0, 0.1)
    np.testing.assert_allclose(found.medians[0], [half.median(), 0.0], atol=0.02)


def test_the_ridge_finds_a_quadratic_law() -> None:
    torch.manual_seed(1)
    seen = torch.randn(600, 5)
    y = torch.stack([0.1 * seen[:, 0] * seen[:, 1], 0.1 * seen[:, 2]], 1) + 0.01 * torch.randn(600, 2)
    parts = [Simulations(seen[k], y[k]) for k in (slice(400), slice(400, 500), slice(500, 600))]
    (mean,), covariance = quadratic_ridge(parts[0], parts[1], [parts[2].seen])
    assert (mean - parts[2].y).square().mean().sqrt() < 0.015
    np.testing.assert_allclose(covariance.diagonal().sqrt(), 0.01, rtol=0.3)


def test_pictures_are_folded_in_blocks() -> None:
    """A shift by a whole block and a reader of blocks: every pixel reaches the features."""
    torch.manual_seed(1)
    reader = FoldedMaps()
    x = torch.full((1, 160**2 + 3), -6.0, requires_grad=True)
    reader(x).square().sum().backward()
    assert x.grad is not None
    assert (x.grad[0, -3:] != 0).all(), "what is known of the look is read"
    assert (x.grad[0, :-3] != 0).float().mean() > 0.9


def test_a_mass_is_told_in_sigmas_from_its_mean() -> None:
    """The mean follows the distance, the width the age; distance and age stay."""

    def mass_given(context: None, y: torch.Tensor) -> Gaussian:
        return Gaussian(4 + y[..., 0], torch.exp(6 * y[..., 1]))

    y = torch.tensor([[[[0.5, 0.1, 4.5 + 2 * math.exp(0.6)]]]])
    found = in_sigmas(SimpleNamespace(mass_given=mass_given), None, y)
    np.testing.assert_allclose(found[0, 0, 0], [0.5, 0.1, 2.0], rtol=1e-6)


def test_points_are_tested_against_the_marginals_of_a_grid() -> None:
    torch.manual_seed(1)
    nodes = (torch.arange(200) + 0.5) / 100 - 1
    narrow, wide = (torch.exp(-0.5 * (nodes / sigma) ** 2) for sigma in (0.1, 0.3))
    points = torch.randn(500, 3) * torch.tensor([0.1, 0.3, 1.0])
    assert min(quantile_test(points, narrow[:, None] * wide)) > 0.01
    assert max(quantile_test(points, wide[:, None] * narrow)[:2]) < 1e-6, "distance and age the wrong way round"
    assert quantile_test(1.3 * points, narrow[:, None] * wide)[2] < 1e-4


def test_the_standard_error_is_that_of_a_share() -> None:
    assert standard_error(50, 2500) == pytest.approx(1.0)
    assert CONTENTS == (50, 68, 90, 95)


@pytest.mark.parametrize(("width", "trusted"), [(1.0, True), (0.6, False)])
def test_sbi_tells_a_true_posterior_from_one_that_is_too_sure(width: float, trusted: bool) -> None:
    """Of y given y + noise under a normal prior, which is known."""
    pytest.importorskip("sbi")
    torch.manual_seed(1)
    y = 0.3 * torch.randn(1000, 2)
    seen = y + 0.3 * torch.randn(1000, 2)
    draws = seen[:, None] / 2 + width * 0.3 / 2**0.5 * torch.randn(1000, 300, 2)
    *sbc, tarp = by_sbi(Simulations(seen, y), draws)
    assert all(row.reached == trusted for row in sbc)
    assert (tarp.value < 5) == trusted


@pytest.mark.slow
@pytest.mark.parametrize("part", ["rivals", "ablations", "coverage", "chains"])
def test_it_runs(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if part in ("rivals", "coverage"):
        pytest.importorskip("sbi")
    monkeypatch.setattr(sys, "argv", ["posterior", "--quick", "--part", part])
    posterior.main()
