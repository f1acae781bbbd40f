"""The restricted machine against enumeration of all its states, and against published likelihoods."""

import math
from collections.abc import Iterator
from itertools import product

import pytest
import torch
from machines import random_machine
from torch import Tensor

from lit_modules.networks.boltzmann.negative_phase import NegativePhase
from lit_modules.networks.boltzmann.pixels import chances, drawn, mean_bits
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine

H = 4
BETAS = (0.0, 0.3, 1.0)


def all_states(n: int) -> Tensor:
    return ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()


def ordered_states(pixels: int, levels: int) -> Tensor:
    """The bits of all states of ordinal pixels, ((levels + 1)^pixels, levels * pixels), spelled out."""
    states = torch.tensor(list(product(range(levels + 1), repeat=pixels)))
    return torch.cat([(states >= level).double() for level in range(1, levels + 1)], 1)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Steps of a millisecond only lose by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=[(6, 1), (3, 3), (4, 2)], ids=["6 pixels", "3 pixels of 4 greys", "4 pixels of 3 greys"])
def machine(request: pytest.FixtureRequest) -> RestrictedBoltzmannMachine:
    pixels, levels = request.param
    return random_machine(pixels, H, 1.0, levels)


def visible_states(machine: RestrictedBoltzmannMachine) -> Tensor:
    return ordered_states(machine.n_visible, machine.levels)


def joint_energy(machine: RestrictedBoltzmannMachine, beta: float = 1.0) -> Tensor:
    """E(v, h) of all pairs, from the definition and nothing else."""
    v, h = visible_states(machine) - machine.offset, all_states(H) - machine.hidden_offset
    bias = (1 - beta) * machine.base + beta * machine.visible_bias
    coupling = torch.einsum("ai,ij,bj->ab", v, machine.weight, h)
    return -beta * coupling - (v @ bias)[:, None] - beta * (h @ machine.hidden_bias)[None]


def exact_log_p(machine: RestrictedBoltzmannMachine) -> Tensor:
    """log p(v) of all visible states."""
    energy = joint_energy(machine)
    return torch.logsumexp(-energy, 1) - torch.logsumexp(-energy.flatten(), 0)


def frequencies(samples: Tensor, states: Tensor) -> Tensor:
    """How often each of the states is among the samples; an error if one is none of them."""
    place = {tuple(state): k for k, state in enumerate(states.tolist())}
    found, counts = torch.unique(samples, dim=0, return_counts=True)
    frequency = torch.zeros(len(states), dtype=torch.float64)
    frequency[[place[tuple(state)] for state in found.tolist()]] = counts.double() / len(samples)
    return frequency


@pytest.mark.parametrize("beta", BETAS)
def test_free_energy_sums_over_the_hidden_layer(machine: RestrictedBoltzmannMachine, beta: float) -> None:
    exact = -torch.logsumexp(-joint_energy(machine, beta), 1)
    assert torch.allclose(machine.free_energy(visible_states(machine), beta), exact, atol=1e-12)


@pytest.mark.parametrize("beta", BETAS)
def test_log_partition_sums_over_everything(machine: RestrictedBoltzmannMachine, beta: float) -> None:
    exact = float(torch.logsumexp(-joint_energy(machine, beta).flatten(), 0).detach())
    assert machine.log_partition(beta) == pytest.approx(exact, abs=1e-10)
    if beta == 0:
        assert machine.log_partition_base() == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize("levels", [1, 3])
def test_log_partition_over_either_layer(levels: int) -> None:
    """7 pixels of 4 greys, 16384 states, and 15 hidden units, 32768: each layer is the smaller one in turn."""
    machine = random_machine(7, 15, 0.5, levels)
    states = ordered_states(7, levels)
    exact = float(torch.logsumexp(-machine.free_energy(states), 0).detach())
    assert machine.log_partition() == pytest.approx(exact, abs=1e-9)
    few = random_machine(7, 3, 0.5, levels)
    exact = float(torch.logsumexp(-few.free_energy(states), 0).detach())
    assert few.log_partition() == pytest.approx(exact, abs=1e-9)


def test_too_many_units_for_an_exact_sum() -> None:
    with pytest.raises(ValueError, match="at most 20 hidden units, not 21"):
        RestrictedBoltzmannMachine(11, 21, levels=3).log_partition()


@pytest.mark.parametrize("beta", BETAS)
def test_conditionals(machine: RestrictedBoltzmannMachine, beta: float) -> None:
    energy, states = joint_energy(machine, beta), visible_states(machine)
    p = torch.softmax(-energy.flatten(), 0).view_as(energy).detach()
    h_given_v = p @ all_states(H) / p.sum(1, keepdim=True)
    v_given_h = p.T @ states / p.sum(0)[:, None]
    assert torch.allclose(machine.hidden(states, beta), h_given_v)
    assert torch.allclose(machine.visible(all_states(H), beta), v_given_h)


