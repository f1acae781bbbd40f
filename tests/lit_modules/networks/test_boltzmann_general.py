"""The general machine against enumeration of all its states."""

import math

import pytest
import torch
from torch import Tensor

from lit_modules.networks.boltzmann.general import BoltzmannMachine
from lit_modules.networks.boltzmann.restricted import all_states

VISIBLE, HIDDEN = 5, 3
N = VISIBLE + HIDDEN
STATES = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * N).double()  # of all units, the first one slowest


@pytest.fixture
def machine() -> BoltzmannMachine:
    torch.manual_seed(3)
    machine = BoltzmannMachine(VISIBLE, HIDDEN).double()
    machine.start_from(torch.rand(VISIBLE).double() * 0.6 + 0.2)
    with torch.no_grad():
        machine.upper.normal_(std=1.0)
        machine.bias.normal_(std=0.5)
    return machine


def energy_by_pairs(machine: BoltzmannMachine, state: Tensor, beta: float = 1.0) -> Tensor:
    """E(s), pair by pair; at β the biases of pixels lie between those of independent pixels and their own."""
    centred = state - torch.cat([machine.offset, torch.full((HIDDEN,), 0.5).double()])
    bias = beta * machine.bias + (1 - beta) * torch.cat([machine.base, torch.zeros(HIDDEN).double()])
    pairs = sum(machine.upper[i, j] * centred[i] * centred[j] for i in range(N) for j in range(i + 1, N))
    return -(beta * pairs + bias @ centred)


def probabilities(machine: BoltzmannMachine, beta: float = 1.0) -> Tensor:
    """Of all states of the pixels, (2^VISIBLE,), the first pixel slowest."""
    energies = torch.stack([energy_by_pairs(machine, state, beta) for state in STATES])
    return torch.softmax(-energies, 0).view(2**VISIBLE, 2**HIDDEN).sum(1)


def frequencies(pixels: Tensor) -> Tensor:
    numbers = (pixels @ 2.0 ** torch.arange(VISIBLE).flip(0).double()).long()
    return torch.bincount(numbers, minlength=2**VISIBLE).double() / len(pixels)


def total_variation(p: Tensor, q: Tensor) -> float:
    return float((p - q).abs().sum() / 2)


def start(chains: int) -> Tensor:
    return torch.full((chains, VISIBLE), 0.5).double().bernoulli()


@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_free_energy_and_log_z_sum_over_all_states(machine: BoltzmannMachine, beta: float) -> None:
    pixels = STATES[:: 2**HIDDEN, :VISIBLE]
    energies = torch.stack([energy_by_pairs(machine, state, beta) for state in STATES])
    log_z = torch.logsumexp(-energies, 0)
    assert machine.log_partition(beta) == pytest.approx(log_z.item())
    by_hand = -torch.logsumexp(-energies.view(-1, 2**HIDDEN), 1)
    assert torch.allclose(machine.free_energy(pixels, beta), by_hand)
    each = torch.full((len(pixels), 1), beta).double()
    assert torch.allclose(machine.free_energy(pixels.expand(2, -1, -1), each), by_hand.expand(2, -1))


def test_at_beta_0_pixels_are_independent(machine: BoltzmannMachine) -> None:
    pixels = STATES[:: 2**HIDDEN, :VISIBLE]
    log_p = -machine.free_energy(pixels, 0.0) - machine.log_partition_base()
    assert torch.allclose(log_p, torch.distributions.Bernoulli(machine.offset).log_prob(pixels).sum(1))


def test_more_units_than_can_be_enumerated() -> None:
    with pytest.raises(ValueError, match="at most 20 units, not 21"):
        BoltzmannMachine(16, 5).log_partition()


@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_sweeps_sample_the_boltzmann_distribution(machine: BoltzmannMachine, beta: float) -> None:
    betas = torch.tensor([1.0, 0.3]).double().view(2, 1, 1)
    sampled = machine.gibbs(start(20_000).expand(2, -1, -1), 12, betas)
    with torch.no_grad():
        exact, other = probabilities(machine, beta), probabilities(machine, 1.3 - beta)
    chains = sampled[0 if beta == 1 else 1]
    assert total_variation(frequencies(chains), exact) < 0.03  # 0.015 is what 20 000 perfect draws give
    assert total_variation(frequencies(chains), other) > 0.1


