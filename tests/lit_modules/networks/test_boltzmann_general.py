"""The general machine against enumeration of all its states."""

import math

import pytest
import torch
from torch import Tensor

from lit_modules.networks.boltzmann.general import BoltzmannMachine, cooling

VISIBLE, HIDDEN = 5, 3
N = VISIBLE + HIDDEN
FREE = range(N)


def all_states(n: int) -> Tensor:
    return ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()


@pytest.fixture
def machine() -> BoltzmannMachine:
    torch.manual_seed(3)
    machine = BoltzmannMachine(VISIBLE, HIDDEN).double()
    machine.start_from(torch.rand(VISIBLE).double() * 0.6 + 0.2)
    with torch.no_grad():
        machine.upper.normal_(std=1.0)
        machine.bias.normal_(std=0.5)
    return machine


def energy_by_pairs(machine: BoltzmannMachine, state: Tensor) -> float:
    weight, centred = machine.upper.detach(), state - machine.offset
    pairs = sum(weight[i, j] * centred[i] * centred[j] for i in range(N) for j in range(i + 1, N))
    return float(-pairs - (machine.bias.detach() * centred).sum())


def log_likelihood(machine: BoltzmannMachine, data: Tensor) -> Tensor:
    """Mean log p(v) by summing over every state."""
    energy = machine.energy(all_states(N)).view(2**HIDDEN, 2**VISIBLE)  # visible units are the low bits
    marginal = torch.logsumexp(-energy, 0) - torch.logsumexp(-energy.flatten(), 0)
    numbers = (data @ 2.0 ** torch.arange(VISIBLE).double()).long()
    return marginal[numbers].mean()


def frequencies(states: Tensor) -> Tensor:
    numbers = (states.double() @ 2.0 ** torch.arange(N).double()).long()
    return torch.bincount(numbers, minlength=2**N) / len(states)


def total_variation(p: Tensor, q: Tensor) -> float:
    return float((p - q).abs().sum() / 2)


def test_energy_counts_each_pair_once(machine: BoltzmannMachine) -> None:
    for state in all_states(N)[::17]:
        assert machine.energy(state).item() == pytest.approx(energy_by_pairs(machine, state))
    assert torch.equal(machine.weight, machine.weight.T)
    assert torch.all(machine.weight.diagonal() == 0)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_sweeps_sample_the_boltzmann_distribution(machine: BoltzmannMachine, temperature: float) -> None:
    exact = torch.softmax(-machine.energy(all_states(N)).detach() / temperature, 0)
    chains = torch.full((40_000, N), 0.5).double().bernoulli()
    sampled = frequencies(machine.anneal(chains, [temperature] * 30, FREE))
    assert total_variation(sampled, exact) < 0.04  # 0.02 is what 40 000 perfect draws give
    other = torch.softmax(-machine.energy(all_states(N)).detach() / (3 - temperature), 0)
    assert total_variation(sampled, other) > 0.1


def test_clamped_units_stay_and_free_ones_follow_their_conditional(machine: BoltzmannMachine) -> None:
    visible = torch.tensor([1.0, 0, 1, 1, 0]).double()
    states = machine.complete(visible.expand(40_000, -1), [1.0] * 30)
    assert torch.equal(states[:, :VISIBLE], visible.expand(40_000, -1))
    hidden = all_states(HIDDEN)
    every = torch.cat([visible.expand(len(hidden), -1), hidden], 1)
    exact = torch.softmax(-machine.energy(every).detach(), 0)
    numbers = (states[:, VISIBLE:] @ 2.0 ** torch.arange(HIDDEN).double()).long()
    assert total_variation(torch.bincount(numbers, minlength=8) / len(states), exact) < 0.01


def test_the_two_phases_descend_the_exact_negative_log_likelihood(machine: BoltzmannMachine) -> None:
    data = torch.tensor([[1.0, 1, 0, 0, 1], [0, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).double()
    parameters = (machine.upper, machine.bias)
    exact = torch.autograd.grad(-log_likelihood(machine, data), parameters)
    positive = machine.complete(data.repeat(20_000, 1), [1.0] * 20)
    negative = machine.anneal(torch.full((60_000, N), 0.5).double().bernoulli(), [1.0] * 40, FREE)
    sampled = torch.autograd.grad(machine.energy(positive).mean() - machine.energy(negative).mean(), parameters)
    for true, estimate in zip(exact, sampled, strict=True):
        assert float((true - estimate).abs().max()) < 0.01
        assert float(true.abs().max()) > 0.1
    clamped_only = torch.autograd.grad(machine.energy(positive).mean(), parameters)
    assert float((exact[0] - clamped_only[0]).abs().max()) > 0.1


def test_starts_as_independent_pixels_with_the_mean_of_the_data() -> None:
    torch.manual_seed(0)
    machine = BoltzmannMachine(VISIBLE, HIDDEN)
    mean = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])
    machine.start_from(mean)
    with torch.no_grad():
        machine.upper.zero_()
    samples = machine.anneal(torch.zeros(20_000, N), [1.0], FREE)
    assert torch.allclose(samples[:, :VISIBLE].mean(0), mean, atol=0.015)


def test_recalls_stored_pictures_from_their_halves() -> None:
    """Sixteen pixels, four stored random pictures: the left half brings back the right one."""
    torch.manual_seed(1)
    stored = torch.rand(4, 16).round()
    known = torch.arange(16) % 4 < 2
    assert len({tuple(half) for half in stored[:, known].tolist()}) == 4
    machine = BoltzmannMachine(16, 4)
    machine.start_from((stored.sum(0) + 0.5) / 5)
    chains = torch.full((64, 20), 0.5).bernoulli()
    optimizer = torch.optim.AdamW(machine.parameters(), lr=0.05)
    before = machine.recall(stored, known, cooling(4, 20), 20)
    for _ in range(60):
        chains = machine.anneal(chains, cooling(2, 4), range(20))
        positive = machine.complete(stored.repeat(4, 1), [1.0] * 2)
        loss = machine.energy(positive).mean() - machine.energy(chains).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    recalled = machine.recall(stored, known, cooling(4, 20), 20)
    assert torch.equal(recalled[:, known], stored[:, known])
    assert float((recalled - stored)[:, ~known].abs().mean()) < 0.1
    assert float((before - stored)[:, ~known].abs().mean()) > 0.2


def test_cooling_falls_geometrically_to_one() -> None:
    temperatures = cooling(8.0, 3)
    assert temperatures == pytest.approx([4, 2, 1])
    assert math.isclose(cooling(5.0, 1)[0], 1)