def test_it_starts_as_independent_pixels_of_the_mean() -> None:
    grey = torch.rand(5, 4).double()
    mean = mean_bits(chances(grey, 3), 3)
    machine = RestrictedBoltzmannMachine(4, 2, levels=3).double()
    machine.start_from(mean.flatten())
    h = all_states(2)
    assert torch.allclose(machine.visible(h, beta=0.0), mean.flatten().expand(4, -1))
    assert torch.allclose(machine.visible(h).mean(0), mean.flatten(), atol=0.01)  # the first weights are small
    flat = RestrictedBoltzmannMachine(4, 2, levels=3)
    assert torch.allclose(flat.visible(torch.zeros(1, 2), beta=0.0)[0], flat.offset)


def test_a_moving_offset_leaves_the_distribution_as_it_is(machine: RestrictedBoltzmannMachine) -> None:
    before = exact_log_p(machine)
    mean = torch.rand_like(machine.hidden_offset)
    expected = torch.lerp(machine.hidden_offset, mean, 0.3)
    machine.move_hidden_offset(mean, 0.3)
    assert torch.allclose(machine.hidden_offset, expected)
    assert torch.allclose(exact_log_p(machine), before, atol=1e-12)
    assert torch.allclose(machine.free_energy(visible_states(machine)) + machine.log_partition(), -before, atol=1e-10)


def test_gibbs_samples_the_machine(machine: RestrictedBoltzmannMachine) -> None:
    """At the temperature of each chain, in ordered bits alone, from a far start."""
    states = visible_states(machine)
    betas = torch.tensor(BETAS).double()[:, None, None]
    samples = machine.gibbs(torch.zeros(1, 30_000, states.shape[1]).double(), 40, betas)
    for beta, chains in zip(BETAS, samples, strict=True):
        p = torch.softmax(torch.logsumexp(-joint_energy(machine, beta), 1), 0).detach()
        assert float((frequencies(chains, states) - p).abs().sum() / 2) < 0.03


def test_persistent_chains_give_the_exact_gradient(machine: RestrictedBoltzmannMachine) -> None:
    states = visible_states(machine)
    rows = [3, 17, 40, 63]
    data, parameters = states[rows], tuple(machine.parameters())
    exact = torch.autograd.grad(-exact_log_p(machine)[rows].mean(), parameters)
    p = exact_log_p(machine).exp().detach()
    expected = machine.free_energy(data).mean() - (p * machine.free_energy(states)).sum()
    for true, estimate in zip(exact, torch.autograd.grad(expected, parameters), strict=True):
        assert torch.allclose(true, estimate, atol=1e-12)
    chains = machine.gibbs(torch.zeros(50_000, states.shape[1]).double(), 40)
    sampled = machine.free_energy(data).mean() - machine.free_energy(chains).mean()
    for true, estimate in zip(exact, torch.autograd.grad(sampled, parameters), strict=True):
        assert float((true - estimate).abs().max()) < 0.02
        assert float(true.abs().max()) > 0.05


def test_contrastive_divergence_is_the_course_s_update(machine: RestrictedBoltzmannMachine) -> None:
    """-dL/dw_ij = <v_i h_j>0 - <v_i h_j>1, here of the centred units."""
    data = visible_states(machine)[[3, 17, 40, 63]]
    after = machine.gibbs(data, 1)
    loss = machine.free_energy(data).mean() - machine.free_energy(after).mean()
    [gradient] = torch.autograd.grad(loss, [machine.weight])

    def correlation(v: Tensor) -> Tensor:
        return (v - machine.offset).T @ (machine.hidden(v) - machine.hidden_offset) / len(v)

    assert torch.allclose(-gradient, correlation(data) - correlation(after))


def test_growing_from_one_and_from_several(machine: RestrictedBoltzmannMachine) -> None:
    every = visible_states(machine)
    a, b = every[[11, 52]]
    chains, states = 40_000, all_states(H)

    def mean_child(chance: Tensor) -> Tensor:
        weight = torch.prod(states * chance + (1 - states) * (1 - chance), 1)
        return weight @ machine.visible(states)

    child = machine.grow(a.expand(1, chains, -1), 1).mean(0)
    assert torch.allclose(child, mean_child(machine.hidden(a)), atol=0.01)
    both = torch.stack([a.expand(chains, -1), b.expand(chains, -1)])
    between = mean_child((machine.hidden(a) + machine.hidden(b)) / 2)
    assert torch.allclose(machine.grow(both, 1).mean(0), between, atol=0.01)
    p = exact_log_p(machine).exp().detach()
    assert torch.allclose(machine.grow(both, 40).mean(0), p @ every, atol=0.01)  # forgotten


