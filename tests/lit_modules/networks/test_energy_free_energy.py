"""The course's ellipse in closed form, limits in beta, and the gradient of the likelihood."""

import math

import pytest
import torch
from scipy.special import i0e
from torch import Tensor, nn

from lit_modules.networks.energy.box import cell_volume, inside, unit_grid
from lit_modules.networks.energy.free_energy import contrastive_loss, free_energy, log_gibbs, nll

BETAS = [0.1, 1.0, 10.0, 100.0, 1000.0]


def ellipse_energies(y: Tensor, w1: float, w2: float, nodes: int = 1000) -> Tensor:
    """E(y, z) = (y1 - w1 cos z)² + (y2 - w2 sin z)² at nodes of z (Canziani & LeCun's example)."""
    z = torch.arange(nodes, dtype=y.dtype) * (2 * math.pi / nodes)
    return (y[:, :1] - w1 * z.cos()) ** 2 + (y[:, 1:] - w2 * z.sin()) ** 2


@pytest.fixture
def points() -> Tensor:
    return torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2


@pytest.mark.parametrize("beta", BETAS)
def test_circle_has_its_closed_form(points: Tensor, beta: float) -> None:
    r, norm = 1.5, points.norm(dim=1)
    argument = 2 * beta * r * norm
    log_i0 = torch.from_numpy(i0e(argument.numpy())).log() + argument
    expected = norm**2 + r**2 - log_i0 / beta
    torch.testing.assert_close(free_energy(ellipse_energies(points, r, r), beta), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_few_nodes_of_the_latent_suffice(points: Tensor, beta: float) -> None:
    coarse = free_energy(ellipse_energies(points, 0.3, 0.2, nodes=16), beta)
    torch.testing.assert_close(coarse, free_energy(ellipse_energies(points, 0.3, 0.2), beta), rtol=0, atol=1e-8)


def test_zero_temperature_is_the_distance_to_the_circle(points: Tensor) -> None:
    energies = ellipse_energies(points, 1.5, 1.5, nodes=100_000)
    torch.testing.assert_close(free_energy(energies, math.inf), (points.norm(dim=1) - 1.5) ** 2, rtol=0, atol=1e-7)


def test_limits_in_beta(points: Tensor) -> None:
    energies = ellipse_energies(points, 2.0, 1.5)
    falling = torch.stack([free_energy(energies, beta) for beta in [1e-8, *BETAS, 1e6, math.inf]])
    assert (falling.diff(dim=0) < 1e-12).all(), "F_beta falls with beta, towards F_inf"
    torch.testing.assert_close(falling[0], energies.mean(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(falling[-2], falling[-1], rtol=0, atol=1e-4)


def test_the_centre_of_a_circle_is_flat_in_beta() -> None:
    energies = ellipse_energies(torch.zeros(1, 2, dtype=torch.float64), 1.5, 1.5)
    for beta in BETAS:
        assert free_energy(energies, beta).item() == pytest.approx(1.5**2, rel=1e-12)


def test_gibbs_density_of_a_gaussian() -> None:
    """exp(-beta |y|²/2s²) in a box that holds it: the density and entropy are known."""
    beta, sigma, nodes = 2.0, 0.15, 64
    grid = unit_grid(nodes).double()
    energies = grid.square().sum(1) / (2 * sigma**2)
    log_density = log_gibbs(energies, beta, cell_volume(nodes))
    expected = -beta * energies - math.log(2 * math.pi * sigma**2 / beta)
    torch.testing.assert_close(log_density, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(nll(energies, energies, beta, cell_volume(nodes)), -expected, rtol=0, atol=1e-10)


def test_grid_fills_the_box() -> None:
    grid = unit_grid(4)
    assert grid.shape == (16, 2) and inside(grid).all()
    assert grid[0].tolist() == [-0.75, -0.75] and grid[1].tolist() == [-0.75, -0.25]
    assert len(grid) * cell_volume(4) == pytest.approx(4.0)
    assert inside(torch.tensor([[1.0, -1.0], [0.0, 1.01]])).tolist() == [True, False]


def test_gradient_is_data_minus_model_average() -> None:
    """Course eq. 12: the samples' loss, averaged over P(y|x) node by node, against autograd of the exact NLL."""
    torch.manual_seed(0)
    beta, nodes = 1.7, 7
    net = nn.Sequential(nn.Linear(2, 16), nn.SiLU(), nn.Linear(16, 12)).double()
    grid, data = unit_grid(nodes).double(), torch.rand(5, 2, dtype=torch.float64)

    def free(y: Tensor) -> Tensor:
        return free_energy(net(y).square(), beta)

    exact = torch.autograd.grad(nll(free(data), free(grid), beta, cell_volume(nodes)).mean(), net.parameters())
    probability = log_gibbs(free(grid), beta, 1.0).exp().detach()
    assert probability.sum().item() == pytest.approx(1.0)
    averaged = [torch.zeros_like(parameter) for parameter in net.parameters()]
    for node, weight in zip(grid, probability, strict=True):
        loss = contrastive_loss(free(data), free(node[None]).expand(5, 3), beta)
        for total, gradient in zip(averaged, torch.autograd.grad(loss, net.parameters()), strict=True):
            total += weight * gradient
    for found, expected in zip(averaged, exact, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)
        assert expected.abs().max() > 1e-4