def test_persistent_chains_are_as_cold_as_the_machine(machine: BoltzmannMachine) -> None:
    """Chains that go on, two sweeps at each step: their mean energy is the exact one, step after step."""
    with torch.no_grad():
        machine.upper *= 2
        energies = torch.stack([energy_by_pairs(machine, state) for state in STATES])
        of_pixels = energies.view(-1, 2**HIDDEN)
        mean = (torch.softmax(-of_pixels, 1) * of_pixels).sum(1)  # of E over h, for each state of the pixels
    exact = float(torch.softmax(-energies, 0) @ energies)
    chains, found = machine.gibbs(start(2_000), 20), []
    for _ in range(20):
        chains = machine.gibbs(chains, 2)
        found.append(float(frequencies(chains) @ mean))
    assert sum(found) / len(found) == pytest.approx(exact, abs=0.03)
    reheated = machine.gibbs(machine.gibbs(chains, 2, 0.5), 1)
    assert float(frequencies(reheated) @ mean) > exact + 0.1


def test_the_difference_of_free_energies_descends_the_negative_log_likelihood(machine: BoltzmannMachine) -> None:
    data = torch.tensor([[1.0, 1, 0, 0, 1], [0, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).double()
    numbers = (data @ 2.0 ** torch.arange(VISIBLE).flip(0).double()).long()
    exact = torch.autograd.grad(-probabilities(machine)[numbers].log().mean(), (machine.upper, machine.bias))
    chains = machine.gibbs(start(30_000), 10)
    gap = machine.free_energy(data).mean() - machine.free_energy(chains).mean()
    sampled = torch.autograd.grad(gap, (machine.upper, machine.bias))
    free_energies = machine.free_energy(all_states(VISIBLE).double())
    share = torch.softmax(-free_energies, 0).detach()
    enumerated = torch.autograd.grad(
        machine.free_energy(data).mean() - share @ free_energies, (machine.upper, machine.bias)
    )
    for true, estimate, same in zip(exact, sampled, enumerated, strict=True):
        assert torch.allclose(same, true)
        assert float((true - estimate).abs().max()) < 0.015
        assert float(true.abs().max()) > 0.1


def test_starts_as_independent_pixels_with_the_mean_of_the_data() -> None:
    torch.manual_seed(0)
    machine = BoltzmannMachine(VISIBLE, HIDDEN)
    mean = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])
    machine.start_from(mean)
    with torch.no_grad():
        machine.upper.zero_()
    samples = machine.gibbs(torch.zeros(20_000, VISIBLE), 1)
    assert torch.allclose(samples.mean(0), mean, atol=0.015)


@pytest.mark.parametrize("certainty", [[math.inf, math.inf, 0, 0, 0], [math.log(4.0)] * VISIBLE])
def test_recall_is_the_posterior_mean(machine: BoltzmannMachine, certainty: list[float]) -> None:
    """Given two pixels, and given all of them with a fifth of them wrong: p(v | told) by Bayes' rule."""
    told, sure = torch.tensor([1.0, 0, 0, 1, 0]).double(), torch.tensor(certainty).double()
    pixels = STATES[:: 2**HIDDEN, :VISIBLE]
    right = (pixels == told).double()
    wrong = torch.sigmoid(-sure)
    with torch.no_grad():
        posterior = probabilities(machine) * (right * (1 - wrong) + (1 - right) * wrong).prod(1)
    exact = (posterior / posterior.sum()) @ pixels
    recalled = machine.recall(told.expand(4_000, -1), sure, 10)
    assert torch.allclose(recalled.mean(0), exact, atol=0.015)
    assert torch.equal(recalled[:, sure.isinf()], told[sure.isinf()].expand(4_000, -1))
    with torch.no_grad():
        assert not torch.allclose(probabilities(machine) @ pixels, exact, atol=0.05)


def test_recall_cools_from_independent_pixels_to_the_machine(
    machine: BoltzmannMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    betas = []

    def sweep(visible: Tensor, beta: Tensor, *_: object) -> Tensor:
        betas.append(beta.unique().item())
        return visible

    monkeypatch.setattr(machine, "sweep", sweep)
    machine.recall(torch.zeros(2, machine.n_visible).double(), torch.zeros(machine.n_visible).double(), 4)
    assert betas == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_states_count_in_binary() -> None:
    assert all_states(2).tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
