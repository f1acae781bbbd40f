"""Metropolis-Hastings against exact distributions: Gaussian, 5 states, asymmetric proposals, two modes."""

import math

import pytest
import torch
from scipy.stats import gamma, kstest, norm
from torch import Generator, Tensor

from lit_modules.networks.energy.box import inside
from lit_modules.networks.sampling.chains import EnergyError
from lit_modules.networks.sampling.metropolis import (
    Proposal,
    acceptance_probability,
    burn_in,
    either,
    gaussian_walk,
    metropolis_hastings,
    scale_mixture_walk,
    uniform_in_box,
)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def gaussian_energy(state: Tensor) -> Tensor:
    return state.square().sum(-1) / 2


@pytest.mark.parametrize(("beta", "dimensions"), [(1.0, 1), (1.0, 3), (4.0, 2)])
def test_gaussian_moments_and_distribution(beta: float, dimensions: int) -> None:
    chains = metropolis_hastings(
        gaussian_energy, torch.zeros(4000, dimensions), gaussian_walk(1.5), 100, beta=beta, generator=seeded()
    )
    last = chains.states[-1]
    assert last.mean().item() == pytest.approx(0, abs=0.05)
    assert last.var().item() == pytest.approx(1 / beta, rel=0.06)
    assert kstest(last[:, 0].numpy(), norm(scale=beta**-0.5).cdf).pvalue > 0.01
    torch.testing.assert_close(chains.energies, gaussian_energy(chains.states))


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.4])
def test_acceptance_of_a_gaussian_walk_is_the_known_one(scale: float) -> None:
    """In one dimension, at equilibrium: (2/pi) arctan(2/scale)."""
    start = torch.randn(4000, 1, generator=seeded(1))
    chains = metropolis_hastings(gaussian_energy, start, gaussian_walk(scale), 50, generator=seeded())
    assert chains.acceptance.mean().item() == pytest.approx(2 / math.pi * math.atan(2 / scale), abs=0.005)


ENERGIES = torch.tensor([0.3, 2.0, 1.1, 0.0, 2.7], dtype=torch.float64)


def proposal_matrix() -> Tensor:
    """q(y|x), irregular, with q(x|x) = 0 and no zero beside."""
    q = torch.rand(5, 5, dtype=torch.float64, generator=seeded(3)) + 0.1
    q.fill_diagonal_(0)
    return q / q.sum(1, keepdim=True)


def test_detailed_balance_on_five_states_exactly() -> None:
    beta, q = 1.3, proposal_matrix()
    r = acceptance_probability(ENERGIES[:, None], ENERGIES[None], (q.T / q).log().fill_diagonal_(0), beta)
    transition = q * r
    transition += torch.diag(1 - transition.sum(1))
    target = torch.softmax(-beta * ENERGIES, 0)
    flow = target[:, None] * transition
    torch.testing.assert_close(flow, flow.T, rtol=1e-12, atol=0)
    torch.testing.assert_close(target @ transition, target, rtol=1e-12, atol=0)
    moved = torch.softmax(torch.zeros(5, dtype=torch.float64), 0)
    for _ in range(500):
        moved = moved @ transition
    torch.testing.assert_close(moved, target, rtol=1e-10, atol=0)


