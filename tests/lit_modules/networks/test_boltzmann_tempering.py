"""Tempering of restricted machines: exchanges keep balance, and chains cross from cluster to cluster."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine, all_states
from lit_modules.networks.boltzmann.tempering import Ladder, Temperatures, Trajectory, exchanged, temper

V = 10


def two_clusters() -> RestrictedBoltzmannMachine:
    """One hidden unit lights all pixels or none: Gibbs sweeps rarely cross from one to the other."""
    torch.manual_seed(0)
    machine = RestrictedBoltzmannMachine(V, 1)
    with torch.no_grad():
        machine.weight.fill_(6.0)
        machine.hidden_bias.fill_(0.5)
    return machine


def weakened(machine: RestrictedBoltzmannMachine, factor: float) -> RestrictedBoltzmannMachine:
    weaker = copy.deepcopy(machine)
    with torch.no_grad():
        for parameter in weaker.parameters():
            parameter *= factor
    return weaker


def temperatures(machine: RestrictedBoltzmannMachine) -> Ladder:
    return Temperatures(machine, torch.linspace(0, 1, 5))


def trajectory(machine: RestrictedBoltzmannMachine) -> Ladder:
    return Trajectory([weakened(machine, factor) for factor in (0.0, 0.25, 0.5, 0.75, 1.0)])


@pytest.mark.parametrize("ladder", [temperatures, trajectory])
def test_chains_of_one_cluster_find_the_other_with_its_weight(
    ladder: Callable[[RestrictedBoltzmannMachine], Ladder],
) -> None:
    machine = two_clusters()
    states = all_states(V)
    p = torch.softmax(-machine.free_energy(states).detach(), 0)
    exact = (p @ states)[0].item()
    start = torch.zeros(5, 2000, V)
    samples = temper(ladder(machine), start, 60)
    assert samples.shape == (5, 2000, V)
    assert samples[-1].mean().item() == pytest.approx(exact, abs=0.04)
    assert machine.gibbs(start[0], 60).mean() < 0.1, "Gibbs sweeps alone stay where they began"


@pytest.mark.parametrize("ladder", [temperatures, trajectory])
def test_each_rung_makes_one_sweep_of_its_own_machine(ladder: Callable[[RestrictedBoltzmannMachine], Ladder]) -> None:
    """From dark pixels: σ(β / 2) of the hidden unit, then σ(±3 β) of the pixels; a second sweep would light most."""
    machine, beta = two_clusters(), torch.linspace(0, 1, 5)
    with torch.no_grad():
        machine.hidden_bias.fill_(30.5)
    on = torch.sigmoid(beta / 2)
    moved = ladder(machine).gibbs(torch.zeros(5, 4000, V))
    expected = on * torch.sigmoid(3 * beta) + (1 - on) * torch.sigmoid(-3 * beta)
    torch.testing.assert_close(moved.mean((1, 2)), expected, rtol=0, atol=0.03)


def test_log_ratios_are_differences_of_free_energies() -> None:
    machine, betas = two_clusters(), torch.tensor([0.0, 0.3, 1.0])
    states = torch.rand(3, 4, V).round()

    def free_energy(machine: RestrictedBoltzmannMachine, row: int, beta: float) -> Tensor:
        return machine.free_energy(states[row], beta)

    up, down = Temperatures(machine, betas).log_ratios(states)
    assert torch.allclose(up[1], free_energy(machine, 1, 0.3) - free_energy(machine, 1, 1.0), atol=1e-5)
    assert torch.allclose(down[0], free_energy(machine, 1, 0.3) - free_energy(machine, 1, 0.0), atol=1e-5)
    machines = [weakened(machine, factor) for factor in (0.0, 0.3, 1.0)]
    up, down = Trajectory(machines).log_ratios(states)
    assert torch.allclose(up[0], free_energy(machines[0], 0, 1.0) - free_energy(machines[1], 0, 1.0), atol=1e-5)
    assert torch.allclose(down[1], free_energy(machines[2], 2, 1.0) - free_energy(machines[1], 2, 1.0), atol=1e-5)


@pytest.mark.parametrize("first", [0, 1])
def test_exchanges_keep_the_product_of_the_distributions(first: int) -> None:
    """Every pair of states of two pixels at β = 0.4 and 1: flow there equals flow back."""
    torch.manual_seed(1)
    machine = RestrictedBoltzmannMachine(2, 2)
    with torch.no_grad():
        machine.weight.normal_(std=2)
        machine.visible_bias.normal_()
    betas, every = torch.tensor([0.4, 1.0]), all_states(2)
    ladder = Temperatures(machine, torch.cat([betas.new_zeros(first), betas]))
    n, pairs = 10_000, torch.cartesian_prod(torch.arange(4), torch.arange(4)).T
    numbers = pairs[..., None].expand(2, 16, n)
    states = torch.cat([torch.zeros(first, 16 * n, 2), every[numbers].flatten(1, 2)])
    after = exchanged(states, ladder.log_ratios(states), first)
    turned = (after[first] != states[first]).any(-1).view(4, 4, n).double().mean(-1)
    p = [torch.softmax(-machine.free_energy(every, float(beta)).detach().double(), 0) for beta in betas]
    flow = p[0][:, None] * p[1] * turned
    torch.testing.assert_close(flow, flow.T, rtol=0, atol=3e-3)
    assert 0 < turned.max() <= 1 and turned[~torch.eye(4, dtype=torch.bool)].min() < 0.9
