"""log Z of a machine from its own chains at several temperatures, by acceptance ratios (Bennett 1976)."""

import torch
from torch import Tensor

from lit_modules.networks.boltzmann.machine import Machine

ITERATIONS = 50  # of the fixed point; it gains a digit in a few


@torch.no_grad()
def log_partition_by_acceptance_ratio(machine: Machine, states: Tensor, betas: Tensor) -> Tensor:
    """Estimate log Z at the last β from samples at all of them.

    Of neighbours, C = log Z(β') - log Z(β) is where as many samples at β would be accepted at β' as the other way
    round: ⟨σ(F_β - F_β' - C)⟩ at β = ⟨σ(C - F_β + F_β')⟩ at β'. No other use of the same samples has a smaller error.

    Args:
        machine: whose chains they are.
        states: of the chains, (temperatures, chains, bits).
        betas: inverse temperatures, (temperatures,), from 0 upwards.

    Returns:
        Nats, ().
    """
    rows = betas[:, None, None].to(states)
    up = (machine.free_energy(states[:-1], rows[:-1]) - machine.free_energy(states[:-1], rows[1:])).double()
    down = (machine.free_energy(states[1:], rows[:-1]) - machine.free_energy(states[1:], rows[1:])).double()
    step = up.new_zeros(len(up), 1)
    for _ in range(ITERATIONS):
        step += (up - step).sigmoid().mean(1, keepdim=True).log() - (step - down).sigmoid().mean(1, keepdim=True).log()
    return machine.log_partition_base() + step.sum()
