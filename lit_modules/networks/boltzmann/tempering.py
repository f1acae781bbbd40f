"""Tempering of restricted Boltzmann machines: chains of easier machines hand what they find to the one wanted."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine
from lit_modules.networks.sampling.tempering import exchange_rows


class Ladder(Protocol):
    """Distributions over the same visible units, from an easy one to the one that is wanted."""

    def free_energy(self, states: Tensor, rungs: slice) -> Tensor:
        """F of states (rungs, chains, n_visible), each row by its own rung; (rungs, chains)."""

    def gibbs(self, states: Tensor) -> Tensor:
        """One sweep at all rungs; (rungs, chains, n_visible) -> the same shape."""


class Temperatures:
    """A machine at inverse temperatures β, of which 0 is independent pixels and 1 the machine itself.

    Args:
        rbm: the machine.
        betas: (rungs,), ascending; the last is the one wanted.
    """

    def __init__(self, rbm: RestrictedBoltzmannMachine, betas: Tensor) -> None:
        self.rbm, self.betas = rbm, betas[:, None, None]

    def free_energy(self, states: Tensor, rungs: slice) -> Tensor:
        """See ``Ladder``."""
        return self.rbm.free_energy(states, self.betas[rungs])

    def gibbs(self, states: Tensor) -> Tensor:
        """See ``Ladder``."""
        return self.rbm.gibbs(states, 1, self.betas)


class Trajectory:
    """Machines stored along a training: each is the next one's easier neighbour.

    Trajectory tempering (Béreux et al., arXiv 2405.15376) passes no phase transition of first order,
    where cooling one machine may.

    Args:
        machines: in the order of the training; the last is the one wanted.
    """

    def __init__(self, machines: Sequence[RestrictedBoltzmannMachine]) -> None:
        self.machines = machines

    def free_energy(self, states: Tensor, rungs: slice) -> Tensor:
        """See ``Ladder``."""
        return torch.stack([rbm.free_energy(rows) for rbm, rows in zip(self.machines[rungs], states, strict=True)])

    def gibbs(self, states: Tensor) -> Tensor:
        """See ``Ladder``."""
        return torch.stack([rbm.gibbs(rows, 1) for rbm, rows in zip(self.machines, states, strict=True)])


@torch.no_grad()
def temper(ladder: Ladder, states: Tensor, sweeps: int) -> Tensor:
    """Gibbs sweeps at all rungs, each followed by exchanges of the even pairs of neighbours, then of the odd ones.

    Args:
        ladder: of the distributions.
        states: (rungs, chains, n_visible), the row of the distribution that is wanted last.
        sweeps: of each chain.

    Returns:
        The states after the last exchange, of the same shape.
    """
    for _ in range(sweeps):
        states = ladder.gibbs(states)
        for first in (0, 1):
            lower = slice(first, len(states) - 1, 2)
            swap = torch.rand(states[lower].shape[:-1], device=states.device) < exchange_probability(
                ladder, states, lower
            )
            states = exchange_rows(states, swap[..., None], lower)
    return states


def exchange_probability(ladder: Ladder, states: Tensor, lower: slice) -> Tensor:
    """min(1, exp(F_t(v_t) + F_u(v_u) - F_t(v_u) - F_u(v_t))) of rungs t in ``lower`` and the next ones u.

    Shapes:
        (rungs, chains, n_visible) -> (pairs, chains).
    """
    upper = slice(lower.start + 1, lower.stop + 1, 2)
    below, above = states[lower], states[upper]
    stay = ladder.free_energy(below, lower) + ladder.free_energy(above, upper)
    swap = ladder.free_energy(above, lower) + ladder.free_energy(below, upper)
    return (stay - swap).clamp(max=0).exp()
