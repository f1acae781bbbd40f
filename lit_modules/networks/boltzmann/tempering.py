"""Tempering of Boltzmann machines: chains of easier machines hand what they find to the one wanted."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from lit_modules.networks.boltzmann.machine import Machine
from lit_modules.networks.boltzmann.weighted_chains import log_mean_exp


class Ladder(Protocol):
    """Distributions over the same visible units, from an easy one to the one that is wanted.

    Attributes:
        rungs: how many.
    """

    rungs: int

    def gibbs(self, states: Tensor) -> Tensor:
        """One sweep at each rung; (rungs, chains, bits) -> the same shape."""

    def log_ratios(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of the states v of each rung for its neighbours.

        Shapes:
            (rungs, chains, bits) -> (rungs - 1, chains) twice: F_k(v_k) - F_{k+1}(v_k), then
            F_{k+1}(v_{k+1}) - F_k(v_{k+1}).
        """


class Temperatures:
    """A machine at inverse temperatures β, of which 0 is independent pixels and 1 the machine itself.

    Args:
        rbm: the machine.
        betas: (rungs,), ascending; the last is the one wanted.
    """

    def __init__(self, rbm: Machine, betas: Tensor) -> None:
        self.rbm, self.betas, self.rungs = rbm, betas[:, None, None], len(betas)
        neighbours = [betas[:1], betas, betas[-1:]]
        self.around = torch.cat(neighbours).unfold(0, 3, 1).T[..., None, None]  # that below, its own, that above

    def gibbs(self, states: Tensor) -> Tensor:
        """See ``Ladder``."""
        return self.rbm.gibbs(states, 1, self.betas)

    def log_ratios(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Ladder``."""
        below, own, above = self.rbm.free_energy(states, self.around)
        return (own - above)[:-1], (own - below)[1:]


class Trajectory:
    """Machines stored along a training: each is the next one's easier neighbour.

    Trajectory tempering (Béreux et al., arXiv 2405.15376) passes no phase transition of first order,
    where cooling one machine may.

    Args:
        machines: in the order of the training; the last is the one wanted.
    """

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.machines, self.rungs = machines, len(machines)

    def gibbs(self, states: Tensor) -> Tensor:
        """See ``Ladder``."""
        return torch.stack([rbm.gibbs(rows, 1) for rbm, rows in zip(self.machines, states, strict=True)])

    def log_ratios(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Ladder``."""
        own = self.free_energies(self.machines, states)
        above = self.free_energies(self.machines[1:], states[:-1])
        below = self.free_energies(self.machines[:-1], states[1:])
        return own[:-1] - above, own[1:] - below

    def free_energies(self, machines: Sequence[Machine], states: Tensor) -> Tensor:
        """Of each row of states by its machine, (rungs, chains)."""
        return torch.stack([rbm.free_energy(rows) for rbm, rows in zip(machines, states, strict=True)])


@torch.no_grad()
def temper(ladder: Ladder, states: Tensor, sweeps: int) -> Tensor:
    """Gibbs sweeps at all rungs, each followed by exchanges of neighbours; even and odd pairs take turns.

    Args:
        ladder: of the distributions.
        states: (rungs, chains, bits), those of the distribution that is wanted in the last row.
        sweeps: of each chain.

    Returns:
        The states after the last exchange, of the same shape.
    """
    first = int(torch.randint(2, ()))  # where each call is a single sweep, both kinds of pairs have their turn
    for sweep in range(sweeps):
        states = ladder.gibbs(states)
        states = exchanged(states, ladder.log_ratios(states), (first + sweep) % 2)
    return states


def exchanged(states: Tensor, log_ratios: tuple[Tensor, Tensor], first: int) -> Tensor:
    """Exchange states of neighbours with probability min(1, exp(F_t(v_t) + F_u(v_u) - F_t(v_u) - F_u(v_t))).

    Args:
        states: (rungs, chains, bits); left as they are.
        log_ratios: see ``Ladder``.
        first: lower rung of the first pair, 0 or 1.
    """
    lower = slice(first, len(states) - 1, 2)
    log_r = (log_ratios[0] + log_ratios[1])[lower]
    swap = torch.rand_like(log_r) < log_r.exp()
    below, above, moved = states[lower], states[first + 1 :: 2], states.clone()
    moved[lower] = torch.where(swap[..., None], above, below)
    moved[first + 1 :: 2] = torch.where(swap[..., None], below, above)
    return moved


def log_bridge(log_ratios: tuple[Tensor, Tensor]) -> Tensor:
    r"""Geometric bridges between neighbours (Bennett 1976; Meng & Wong 1996).

    log Z_{k+1} - log Z_k = log ⟨exp(½ (F_k - F_{k+1}))⟩_k - log ⟨exp(½ (F_{k+1} - F_k))⟩_{k+1}, the first row less the
    second.

    Args:
        log_ratios: see ``Ladder``, (rungs - 1, chains) each.

    Returns:
        Shape (2, rungs - 1), in double precision.
    """
    return log_mean_exp(torch.stack(log_ratios).double() / 2)
