"""Markov chains of any kernel, many at once, on any device."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor

Energy = Callable[[Tensor], Tensor]  # states (..., d) -> (...); math.inf where the density is zero


class EnergyError(ValueError):
    """An energy is not finite where it should be."""


class Chains(NamedTuple):
    """Traces of independent chains.

    Attributes:
        states: (steps, ..., d), the state after each step.
        energies: (steps, ...).
        acceptance: (...), accepted fraction of the proposals of each chain.
    """

    states: Tensor
    energies: Tensor
    acceptance: Tensor


class Kernel(Protocol):
    """One step of many chains that leaves exp(-beta E) as it is."""

    def __call__(
        self, states: Tensor, energies: Tensor, beta: float | Tensor, generator: Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Move the chains.

        Args:
            states: (..., d).
            energies: of the states, (...).
            beta: inverse temperature, one for all or one that broadcasts against the energies.
            generator: source of randomness; torch's global one if None.

        Returns:
            The states after the step, their energies, and the accepted fraction of each chain's proposals.
        """


@torch.no_grad()
def run_chains(
    energy: Energy,
    kernel: Kernel,
    start: Tensor,
    steps: int,
    *,
    beta: float | Tensor = 1.0,
    generator: Generator | None = None,
) -> Chains:
    """Run one chain from each starting state.

    Args:
        energy: of states of the shape of ``start``.
        kernel: moves the chains by a step.
        start: (..., d), of finite energy.
        steps: of each chain.
        beta: inverse temperature, one for all or one that broadcasts against the energies.
        generator: source of randomness, on the device of ``start``; torch's global one if None.

    Raises:
        EnergyError: an energy is not finite where a chain starts.
    """
    state, current = start, starting_energy(energy, start)
    states, energies, accepted = [], [], torch.zeros_like(current)
    for _ in range(steps):
        state, current, moved = kernel(state, current, beta, generator)
        states.append(state)
        energies.append(current)
        accepted += moved
    return Chains(torch.stack(states), torch.stack(energies), accepted / steps)


def starting_energy(energy: Energy, start: Tensor) -> Tensor:
    """Energies of the starting states.

    Raises:
        EnergyError: one is not finite.
    """
    energies = energy(start)
    if not energies.isfinite().all():
        raise EnergyError("a chain starts where the energy is not finite; start inside the box or lower model.lr")
    return energies
