"""Parallel tempering: the exchange keeps balance exactly, and far modes get their weights."""

import math

import pytest
import torch
from torch import Generator, Tensor

from lit_modules.networks.sampling.chains import EnergyError
from lit_modules.networks.sampling.metropolis import gaussian_walk, metropolis, metropolis_hastings
from lit_modules.networks.sampling.tempering import exchange, exchange_rows, parallel_tempering


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def two_modes(state: Tensor) -> Tensor:
    """Weights 1 : 3 at (-1, 0) and (1, 0), width 0.15: 22 nats between them."""
    left = -(state - state.new_tensor([-1.0, 0.0])).square().sum(-1) / (2 * 0.15**2)
    right = -(state - state.new_tensor([1.0, 0.0])).square().sum(-1) / (2 * 0.15**2) + math.log(3)
    return -torch.logaddexp(left, right)


def test_far_modes_get_their_weights_from_one_start() -> None:
    betas = torch.logspace(0, -2, 6)
    kernel = metropolis(two_modes, gaussian_walk(0.25 * betas.rsqrt()[:, None, None]))
    start = torch.tensor([-1.0, 0.0]).expand(6, 1000, 2)
    chains, exchanged = parallel_tempering(two_modes, kernel, start, 600, betas, generator=seeded())
    last = chains.states[300::20].flatten(0, 1)
    right = last[:, 0] > 0
    assert right.float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert last.mean(0).tolist() == pytest.approx([0.5, 0.0], abs=0.06)
    assert last[right].std(0).tolist() == pytest.approx([0.15, 0.15], rel=0.05)
    assert (exchanged > 0.2).all() and (exchanged < 1).all()
    assert chains.states.shape == (600, 1000, 2)
    torch.testing.assert_close(chains.energies, two_modes(chains.states))
    alone = metropolis_hastings(two_modes, start[0], gaussian_walk(0.25), 600, generator=seeded())
    assert (alone.states[-1, :, 0] > 0).float().mean() < 0.01, "a walk alone stays where it began"


def test_exchange_keeps_the_product_of_two_distributions_exactly() -> None:
    """Three states at two temperatures: all nine pairs and the probability that each is turned over."""
    energies, beta = torch.tensor([0.0, 0.7, 2.0]).double(), torch.tensor([1.0, 0.3]).double()
    cold, hot = torch.softmax(-beta[0] * energies, 0), torch.softmax(-beta[1] * energies, 0)
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3)).T  # cold and hot state
    n = 200_000
    both = energies[pairs][..., None].expand(2, 9, n)
    swap = exchange(both, beta.view(2, 1, 1), slice(0, 1, 2), seeded())[0].double().mean(1).view(3, 3)
    joint = cold[:, None] * hot
    flow = joint * swap
    torch.testing.assert_close(flow, flow.T, rtol=0, atol=4e-4)
    assert swap[1, 0] < 1 or swap[0, 1] < 1


def test_a_seed_decides_all() -> None:
    """The same chains whatever the global generator says, which is left as it was."""
    runs, kernel = [], metropolis(two_modes, gaussian_walk(0.3))
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        chains, _ = parallel_tempering(
            two_modes, kernel, torch.zeros(3, 4, 2), 6, torch.tensor([1.0, 0.5, 0.2]), generator=seeded()
        )
        runs.append(chains.states)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*runs)


def test_odd_and_even_pairs() -> None:
    values = torch.arange(5.0)[:, None]
    for parity, expected in ((0, [1, 0, 3, 2, 4]), (1, [0, 2, 1, 4, 3])):
        swap = torch.ones(2, 1, dtype=torch.bool)
        assert exchange_rows(values, swap, slice(parity, 4, 2))[:, 0].tolist() == expected


def test_a_start_of_infinite_energy_is_named() -> None:
    def wall(state: Tensor) -> Tensor:
        return torch.full(state.shape[:-1], torch.inf)

    with pytest.raises(EnergyError, match="not finite"):
        parallel_tempering(wall, metropolis(wall, gaussian_walk(1.0)), torch.zeros(2, 3, 1), 1, torch.ones(2))


def test_at_one_energy_every_exchange_that_is_tried_is_made() -> None:
    """Seven steps: one pair of three temperatures is tried four times, the other three times."""
    kernel = metropolis(lambda state: 0 * state[..., 0], gaussian_walk(0.1))
    start, betas = torch.zeros(3, 5, 2), torch.tensor([1.0, 0.5, 0.1])
    chains, exchanged = parallel_tempering(lambda state: 0 * state[..., 0], kernel, start, 7, betas, generator=seeded())
    assert exchanged.tolist() == [1.0, 1.0]
    assert (chains.acceptance == 1).all()