def test_chain_on_five_states_visits_them_as_often_as_it_should() -> None:
    beta, q = 1.3, proposal_matrix()

    def propose(state: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        x = state[:, 0].long()
        y = torch.multinomial(q[x], 1, generator=generator)[:, 0]
        return y[:, None].to(state), (q[y, x] / q[x, y]).log()

    chains = metropolis_hastings(
        lambda state: ENERGIES[state[:, 0].long()], torch.zeros(20_000, 1), propose, 40, beta=beta, generator=seeded()
    )
    found = torch.bincount(chains.states[-1].long().flatten(), minlength=5) / 20_000
    expected = torch.softmax(-beta * ENERGIES, 0)
    assert ((found - expected).abs() < 4 * (expected * (1 - expected) / 20_000).sqrt()).all()


def test_asymmetric_proposal_on_a_gamma_distribution() -> None:
    """y = x exp(0.8 n): q is lognormal, q(x|y)/q(y|x) = y/x; without the ratio the shape would be wrong."""

    def propose(state: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        step = 0.8 * torch.randn(state.shape, generator=generator)
        return state * step.exp(), step[:, 0]

    def energy(state: Tensor) -> Tensor:
        return (state - 1.5 * state.log())[:, 0]  # Gamma(2.5)

    chains = metropolis_hastings(energy, torch.ones(5000, 1), propose, 100, generator=seeded())
    assert kstest(chains.states[-1, :, 0].numpy(), gamma(2.5).cdf).pvalue > 0.01


def two_modes(state: Tensor) -> Tensor:
    """Weights 1 : 3, far apart, in a box."""
    left = -((state - torch.tensor([-0.6, 0.0])).square().sum(-1)) / (2 * 0.05**2)
    right = -((state - torch.tensor([0.6, 0.0])).square().sum(-1)) / (2 * 0.05**2) + math.log(3)
    return (-torch.logaddexp(left, right)).masked_fill(~inside(state), torch.inf)


def test_jumps_weigh_two_modes_right() -> None:
    propose = either(uniform_in_box, scale_mixture_walk(0.02, 0.5), 0.3)
    start = torch.tensor([-0.6, 0.0]).expand(2000, 2)
    chains = metropolis_hastings(two_modes, start, propose, 1500, generator=seeded())
    last = chains.states[-1]
    right = last[:, 0] > 0
    assert right.float().mean().item() == pytest.approx(0.75, abs=0.04)
    assert last[right].std(0).tolist() == pytest.approx([0.05, 0.05], rel=0.08)


def test_no_state_leaves_the_box() -> None:
    def flat(state: Tensor) -> Tensor:
        return torch.zeros(state.shape[:-1]).masked_fill(~inside(state), torch.inf)

    chains = metropolis_hastings(flat, torch.zeros(3000, 2), gaussian_walk(0.7), 60, generator=seeded())
    assert inside(chains.states).all()
    assert kstest((chains.states[-1, :, 0].numpy() + 1) / 2, "uniform").pvalue > 0.01


def test_burn_in_finds_the_wanted_acceptance_for_each_density() -> None:
    widths = torch.tensor([0.01, 0.1, 1.0])[:, None]

    def energy(state: Tensor) -> Tensor:
        return gaussian_energy(state) / widths**2

    states, scale = burn_in(energy, torch.zeros(3, 64, 2), 600, target=0.35, generator=seeded())
    assert scale.shape == (3, 1, 1)
    chains = metropolis_hastings(energy, states[-1], gaussian_walk(scale), 300, generator=seeded(1))
    assert chains.acceptance.mean(1).tolist() == pytest.approx([0.35] * 3, abs=0.03)
    assert chains.states.std((0, 2)).mean(1).tolist() == pytest.approx([0.01, 0.1, 1.0], rel=0.05)


def test_same_seed_same_chain() -> None:
    runs = [
        metropolis_hastings(gaussian_energy, torch.zeros(8, 2), gaussian_walk(1.0), 20, generator=seeded(seed)).states
        for seed in (5, 5, 6)
    ]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("propose", [gaussian_walk(1.0), scale_mixture_walk(0.1, 1.0), uniform_in_box])
def test_a_seed_decides_all(propose: Proposal) -> None:
    """The same chain whatever the global generator says, which is left as it was."""
    runs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        mixed = either(propose, gaussian_walk(0.5), 0.5)
        runs.append(metropolis_hastings(gaussian_energy, torch.zeros(8, 2), mixed, 20, generator=seeded()).states)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*runs)


def flip_one(state: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
    """Propose to turn over one spin, drawn at random."""
    spin = torch.randint(state.shape[-1], (*state.shape[:-1], 1), generator=generator)
    return state.scatter(-1, spin, -state.gather(-1, spin)), state.new_zeros(())


def ising_energy(state: Tensor) -> Tensor:
    """Nearest neighbours on a torus of 4 x 4 spins ±1."""
    board = state.unflatten(-1, (4, 4))
    return -(board * (board.roll(1, -1) + board.roll(1, -2))).sum((-1, -2))


def test_ising_board_by_enumeration() -> None:
    """All 65 536 boards give the exact distribution of the energy and the mean of |magnetisation|."""
    beta = 0.35
    boards = ((torch.arange(2**16)[:, None] >> torch.arange(16)) & 1).double() * 2 - 1
    energies = ising_energy(boards)
    weight = torch.softmax(-beta * energies, 0)
    start = torch.randint(2, (4000, 16), generator=seeded(2)).double() * 2 - 1
    chains = metropolis_hastings(ising_energy, start, flip_one, 1500, beta=beta, generator=seeded())
    last = chains.states[-1]
    for found, exact in ((chains.energies[-1], energies), (last.mean(1).abs(), boards.mean(1).abs())):
        mean = (weight * exact).sum()
        error = ((weight * (exact - mean) ** 2).sum() / len(last)).sqrt()
        assert abs(found.mean() - mean) < 4 * error
    for level in energies.unique():
        share = weight[energies == level].sum()
        assert abs((chains.energies[-1] == level).double().mean() - share) < 4 * (share / len(last)).sqrt() + 1e-4


def test_chain_that_starts_outside_is_named() -> None:
    with pytest.raises(EnergyError, match="starts where the energy is not finite"):
        metropolis_hastings(two_modes, torch.full((3, 2), 2.0), gaussian_walk(1.0), 1)


def test_nan_energy_is_an_error_not_a_rejection() -> None:
    def torn(state: Tensor) -> Tensor:
        return torch.where(state[..., 0] == 0, 0.0, torch.nan)

    with pytest.raises(EnergyError, match="NaN"):
        metropolis_hastings(torn, torch.zeros(4, 1), gaussian_walk(1.0), 1)
