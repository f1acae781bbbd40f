"""The restricted machine against enumeration of all its states, and against published likelihoods."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lit_modules.networks.boltzmann.annealed_importance import annealed_log_partition
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine

V, H = 6, 4


def all_states(n: int) -> Tensor:
    return ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()


def make(n_visible: int, n_hidden: int, scale: float) -> RestrictedBoltzmannMachine:
    torch.manual_seed(5)
    machine = RestrictedBoltzmannMachine(n_visible, n_hidden).double()
    machine.start_from(torch.rand(n_visible).double() * 0.8 + 0.1)
    with torch.no_grad():
        machine.weight.normal_(std=scale)
        machine.visible_bias.normal_()
        machine.hidden_bias.normal_()
    return machine


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Steps of a millisecond only lose by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def machine() -> RestrictedBoltzmannMachine:
    return make(V, H, 1.0)


def joint_energy(machine: RestrictedBoltzmannMachine) -> Tensor:
    """E(v, h) of all pairs, (2^V, 2^H), from the definition and nothing else."""
    v, h = all_states(V) - machine.offset, all_states(H) - 0.5
    coupling = torch.einsum("ai,ij,bj->ab", v, machine.weight, h)
    return -coupling - (v @ machine.visible_bias)[:, None] - (h @ machine.hidden_bias)[None]


def exact_log_p(machine: RestrictedBoltzmannMachine) -> Tensor:
    """log p(v) of all visible states, (2^V,)."""
    energy = joint_energy(machine)
    return torch.logsumexp(-energy, 1) - torch.logsumexp(-energy.flatten(), 0)


def number(states: Tensor) -> Tensor:
    return (states.double() @ 2.0 ** torch.arange(states.shape[1]).double()).long()


def test_free_energy_sums_over_the_hidden_layer(machine: RestrictedBoltzmannMachine) -> None:
    exact = -torch.logsumexp(-joint_energy(machine), 1)
    assert torch.allclose(machine.free_energy(all_states(V)), exact, atol=1e-12)


def test_log_partition_sums_over_everything(machine: RestrictedBoltzmannMachine) -> None:
    exact = float(torch.logsumexp(-joint_energy(machine).flatten(), 0))
    assert machine.log_partition() == pytest.approx(exact, abs=1e-10)
    with pytest.raises(ValueError, match="at most 20"):
        RestrictedBoltzmannMachine(21, 21).log_partition()


def test_conditionals(machine: RestrictedBoltzmannMachine) -> None:
    p = torch.softmax(-joint_energy(machine).flatten(), 0).view(2**V, 2**H).detach()
    h_given_v = p @ all_states(H) / p.sum(1, keepdim=True)
    v_given_h = p.T @ all_states(V) / p.sum(0)[:, None]
    assert torch.allclose(machine.hidden(all_states(V)), h_given_v)
    assert torch.allclose(machine.visible(all_states(H)), v_given_h)


def test_pseudo_likelihood(machine: RestrictedBoltzmannMachine) -> None:
    log_p = exact_log_p(machine)
    states, flips = all_states(V), 2 ** torch.arange(V)
    turned = log_p[torch.arange(2**V)[:, None] ^ flips]  # every pixel flipped once
    exact = (log_p[:, None] - torch.logaddexp(log_p[:, None], turned)).sum(1)
    assert torch.allclose(machine.log_pseudo_likelihood(states, torch.arange(V)), exact)


def test_gibbs_leaves_the_distribution_as_it_is(machine: RestrictedBoltzmannMachine) -> None:
    """Exactly, from the two conditionals; then the sampler itself, from a far start."""
    p = exact_log_p(machine).exp().detach()

    def probability(states: Tensor, chance: Tensor) -> Tensor:  # (conditions, states)
        return torch.exp((states * chance.log()[:, None] + (1 - states) * (1 - chance).log()[:, None]).sum(-1))

    up = probability(all_states(H), machine.hidden(all_states(V)))
    down = probability(all_states(V), machine.visible(all_states(H)))
    assert torch.allclose(p @ up @ down, p, atol=1e-12)
    samples = machine.gibbs(torch.zeros(40_000, V).double(), 40)
    frequency = torch.bincount(number(samples), minlength=2**V) / len(samples)
    assert float((frequency - p).abs().sum() / 2) < 0.02


def test_persistent_chains_give_the_exact_gradient(machine: RestrictedBoltzmannMachine) -> None:
    data = all_states(V)[[3, 17, 40, 63]]
    parameters = tuple(machine.parameters())
    exact = torch.autograd.grad(-exact_log_p(machine)[[3, 17, 40, 63]].mean(), parameters)
    p = exact_log_p(machine).exp().detach()
    expected = machine.free_energy(data).mean() - (p * machine.free_energy(all_states(V))).sum()
    for true, estimate in zip(exact, torch.autograd.grad(expected, parameters), strict=True):
        assert torch.allclose(true, estimate, atol=1e-12)
    chains = machine.gibbs(torch.zeros(100_000, V).double(), 40)
    sampled = machine.free_energy(data).mean() - machine.free_energy(chains).mean()
    for true, estimate in zip(exact, torch.autograd.grad(sampled, parameters), strict=True):
        assert float((true - estimate).abs().max()) < 0.01
        assert float(true.abs().max()) > 0.05


def test_contrastive_divergence_is_the_course_s_update(machine: RestrictedBoltzmannMachine) -> None:
    """-dL/dw_ij = <v_i h_j>0 - <v_i h_j>1, here of the centred units v - o and h - 1/2."""
    data = all_states(V)[[3, 17, 40, 63]]
    after = machine.gibbs(data, 1)
    loss = machine.free_energy(data).mean() - machine.free_energy(after).mean()
    [gradient] = torch.autograd.grad(loss, [machine.weight])

    def correlation(v: Tensor) -> Tensor:
        return (v - machine.offset).T @ (machine.hidden(v) - 0.5) / len(v)

    assert torch.allclose(-gradient, correlation(data) - correlation(after))


def test_growing_from_one_and_from_several(machine: RestrictedBoltzmannMachine) -> None:
    a, b = all_states(V)[[11, 52]]
    chains = 60_000
    states = all_states(H)

    def mean_child(chance: Tensor) -> Tensor:
        weight = torch.prod(states * chance + (1 - states) * (1 - chance), 1)
        return weight @ machine.visible(states)

    child = machine.grow(a.expand(1, chains, V), 1).mean(0)
    assert torch.allclose(child, mean_child(machine.hidden(a)), atol=0.01)
    both = torch.stack([a.expand(chains, V), b.expand(chains, V)])
    between = mean_child((machine.hidden(a) + machine.hidden(b)) / 2)
    assert torch.allclose(machine.grow(both, 1).mean(0), between, atol=0.01)
    p = exact_log_p(machine).exp().detach()
    assert torch.allclose(machine.grow(both, 40).mean(0), p @ all_states(V), atol=0.01)  # forgotten


@pytest.mark.parametrize(("n_visible", "n_hidden", "scale"), [(6, 4, 2.0), (40, 12, 0.5)])
def test_annealed_importance_sampling_agrees_with_the_sum(n_visible: int, n_hidden: int, scale: float) -> None:
    machine = make(n_visible, n_hidden, scale)
    torch.manual_seed(0)
    estimate, error = annealed_log_partition(machine, chains=500, steps=500)
    assert 0 < error < 0.1
    assert abs(estimate - machine.log_partition()) < 4 * error


def learn(
    machine: RestrictedBoltzmannMachine, data: Tensor, *, epochs: int, batch: int, lr: float, sweeps: int
) -> float:
    """Persistent contrastive divergence; returns log Z."""
    machine.start_from((data.sum(0) + 0.5) / (len(data) + 1))
    chains = machine.offset.expand(200, -1).bernoulli()
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
