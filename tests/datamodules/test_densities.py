"""Densities on the plane: entropies, and points that follow them."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ive, logsumexp
from scipy.stats import chisquare
from sklearn.datasets import make_moons

from datamodules.densities import DENSITIES, HALF_WIDTH, NOISE, BlurredCurve
from datamodules.planes import PlanesDataModule
from lit_modules.networks.energy.box import unit_grid

NODES = 400
ENTROPIES = {"eight_gaussians": 2.8319, "checkerboard": math.log(32), "moons": 2.3939, "circles": 3.2681}


def entropy(name: str) -> float:
    log_density = DENSITIES[name].log_density(unit_grid(NODES).double())
    p = log_density.exp() * (2 / NODES) ** 2
    assert p.sum().item() == pytest.approx(1, abs=1e-4)
    return -torch.where(p > 0, p * log_density, 0).sum().item() + 2 * math.log(HALF_WIDTH)


@pytest.mark.parametrize("name", ENTROPIES)
def test_entropies_are_the_known_ones(name: str) -> None:
    assert entropy(name) == pytest.approx(ENTROPIES[name], abs=2e-4)


def test_published_entropy_of_the_moons_is_that_of_200_angles_a_moon() -> None:
    """2.3984 is quoted; it counts both ends of each arc in full, as ``make_moons`` of 400 points does."""
    centres, _ = make_moons(400, noise=None)
    centres = torch.from_numpy(2 * centres + np.array([-1.0, -0.2]))
    quoted = BlurredCurve(lambda u: centres[(400 * u).long()], 0.2, nodes=400)
    log_density = quoted.log_density(unit_grid(NODES).double())
    p = log_density.exp() * (2 / NODES) ** 2
    assert -(p * log_density).sum().item() + 2 * math.log(HALF_WIDTH) == pytest.approx(2.3984, abs=1e-4)


def test_circles_have_their_closed_form() -> None:
    """A blurred ring of radius r: exp(-(|y| - r)² / 2σ²) I0e(r |y| / σ²) / 2πσ²."""
    y = torch.rand(200, 2, dtype=torch.float64) * 2 - 1
    radius, sigma = (HALF_WIDTH * y.norm(dim=1)).numpy(), 0.24
    rings = [-((radius - r) ** 2) / (2 * sigma**2) + np.log(ive(0, r * radius / sigma**2)) for r in (3.0, 1.5)]
    expected = logsumexp(rings, axis=0) - math.log(2 * 2 * math.pi * sigma**2) + 2 * math.log(HALF_WIDTH)
    near = torch.from_numpy(expected > -15)
    torch.testing.assert_close(
        DENSITIES["circles"].log_density(y)[near], torch.from_numpy(expected)[near], rtol=0, atol=1e-4
    )


def test_moons_are_those_of_scikit_learn() -> None:
    points, _ = make_moons(40_000, noise=0.1, random_state=0)
    points = torch.from_numpy((2 * points + np.array([-1.0, -0.2])) / HALF_WIDTH)
    nll = -DENSITIES["moons"].log_density(points).mean().item() + 2 * math.log(HALF_WIDTH)
    assert nll == pytest.approx(ENTROPIES["moons"], abs=0.02)


def test_ellipse_is_the_courses() -> None:
    """(2 cos t, 1.5 sin t) with noise of variance 1/20."""
    assert NOISE**2 == pytest.approx(1 / 20)
    points = HALF_WIDTH * DENSITIES["ellipse"].draw(200_000, torch.Generator().manual_seed(0))
    assert points.square().mean(0).tolist() == pytest.approx([2 + 0.05, 1.125 + 0.05], rel=0.01)


@pytest.mark.parametrize("name", DENSITIES)
def test_points_follow_the_density(name: str) -> None:
    """Counts in 20 x 20 bins against the probability of each, by chi-squared."""
    bins, fine, n = 20, 20, 100_000
    points = DENSITIES[name].draw(n, torch.Generator().manual_seed(1)).double()
    counts = torch.histogramdd(points, [bins, bins], range=[-1.0, 1.0, -1.0, 1.0]).hist
    cells = DENSITIES[name].log_density(unit_grid(bins * fine).double()).exp()
    expected = cells.view(bins, fine, bins, fine).sum((1, 3))
    expected *= n / expected.sum()
    enough = expected > 10
    found, wanted = counts[enough].numpy(), expected[enough].numpy()
    assert chisquare(found, wanted * found.sum() / wanted.sum()).pvalue > 1e-3
    assert counts[~enough].sum() < expected[~enough].sum() + 6 * (expected[~enough].sum() + 1).sqrt()


def make(seed: int = 1) -> PlanesDataModule:
    data = PlanesDataModule("datamodules/densities.py", seed=seed, batch_size=10, points=40, held_out=20)
    data.setup()
    return data


def epoch(data: PlanesDataModule, number: int) -> torch.Tensor:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    return torch.cat([batch["moons"] for batch in loader])


def test_points_come_from_the_seed_and_are_new_in_each_epoch() -> None:
    data, again = make(), make()
    assert set(data.splits["test"]) == set(DENSITIES)
    torch.testing.assert_close(epoch(data, 0), epoch(again, 0), rtol=0, atol=0)
    drawn = [
        epoch(data, 0),
        epoch(data, 1),
        epoch(make(2), 0),
        data.splits["val"]["moons"],
        data.splits["test"]["moons"],
    ]
    every = torch.cat(drawn)
    assert len(every.unique(dim=0)) == len(every), "no point twice"
