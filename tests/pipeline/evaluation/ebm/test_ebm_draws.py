"""Draws of posteriors against quadrature and closed forms, and the ranks that tell honest posteriors from others."""

import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import kstest, truncnorm

sys.path.insert(0, str(Path(__file__).parent))
from toy import MASS, Toy

from lit_modules.networks.energy.box import unit_grid
from pipeline.evaluation.ebm.draws import Window, box_draws, posterior_draws, quantities
from pipeline.evaluation.ebm.measures import LOG_LIGHT, Seen, seen


def truncated(mean: float, sigma: float) -> object:
    """A normal distribution in [-1, 1]."""
    return truncnorm((-1 - mean) / sigma, (1 - mean) / sigma, mean, sigma)


@pytest.mark.parametrize("width", [0.015, 0.05, 0.7])
def test_draws_follow_the_posterior(width: float) -> None:
    """Widths from two cells of the grid to most of the box."""
    model = Toy(width)
    statistics = torch.tensor([[0.3, -0.5, -3.0], [0.95, 0.0, -3.0]])
    generator = torch.Generator().manual_seed(1)
    draws = posterior_draws(model, model.context(statistics), 20_000, generator).double().numpy()
    for row, (first, second, _) in zip(draws, statistics.tolist(), strict=True):
        for part, mean in enumerate((first, second)):
            assert kstest(row[:, part], truncated(mean, width).cdf).pvalue > 1e-3
        assert kstest((row[:, 2] - MASS[0]) / MASS[1], "norm").pvalue > 1e-3


def test_a_coarse_grid_is_mended_by_the_step() -> None:
    """Cells as wide as the density: without a Metropolis-Hastings step the draws would be boxes."""
    energy = lambda y: (y / 0.2).square().sum(-1) / 2 + torch.zeros(1, 1)  # noqa: E731
    draws = box_draws(energy, 50_000, torch.Generator().manual_seed(0), nodes=16)[0].double().numpy()
    assert kstest(draws[:, 0], truncated(0, 0.2).cdf).statistic < 0.01


def test_a_window_holds_its_draws() -> None:
    window = Window(torch.tensor([0.2, -0.4]), torch.tensor([0.3, 0.4]))
    draws = box_draws(lambda y: torch.zeros(3, y.shape[-2]), 2000, window=window)
    for part in range(2):
        scaled = (draws[..., part] - window.low[part]) / (window.high[part] - window.low[part])
        assert kstest(scaled.flatten().double().numpy(), "uniform").pvalue > 1e-3
    assert window.at(unit_grid(2)).amin(0).tolist() == pytest.approx([0.225, -0.2])


def test_the_same_seed_draws_the_same() -> None:
    model = Toy(0.1)
    context = model.context(torch.tensor([[0.0, 0.0, -3.0]]))
    one, two = (posterior_draws(model, context, 10, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)


def test_quantities_of_draws() -> None:
    """10 kpc and 7 Gyr; light of 1e-3 Lsun kpc⁻² there is 4π 100 1e-3 Lsun."""
    model = Toy(0.1)
    y = model.to_box(torch.tensor([10.0]), torch.tensor([7.0]))
    found = quantities(model, torch.cat([y, torch.tensor([[3.0]])], 1)[None], torch.tensor([-3.0]))
    expected = {"distance": 10.0, "age": 7.0, "field_mass": 1e3, "field_luminosity": 0.4 * math.pi}
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, rel=1e-4)
    assert found["mass_to_light"].item() == pytest.approx(1e3 / (0.4 * math.pi), rel=1e-4)


def test_the_light_of_the_truth_is_that_of_the_clean_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Seen, "of", lambda model, statistics, truth, nodes, generator: (statistics, truth))
    looks = torch.zeros(2, 3, 5)  # two maps in three looks
    looks[:, :, LOG_LIGHT] = torch.tensor([[-3.0, 5.0, 6.0], [-2.0, 5.0, 7.0]])
    labels = {"distance": torch.tensor([10.0, 20.0]), "age": torch.tensor([7.0, 3.0]), "field": torch.tensor([3.0, 4])}
    data = SimpleNamespace(splits={"test": {**labels, "statistics": looks}})
    statistics, truth = seen(Toy(0.1), data, "test", 2, 8, torch.Generator())  # type: ignore[arg-type, misc]
    assert statistics[:, LOG_LIGHT].tolist() == [6, 7]
    assert truth["field_mass"].tolist() == pytest.approx([1e3, 1e4])
    light = [4 * math.pi * 100 * 1e-3, 4 * math.pi * 400 * 1e-2]
    assert truth["mass_to_light"].tolist() == pytest.approx([1e3 / light[0], 1e4 / light[1]], rel=1e-4)


def seen_by(width: float) -> Seen:
    """Maps whose truth is spread by 0.1 about what they show, by a model that states another width."""
    generator = torch.Generator().manual_seed(5)
    model = Toy(width)
    y = 0.8 * torch.rand(1500, 2, generator=generator) - 0.4
    distance, age = model.from_box(y)
    shown = y + 0.1 * torch.randn(y.shape, generator=generator)
    mass = 10 ** (MASS[0] + MASS[1] * torch.randn(len(y), generator=generator))
    luminosity = 4 * math.pi * distance**2 * 1e-3
    truth = {"distance": distance, "age": age, "field_mass": mass, "mass_to_light": mass / luminosity}
    statistics = torch.cat([shown, torch.full((len(y), 1), -3.0)], 1)
    return Seen.of(model, torch.cat([statistics, torch.zeros(len(y), 2)], 1), truth, 64, generator)


def test_an_honest_posterior_has_uniform_ranks_and_coverage() -> None:
    maps = seen_by(0.1)
    inner = (maps.statistics[:, :2].abs() < 0.25).all(1)  # where the flat prior's edges are out of sight
    for name in ("distance", "age", "field_mass"):
        assert kstest(maps.ranks(name)[inner].numpy(), "uniform").pvalue > 1e-3
        assert maps.inside(name)[inner].float().mean().item() == pytest.approx(0.68, abs=0.06)
    content = maps.posterior.content()[inner].double().numpy()
    assert kstest(content, "uniform").pvalue > 1e-3


def test_an_overconfident_posterior_fails_both() -> None:
    maps = seen_by(0.05)
    for name in ("distance", "age"):
        assert kstest(maps.ranks(name).numpy(), "uniform").pvalue < 1e-6
        assert maps.inside(name).float().mean() < 0.5
    assert np.mean(maps.posterior.content().numpy() < 0.68) < 0.5
