"""Log Z by annealing, by its reverse and along a training, against enumeration."""

import pytest
import torch
from machines import random_machine
from torch import Tensor

from lit_modules.networks.boltzmann.log_partition import (
    LogPartition,
    adaptive_betas,
    annealed,
    annealed_chains,
    bracket,
    interval,
    reverse_annealed,
    spaced,
)
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine, thermometers
from lit_modules.networks.boltzmann.running_log_partition import RunningLogPartition
from lit_modules.networks.boltzmann.weighted_chains import WeightedChains, effective_number, log_mean_exp, systematic


def exact_samples(machine: RestrictedBoltzmannMachine, n: int) -> Tensor:
    """Independent draws by enumeration of the visible units."""
    states = thermometers(torch.arange((machine.levels + 1) ** machine.n_visible), machine.n_visible, machine.levels)
    weight = torch.softmax(-machine.free_energy(states.double()).detach(), 0)
    return states.double()[weight.multinomial(n, replacement=True)]


def test_resampling_keeps_the_expected_weight_of_each_chain() -> None:
    log_weight = torch.tensor([0.1, 0.2, 0.3, 0.4]).double().log()
    torch.manual_seed(0)
    counts = torch.bincount(systematic(log_weight.expand(20_000, -1)).flatten(), minlength=4) / 20_000
    assert counts.tolist() == pytest.approx([0.4, 0.8, 1.2, 1.6], abs=0.02)
    assert systematic(torch.zeros(5).double()).tolist() == [0, 1, 2, 3, 4]


def test_effective_number_and_mean_of_weights() -> None:
    log_weight = torch.tensor([[0.0, 0.0, 0.0, 0.0], [500.0, -500.0, -500.0, -500.0]]).double()
    assert effective_number(log_weight).tolist() == pytest.approx([4, 1])
    assert log_mean_exp(torch.tensor([1.0, 3.0]).double().log()).item() == pytest.approx(torch.tensor(2.0).log().item())


def test_only_poor_populations_are_resampled_and_no_weight_is_lost() -> None:
    states = torch.arange(8.0).view(2, 4, 1)
    chains = WeightedChains(states, 0.0)
    chains.reweigh(torch.tensor([[0.0, 0.1, 0.0, 0.1], [0.0, -9.0, -9.0, -9.0]]).double())
    assert chains.states.flatten().tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert chains.log_weight[0].tolist() == pytest.approx([0.0, 0.1, 0.0, 0.1]) and not chains.log_weight[1].any()
    assert chains.estimates()[1].exp().item() == pytest.approx((1 + 3 * torch.tensor(-9.0).exp().item()) / 4)


def test_weights_of_unmoved_chains_are_unbiased_with_resampling() -> None:
    """Without moves the product of all ratios is importance sampling of a known sum, also where it is resampled."""
    torch.manual_seed(0)
    uniform = (torch.rand(4000, 16, 1) * 6).floor()
    chains = WeightedChains(uniform, torch.tensor(6.0).log().item())
    for _ in range(4):
        chains.reweigh(-chains.states[..., 0].double() / 4)
    exact = torch.exp(-torch.arange(6.0)).sum().item()
    assert chains.estimates().exp().mean().item() == pytest.approx(exact, rel=0.02)
    assert chains.log_z.unique().numel() > 1


@pytest.mark.parametrize("levels", [1, 3])
def test_annealing_from_both_ends_meets_the_sum(levels: int) -> None:
    machine = random_machine(6, 4, 1.0, levels)
    exact = machine.log_partition()
    torch.manual_seed(0)
    betas = spaced(adaptive_betas(machine, 256, 0.5), 100)
    below = annealed(machine, 2048, betas)
    above = reverse_annealed(machine, exact_samples(machine, 2048).view(32, 64, -1), betas)
    for found in (below, above):
        assert found.low < found.value < found.high < found.low + 0.3
        assert found.value == pytest.approx(exact, abs=0.05)
        assert 16 < found.effective <= 32
    both = bracket(machine, 2048, 100)
    assert both.low < exact < both.high < both.low + 0.3


