"""What the evaluation of energies on the plane states, against closed forms."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lit_modules.ebm_plane import LitPlanes
from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.plane_energy import EllipseEnergy
from pipeline.evaluation.plane.evaluation import from_quadrature
from pipeline.evaluation.plane.measures import (
    coldest,
    entropy,
    joint_minima,
    kl,
    mixture,
    on_grid,
    sampled,
    samplers,
    two_step_minima,
)
from pipeline.settings.load import load_params

ROOT = Path(__file__).parents[4]
NODES = 160


def gaussian(sigma: float, shift: float = 0.0) -> torch.Tensor:
    """Log density at the nodes of the grid."""
    y = unit_grid(NODES).double() - shift
    return -y.square().sum(1) / (2 * sigma**2) - math.log(2 * math.pi * sigma**2)


def test_kl_and_entropy_of_gaussians() -> None:
    expected = math.log(0.15**2 / 0.1**2) - 1 + (0.1**2 + 0.05**2) / 0.15**2
    assert kl(gaussian(0.1), gaussian(0.15, 0.05)) == pytest.approx(expected, abs=1e-6)
    assert kl(gaussian(0.1), gaussian(0.1)) == 0
    assert entropy(gaussian(0.1)) == pytest.approx(math.log(2 * math.pi * math.e * 0.1**2), abs=1e-6)


def test_a_mixture_of_one_is_the_gaussian_of_the_points() -> None:
    torch.manual_seed(0)
    found = mixture(0.1 * torch.randn(10_000, 2), 1, NODES, seed=0)
    assert kl(gaussian(0.1), found) == pytest.approx(0, abs=1e-3)


@pytest.fixture
def ellipse() -> EllipseEnergy:
    """Semi-axes 0.4 and 0.3, noise 0.05."""
    ellipse = EllipseEnergy(64)
    with torch.no_grad():
        ellipse.curve.weight.copy_(torch.diag(torch.tensor([0.4, 0.3])))
        ellipse.curve.bias.zero_()
        ellipse.log_sigma.fill_(math.log(0.05))
    return ellipse


@torch.no_grad()
def test_joint_minimum_is_on_the_ellipse_above_or_below_the_given_point(ellipse: EllipseEnergy) -> None:
    """Course eq. 3, and eq. 4 then 2: y2 = ±0.3 sin z where y1 = 0.4 cos z; beyond its end, the end is nearest."""
    first = torch.tensor([0.0, 0.2, -0.3, 0.5])
    point, lowest = joint_minima(ellipse, first, unit_grid(6).expand(4, -1, -1))
    expected = 0.3 * (1 - (first / 0.4).square()).clamp(min=0).sqrt()
    torch.testing.assert_close(point[:3, 0].abs(), expected[:3], rtol=0, atol=2e-3)
    torch.testing.assert_close(lowest, torch.tensor([0.0, 0.0, 0.0, 0.1**2 / (2 * 0.05**2)]), rtol=0, atol=1e-3)
    torch.testing.assert_close(lowest.double(), two_step_minima(ellipse, first), rtol=0, atol=1e-3)


@torch.no_grad()
def test_minimised_latent_is_the_distance_to_the_curve(ellipse: EllipseEnergy) -> None:
    with torch.no_grad():
        ellipse.curve.weight.copy_(0.4 * torch.eye(2))
    y = torch.rand(50, 2) * 2 - 1
    expected = (y.norm(dim=1).double() - 0.4).square() / (2 * 0.05**2)
    torch.testing.assert_close(coldest(ellipse, y), expected, rtol=1e-3, atol=1e-2)


@torch.no_grad()
def test_the_grid_of_the_second_coordinate_reaches_both_sides() -> None:
    """An energy that is lowest where the two coordinates are opposite, on four cells of the second."""
    opposite = SimpleNamespace(joint=lambda y, z: (y[..., 0] + y[..., 1]).square() + 0 * z)
    first = torch.tensor([-0.75, -0.25, 0.25, 0.75])
    assert two_step_minima(opposite, first, nodes=4).tolist() == [0.0] * 4


def test_chains_follow_the_energy_whatever_the_sampler(ellipse: EllipseEnergy) -> None:
    params = load_params(ROOT / "params.yaml").model_section("ebm-plane")
    evaluate = params.evaluate.model_copy(update={"chains": 32, "steps": 900, "burn_in": 100, "temperatures": 3})
    params = params.model_copy(update={"evaluate": evaluate})
    torch.manual_seed(0)
    model = LitPlanes(**params.model.model_dump())
    model.net["ellipse"] = ellipse
    found = on_grid(model, NODES)[1]["ellipse"]
    assert (found.exp().sum() * 4 / NODES**2).item() == pytest.approx(1)
    sample = sampled(model, "ellipse", params)
    assert sample.states.shape == (900, 32, 2) and 0.1 < sample.acceptance < 0.5
    assert from_quadrature(sample.states, found) < 0.05
    ways = samplers(model, "ellipse", torch.tensor([0.4, 0.0]), params)
    assert {way: len(states) for way, states in ways.items()} == {"walk": 900, "langevin": 300, "tempering": 300}
    for states in ways.values():
        assert from_quadrature(states, found) < 0.3
