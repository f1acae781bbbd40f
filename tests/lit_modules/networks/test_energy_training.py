"""Losses of an energy: against exact likelihoods, by enumeration, and what the chains carry on."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.energy.free_energy import contrastive_loss, free_energy
from lit_modules.networks.energy.plane_energy import EllipseEnergy, PlaneEnergy
from lit_modules.networks.energy.settings import PlaneSettings
from lit_modules.networks.energy.training import EnergyTraining, exact_nll, random_grid, ranking_loss

SETTINGS: dict[str, Any] = {
    "nodes": 24, "chains": 2, "steps": 10, "jumps": 0.3, "hidden": 16, "waves": 2, "latent_nodes": 32,
    "validation_nodes": 32, "lr": 1e-2, "weight_decay": 0.0,
}  # fmt: skip


def training(way: str, **changes: Any) -> EnergyTraining:
    return EnergyTraining(PlaneSettings(training=way, **{**SETTINGS, **changes}))


def gaussian(y: Tensor) -> Tensor:
    return (y - 0.1).square().sum(-1) / (2 * 0.2**2) + 7.0


def test_exact_nll_of_a_gaussian() -> None:
    y = torch.rand(1, 50, 2, dtype=torch.float64) - 0.5
    expected = gaussian(y) - 7.0 + math.log(2 * math.pi * 0.2**2)
    torch.testing.assert_close(exact_nll(gaussian, y, unit_grid(64).double()), expected, rtol=0, atol=1e-5)


def test_random_grid_has_a_point_in_each_cell_and_the_right_mean() -> None:
    like, nodes = torch.zeros(1), 6
    torch.manual_seed(0)
    grids = torch.stack([random_grid(nodes, like) for _ in range(4000)])
    cells = ((grids + 1) / 2 * nodes).floor()
    assert torch.equal(cells, cells[:1].expand_as(cells)) and len(cells[0].unique(dim=0)) == nodes**2
    steep = (grids[..., 0] > 0.1).float().mean(1)  # fixed nodes see 0.5 of it
    assert steep.mean().item() == pytest.approx(0.45, abs=4 * steep.std().item() / 4000**0.5)
    fixed = (unit_grid(nodes)[:, 0] > 0.1).float().mean().item()
    assert fixed == pytest.approx(0.5)


def test_gradient_of_equation_12_is_that_of_the_exact_likelihood() -> None:
    """With samples weighted exactly: every node, as often as the model expects it there."""
    torch.manual_seed(0)
    energy, data, nodes = PlaneEnergy(16, 2).double(), torch.rand(1, 20, 2).double() - 0.5, 32
    grid = unit_grid(nodes).double()
    weights = torch.softmax(-energy(grid), 0).detach()
    eq_12 = energy(data).mean() - (weights * energy(grid)).sum()
    parameters = list(energy.parameters())
    exact = torch.autograd.grad(exact_nll(energy, data, grid).mean(), parameters, allow_unused=True)
    found = torch.autograd.grad(eq_12, parameters, allow_unused=True)
    for a, b in zip(exact, found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    index = torch.multinomial(weights, 200_000, replacement=True)
    sampled = torch.autograd.grad(contrastive_loss(energy(data), energy(grid[index]), 1.0), parameters)
    flat, exact_flat = (torch.cat([g.flatten() for g in gradient]) for gradient in (sampled, exact))
    assert (flat - exact_flat).norm() < 0.05 * exact_flat.norm()


@pytest.mark.parametrize("noise_points", [1, 3])
def test_noise_contrastive_estimation_is_best_at_the_truth(noise_points: int) -> None:
    """Four states, uniform noise: the expected loss over all data and all noise, by enumeration."""
    truth = torch.tensor([0.1, 0.2, 0.3, 0.4]).double()

    def expected_loss(energies: Tensor) -> Tensor:
        total = energies.new_zeros(())
        for datum, *noise in product(range(4), repeat=1 + noise_points):
            total = total + truth[datum] / 4**noise_points * ranking_loss(
                energies[None, [datum]], energies[None, noise]
            )
        return total

    energies = (-truth.log() + 3.0).requires_grad_()  # however it is normalised
    loss = expected_loss(energies)
    (gradient,) = torch.autograd.grad(loss, energies)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)
    for step in torch.eye(4).double():
        assert expected_loss(energies + 0.2 * step) > loss and expected_loss(energies - 0.2 * step) > loss


def test_much_noise_makes_it_the_likelihood() -> None:
    torch.manual_seed(0)
    data, noise = torch.rand(1, 30, 2) * 0.4, 2 * torch.rand(400_000, 2) - 1
    found = ranking_loss(gaussian(data), gaussian(noise)) + math.log(4) - math.log(len(noise))
    assert found.item() == pytest.approx(exact_nll(gaussian, data, unit_grid(64)).mean().item(), abs=0.01)


@pytest.mark.parametrize("way", ["exact", "metropolis", "persistent", "nce"])
def test_the_value_is_the_exact_likelihood_and_the_gradient_points_its_way(way: str) -> None:
    torch.manual_seed(0)
    energy, data = PlaneEnergy(16, 2), 0.3 * torch.randn(1, 4000, 2).clamp(-3, 3)
    objective = training(way, nodes=64, steps=40)
    parameters = list(energy.parameters())[:-1]  # a constant changes nothing
    loss = objective.losses(energy, data)["loss"]
    exact = objective.nll(energy, data).mean()
    assert loss.item() == pytest.approx(exact.item(), abs=0.02 if way == "exact" else 1e-5)
    found, wanted = (torch.cat([g.flatten() for g in torch.autograd.grad(v, parameters)]) for v in (loss, exact))
    assert (found - wanted).norm() < 0.1 * wanted.norm()


def test_persistent_chains_go_on_and_survive_a_checkpoint() -> None:
    energy, data = PlaneEnergy(16, 2), torch.zeros(1, 50, 2)
    objective, fresh = training("persistent"), training("metropolis")
    objective.negatives(energy, data)
    first = objective.states
    assert first is not None and first.shape == (1, 100, 2)
    chains = objective.negatives(energy, data)
    stayed = (chains.states[0] == first).all(-1).float().mean()
    assert stayed > 0.05, "those whose first proposal is refused stand where the last batch left them"
    assert not (fresh.negatives(energy, data).states[0] == first).all(-1).any() and fresh.states is None
    checkpoint: dict[str, Any] = {}
    objective.save(checkpoint, "chains", lambda states: torch.stack([states, states + 1]))  # as of two processes
    for rank, shift in ((0, 0), (1, 1), (2, 0)):
        resumed = training("persistent")
        resumed.load(checkpoint, "chains", rank)
        torch.testing.assert_close(resumed.states, objective.states + shift)
    training("exact").save(checkpoint := {}, "chains", lambda states: states)
    assert not checkpoint


def circle(radius: float, beta: float, nodes: int = 4000) -> EllipseEnergy:
    """E(y, z) = beta |y - r (cos z, sin z)|²."""
    ellipse = EllipseEnergy(nodes).double()
    with torch.no_grad():
        ellipse.curve.weight.copy_(radius * torch.eye(2))
        ellipse.curve.bias.zero_()
        ellipse.log_sigma.fill_(-math.log(2 * beta) / 2)
        ellipse.latent = torch.arange(nodes, dtype=torch.float64) * (2 * math.pi / nodes)
    return ellipse


@pytest.mark.parametrize("beta", [0.1, 1.0, 30.0])
def test_free_energy_of_a_circle_in_closed_form(beta: float) -> None:
    """beta F_beta = beta (|y|² + r²) - ln I0(2 beta r |y|)."""
    y = torch.randn(40, 2, dtype=torch.float64)
    argument = 2 * beta * 1.5 * y.norm(dim=1)
    log_i0 = torch.special.i0e(argument).log() + argument
    expected = beta * (y.square().sum(1) + 1.5**2) - log_i0
    torch.testing.assert_close(circle(1.5, beta)(y), expected, rtol=1e-8, atol=1e-8)


def test_limits_of_the_ellipse_in_beta() -> None:
    y, ellipse = torch.randn(40, 2, dtype=torch.float64), circle(1.5, 1.0)
    energies = ellipse.energies(y)
    torch.testing.assert_close(free_energy(energies, 1e-8), energies.mean(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(free_energy(energies, 1e6), (y.norm(dim=1) - 1.5) ** 2, rtol=0, atol=2e-5)


def test_the_ellipse_learns_axes_and_noise() -> None:
    torch.manual_seed(0)
    ellipse, objective = EllipseEnergy(48), training("exact", nodes=32)
    optimizer = torch.optim.Adam(ellipse.parameters(), 0.03)
    for _ in range(300):
        angle = 2 * math.pi * torch.rand(1, 512)
        data = torch.stack([0.6 * angle.cos(), 0.3 * angle.sin()], -1) + 0.06 * torch.randn(1, 512, 2)
        loss = objective.losses(ellipse, data)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.linalg.svdvals(ellipse.curve.weight.detach()).tolist() == pytest.approx([0.6, 0.3], abs=0.02)
    assert ellipse.log_sigma.exp().item() == pytest.approx(0.06, rel=0.1)


def test_energies_take_points_of_any_shape() -> None:
    for energy in (PlaneEnergy(8, 2), EllipseEnergy(16)):
        assert isinstance(energy, nn.Module)
        y = torch.rand(3, 5, 2)
        assert energy(y).shape == (3, 5)
        torch.testing.assert_close(energy(y)[1], energy(y[1]))
    assert cell_volume(10) == pytest.approx(0.04)