def test_one_bit_is_lit_with_the_grey_as_its_chance() -> None:
    torch.manual_seed(0)
    grey = torch.tensor([[0.0, 0.13, 0.5, 0.77, 1.0]])
    assert torch.allclose(drawn(grey.expand(40_000, -1), 1).mean(0), grey[0], atol=0.01)


@pytest.mark.parametrize("levels", [2, 4, 7])
def test_several_bits_are_the_rounded_grey_in_order(levels: int) -> None:
    grey = torch.rand(20, 5)
    bits = drawn(grey, levels)
    assert (bits.view(-1, levels, 5).diff(dim=1) <= 0).all()  # a thermometer
    rounded = RestrictedBoltzmannMachine(5, 1, levels).grey(bits)
    assert torch.allclose(rounded, (grey * levels).round() / levels)


@pytest.mark.parametrize("kind", ["cd", "pcd", "pt"])
def test_negative_phases(kind: str) -> None:
    """cd starts at the data at each step; the others go on, and sample the machine with all its temperatures."""
    machine = random_machine(3, H, 1.0, levels=2)
    states = visible_states(machine)
    torch.manual_seed(0)
    phase = NegativePhase(kind, chains=4000, sweeps=3, temperatures=4)  # type: ignore[arg-type]
    data = states[[5, 20]]
    chains = None
    for _ in range(15):
        chains = phase.step(machine, chains, data)
    assert chains is not None
    assert chains.shape == {"cd": (1, 2, 6), "pcd": (1, 4000, 6), "pt": (4, 4000, 6)}[kind]
    if kind == "cd":  # wherever the chains stood
        torch.manual_seed(1)
        found = phase.step(machine, states[None], data)
        torch.manual_seed(1)
        assert torch.equal(found, machine.gibbs(data[None], 3))
    else:
        p = exact_log_p(machine).exp().detach()
        assert float((frequencies(chains[-1], states) - p).abs().sum() / 2) < 0.05


def test_tempering_needs_two_temperatures() -> None:
    with pytest.raises(ValueError, match="at least 2 temperatures, not 1"):
        NegativePhase("pt", chains=10, sweeps=1, temperatures=1)


def learn(
    machine: RestrictedBoltzmannMachine, data: Tensor, *, epochs: int, batch: int, lr: float, sweeps: int
) -> float:
    """Persistent contrastive divergence; returns log Z."""
    machine.start_from(mean_bits(data, 1).flatten())
    chains = machine.draw(machine.offset.expand(200, -1))
    optimizer = torch.optim.AdamW(machine.parameters(), lr=lr, weight_decay=0)
    steps = epochs * math.ceil(len(data) / batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(data)).split(batch):
            chains = machine.gibbs(chains, sweeps)
            loss = machine.free_energy(data[rows]).mean() - machine.free_energy(chains).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return machine.log_partition()


def test_bars_and_stripes() -> None:
    """Total log-likelihood of the 3x3 set; no model can pass 12 ln(1/16) + 4 ln(2/16) = -41.59."""
    rows = all_states(3).float()[:, :, None].expand(-1, 3, 3)
    data = torch.cat([rows, rows.transpose(1, 2)]).flatten(1)
    torch.manual_seed(0)
    machine = RestrictedBoltzmannMachine(9, 12)
    log_z = learn(machine, data, epochs=2000, batch=16, lr=0.03, sweeps=10)
    total = (-machine.free_energy(data) - log_z).sum().item()
    assert -43.5 < total < -41.588


@pytest.mark.parametrize("negative", [False, True])
def test_digits_beat_scikit_learn(negative: bool) -> None:
    """Held-out log-likelihood of BernoulliRBM with 16 hidden units: -18.95 nats; of its negatives no worse."""
    datasets = pytest.importorskip("sklearn.datasets")
    digits = torch.tensor(datasets.load_digits().data > 8, dtype=torch.float32)  # levels 0 to 16
    digits = 1 - digits if negative else digits
    train, test = digits[:1500], digits[1500:]
    torch.manual_seed(0)
    machine = RestrictedBoltzmannMachine(64, 16)
    log_z = learn(machine, train, epochs=60, batch=50, lr=0.02, sweeps=1)
    assert (-machine.free_energy(test) - log_z).mean().item() > -18.95