def test_too_few_steps_show_as_a_wide_bracket_around_the_truth() -> None:
    machine = random_machine(14, 10, 2.0)
    exact = machine.log_partition()
    torch.manual_seed(0)
    betas = torch.linspace(0, 1, 5).double()
    assert (
        annealed(machine, 64, betas).value
        < exact
        < reverse_annealed(machine, exact_samples(machine, 64)[:, None], betas).value
    )
    rough, fine = bracket(machine, 64, 4), bracket(machine, 640, 200)
    assert rough.low < exact < rough.high
    assert fine.low < exact < fine.high
    assert fine.high - fine.low < (rough.high - rough.low) / 3


def test_sampled_states_forget_their_weights() -> None:
    machine = random_machine(6, 4, 1.0)
    torch.manual_seed(0)
    chains = annealed_chains(machine, 20_000, torch.linspace(0, 1, 12).double())
    exact = exact_samples(machine, 50_000).mean(0)
    assert chains.sample().flatten(0, 1).mean(0).tolist() == pytest.approx(exact.tolist(), abs=0.02)


def test_interval_of_the_mean_of_independent_estimates() -> None:
    """Student's interval of the mean of a thousand numbers near 1, in logarithms."""
    torch.manual_seed(0)
    values = 1 + 0.1 * torch.randn(1000).double()
    error = (values.std() / 1000**0.5).item()
    found = interval(values.log())
    assert found.value == pytest.approx(values.mean().log().item())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert interval(torch.zeros(32).double()) == LogPartition(0.0, 0.0, 0.0, pytest.approx(32.0))


def test_neighbours_on_the_ladder_know_of_each_other() -> None:
    machine = random_machine(30, 12, 1.0)
    torch.manual_seed(0)
    betas = adaptive_betas(machine, 512, 0.5)
    assert betas[0] == 0 and betas[-1] == 1 and (betas.diff() > 0).all()
    samples = machine.gibbs(torch.zeros(2000, 30).double(), 50, 0.0)
    log_weight = machine.free_energy(samples, 0.0) - machine.free_energy(samples, float(betas[1]))
    assert 0.4 < effective_number(log_weight.detach()).item() / 2000 < 0.75
    assert len(adaptive_betas(machine, 512, 0.9)) > len(betas)
    fine = spaced(betas, 3 * (len(betas) - 1))
    assert torch.allclose(fine[::3], betas) and len(fine) == 3 * (len(betas) - 1) + 1


def test_running_estimate_is_exact_at_first_and_near_along_a_training() -> None:
    torch.manual_seed(0)
    machine = RestrictedBoltzmannMachine(16, 6)
    data = (torch.rand(100, 1) < 0.5) ^ (torch.rand(100, 16) < 0.1)
    machine.start_from(data.float().mean(0))
    running = RunningLogPartition(machine)
    assert running.value.item() == pytest.approx(machine.log_partition_base())
    optimizer, chains, off = torch.optim.SGD(machine.parameters(), lr=0.1), data.float(), []
    for step in range(200):
        chains = machine.gibbs(chains, 1)
        optimizer.zero_grad()
        (machine.free_energy(data.float()).mean() - machine.free_energy(chains).mean()).backward()
        optimizer.step()
        running.advance(machine)
        if step % 10 == 9:
            off.append(running.value.item() - machine.log_partition())
    assert machine.log_partition() - machine.log_partition_base() > 1, "the training changed log Z"
    assert torch.tensor(off).abs().max() < 1.5, "it lags where the clusters part"
    assert max(map(abs, off[:5])) < 0.02
    assert abs(off[-1]) < 0.2


def test_running_estimate_goes_on_from_a_checkpoint() -> None:
    machine = random_machine(8, 4, 0.5).float()
    running, resumed = RunningLogPartition(machine), RunningLogPartition(machine)
    for _ in range(15):
        running.advance(machine)
    resumed.load_state_dict(running.state_dict())
    for each in (running, resumed):
        torch.manual_seed(3)
        each.advance(machine)
    assert running.value == resumed.value and torch.equal(running.states, resumed.states)
