"""Annealed importance sampling (Neal 2001; Salakhutdinov & Murray 2008) of log Z."""

import math

import torch

from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine


@torch.no_grad()
def annealed_log_partition(rbm: RestrictedBoltzmannMachine, chains: int, steps: int) -> tuple[float, float]:
    """Estimate log Z with chains that go from independent pixels (β = 0) to the machine (β = 1).

    Each chain carries the product of the ratios p_{β + δ}(v) / p_β(v); the mean of these weights is unbiased
    for Z / Z_0.

    Args:
        rbm: the machine.
        chains: independent chains.
        steps: from one β to the next, evenly spaced.

    Returns:
        log Z, and its standard error to first order.
    """
    visible = rbm.sample_visible(rbm.hidden_offset.expand(chains, -1), beta=0.0)
    log_weight = torch.zeros(chains, dtype=torch.float64, device=visible.device)
    for step in range(steps):
        low, high = step / steps, (step + 1) / steps
        log_weight += rbm.free_energy(visible, low) - rbm.free_energy(visible, high)
        visible = rbm.gibbs(visible, 1, high)
    weight = torch.exp(log_weight - log_weight.max())
    error = weight.std() / weight.mean() / math.sqrt(chains)
    return rbm.log_partition_base() + float(log_weight.logsumexp(0)) - math.log(chains), float(error)
