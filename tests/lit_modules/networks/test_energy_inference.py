"""The argmin of known landscapes, and posteriors of a known Gaussian."""

import math
from itertools import combinations

import pytest
import torch
from scipy.stats import chi2, norm
from torch import Tensor

from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.energy.free_energy import free_energy, log_gibbs
from lit_modules.networks.energy.inference import argmin
from lit_modules.networks.energy.posterior import marginals, quantiles, region_around, region_level


def test_argmin_of_a_narrow_slanted_valley() -> None:
    centres = torch.tensor([[0.3, -0.2], [-0.7, 0.5]])
    metric = torch.tensor([[1.0, 0.9], [0.9, 1.0]]) * 30

    def energy(y: Tensor) -> Tensor:
        offset = y - centres[:, None]
        return torch.einsum("bni,ij,bnj->bn", offset, metric, offset)

    point, value = argmin(energy, unit_grid(3).expand(2, -1, -1), steps=200)
    torch.testing.assert_close(point, centres, rtol=0, atol=1e-3)
    assert value.max() < 1e-4


@pytest.mark.parametrize("outside", [[2.0, 0.1], [-2.0, 0.1], [0.1, 2.0], [0.1, -2.0]])
def test_argmin_stays_in_the_box(outside: list[float]) -> None:
    lowest = torch.tensor([outside])
    point, _ = argmin(lambda y: (y - lowest).square().sum(-1), unit_grid(2)[None], steps=100)
    torch.testing.assert_close(point, lowest.clamp(-1, 1), rtol=0, atol=1e-3)


def test_restarts_find_the_deeper_of_two_minima() -> None:
    def energy(y: Tensor) -> Tensor:
        x = y[..., 0]
        return 8 * (x**2 - 0.25) ** 2 + 0.2 * x + y[..., 1] ** 2

    point, _ = argmin(energy, unit_grid(4)[None], steps=200)
    assert point[0, 0].item() == pytest.approx(-0.525, abs=0.02)


def test_joint_minimum_over_y_and_z_is_that_of_the_zero_temperature_free_energy() -> None:
    """Course eq. 3 against 2 and 4, on an ellipse cut by a weak pull towards a point."""
    pull = torch.tensor([0.5, 0.4])

    def energy(y: Tensor, angle: Tensor) -> Tensor:
        ellipse = torch.stack([0.8 * torch.cos(math.pi * angle), 0.5 * torch.sin(math.pi * angle)], -1)
        return (y - ellipse).square().sum(-1) + 0.1 * (y - pull).square().sum(-1)

    joint, lowest = argmin(lambda u: energy(u[..., :2], u[..., 2]), unit_grid(4, 3)[None], steps=400)
    z = torch.linspace(-1, 1, 2001)
    marginal, value = argmin(lambda y: free_energy(energy(y[..., None, :], z), math.inf), unit_grid(4)[None], steps=400)
    torch.testing.assert_close(joint[:, :2], marginal, rtol=0, atol=2e-3)
    torch.testing.assert_close(lowest, value, rtol=0, atol=1e-5)


@pytest.fixture
def gaussian() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log density and probability on a grid of an uncorrelated Gaussian, its mean and sigma."""
    nodes, mean, sigma = 200, torch.tensor([0.2, -0.1]).double(), torch.tensor([0.1, 0.15]).double()
    energy = ((unit_grid(nodes).double() - mean) / sigma).square().sum(-1) / 2
    log_density = log_gibbs(energy[None], 1.0, cell_volume(nodes)).unflatten(-1, (nodes, nodes))
    return log_density, log_density.exp() * cell_volume(nodes), mean, sigma


def test_quantiles_of_a_gaussian(gaussian: tuple[Tensor, ...]) -> None:
    _, probability, mean, sigma = gaussian
    levels = [0.025, 0.16, 0.5, 0.84, 0.975]
    for k, marginal in enumerate(marginals(probability)):
        expected = norm(mean[k].item(), sigma[k].item()).ppf(levels)
        assert quantiles(marginal, levels)[0].tolist() == pytest.approx(expected.tolist(), abs=1e-3)


def test_credible_regions_of_a_gaussian(gaussian: tuple[Tensor, ...]) -> None:
    """The region that reaches k sigma has content chi²(2)-cdf(k²), and its edge the density exp(-k²/2)."""
    log_density, probability, _, sigma = gaussian
    peak = -math.log(2 * math.pi * sigma.prod().item())
    for k in (0.5, 1.0, 2.0):
        at = torch.tensor([peak - k**2 / 2], dtype=torch.float64)
        content = chi2(2).cdf(k**2)
        assert region_around(probability, log_density, at).item() == pytest.approx(content, abs=0.01)
        edge = region_level(probability, content) / cell_volume(200)
        assert edge.log().item() == pytest.approx(peak - k**2 / 2, abs=0.05)


def test_region_holds_its_content() -> None:
    """On a grid of 3 x 3 cells, by enumeration: of all sets of cells that hold the content, the one of fewest cells."""
    probability = torch.tensor([0.31, 0.02, 0.07, 0.19, 0.01, 0.05, 0.23, 0.08, 0.04]).view(1, 3, 3).double()
    cells = probability.flatten().tolist()
    for content in (0.05, 0.3, 0.32, 0.5, 0.68, 0.72, 0.74, 0.9, 0.95, 0.985):
        sets = [chosen for n in range(1, 10) for chosen in combinations(cells, n) if sum(chosen) >= content]
        smallest = max((chosen for chosen in sets if len(chosen) == len(sets[0])), key=sum)
        edge = region_level(probability, content)
        inside = probability >= edge[:, None, None]
        assert edge.item() == pytest.approx(min(smallest)) and inside.sum() == len(smallest)


def test_region_of_a_gaussian_holds_its_content(gaussian: tuple[Tensor, ...]) -> None:
    """Within half a per cent, and its area is that of the ellipse, π k² σ₁ σ₂ with k² = -2 ln(1 - content)."""
    _, probability, _, sigma = gaussian
    for content in (0.5, 0.68, 0.95):
        inside = probability >= region_level(probability, content)[:, None, None]
        assert probability[inside].sum().item() == pytest.approx(content, abs=0.005)
        ellipse = -2 * math.log(1 - content) * math.pi * sigma.prod().item()
        assert inside.sum().item() * cell_volume(200) == pytest.approx(ellipse, rel=0.02)
