"""Parallel tempering: hot chains cross barriers, and hand what they find to the cold one (Geyer 1991)."""

import torch
from torch import Generator, Tensor

from lit_modules.networks.sampling.chains import Chains, Energy, Kernel, starting_energy


@torch.no_grad()
def parallel_tempering(
    energy: Energy, kernel: Kernel, start: Tensor, steps: int, betas: Tensor, *, generator: Generator | None = None
) -> tuple[Chains, Tensor]:
    """Run chains at several temperatures that exchange their states with a neighbour after each step.

    States at two temperatures are exchanged with probability min(1, exp((beta - beta')(E - E'))), which keeps the
    product of their distributions; even and odd pairs take turns.

    Args:
        energy: of states (temperatures, ..., d).
        kernel: moves the chains at all temperatures by a step; each temperature may have a scale of its own.
        start: (temperatures, ..., d), of finite energy.
        steps: of each chain.
        betas: inverse temperatures, (temperatures,), the one wanted first, then ever hotter ones.
        generator: source of randomness, on the device of ``start``; torch's global one if None.

    Returns:
        The chains at ``betas[0]``, and the accepted fraction of the exchanges of each pair, (temperatures - 1,).

    Raises:
        EnergyError: an energy is not finite where a chain starts.
    """
    state, current = start, starting_energy(energy, start)
    beta = betas.view(-1, *[1] * (current.ndim - 1)).to(current)
    states, energies, accepted = [], [], torch.zeros_like(current[0])
    exchanged, tried = current.new_zeros(len(betas) - 1), current.new_zeros(len(betas) - 1)
    for step in range(steps):
        state, current, moved = kernel(state, current, beta, generator)
        accepted += moved[0]
        lower = slice(step % 2, len(betas) - 1, 2)  # the colder one of each pair
        swap = exchange(current, beta, lower, generator)
        state, current = exchange_rows(state, swap[..., None], lower), exchange_rows(current, swap, lower)
        exchanged[lower] += swap.flatten(1).to(current).mean(1)
        tried[lower] += 1
        states.append(state[0])
        energies.append(current[0])
    chains = Chains(torch.stack(states), torch.stack(energies), accepted / steps)
    return chains, exchanged / tried.clamp(min=1)


def exchange(energies: Tensor, beta: Tensor, lower: slice, generator: Generator | None) -> Tensor:
    """Which pairs exchange their states, (pairs, ...)."""
    upper = slice(lower.start + 1, lower.stop + 1, 2)
    log_r = (beta[lower] - beta[upper]) * (energies[lower] - energies[upper])
    return torch.rand(log_r.shape, generator=generator, device=log_r.device) < log_r.exp()


def exchange_rows(values: Tensor, swap: Tensor, lower: slice) -> Tensor:
    """Rows of ``lower`` and the next ones, exchanged where ``swap``; a copy."""
    upper = slice(lower.start + 1, lower.stop + 1, 2)
    moved = values.clone()
    moved[lower] = torch.where(swap, values[upper], values[lower])
    moved[upper] = torch.where(swap, values[lower], values[upper])
    return moved
