"""Annealed importance sampling (Neal 2001; Salakhutdinov & Murray 2008) of log Z."""

import math

import torch
from torch.nn import functional as F

from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine, log_2cosh


@torch.no_grad()
def annealed_log_partition(rbm: RestrictedBoltzmannMachine, chains: int, steps: int) -> tuple[float, float]:
    """Estimate log Z with chains that go from independent pixels (β = 0) to the machine (β = 1).

    p_β(v) ∝ exp((v - o)ᵀ b_β) Π_j 2cosh(½ β field_j(v)), b_β = (1 - β) logit(o) + β b. Each chain
    carries the product of the ratios p_{β + δ}(v) / p_β(v); the mean of these weights is unbiased
    for Z / Z_0.

    Args:
        rbm: a machine whose offset lies inside (0, 1).
        chains: independent chains.
        steps: from one β to the next, evenly spaced.

    Returns:
        log Z, and its standard error to first order.
    """
    start, bias = torch.logit(rbm.offset), rbm.visible_bias
    visible = rbm.offset.expand(chains, -1).bernoulli()
    log_weight = torch.zeros(chains, dtype=torch.float64, device=visible.device)
    for step in range(steps):
        low, high = step / steps, (step + 1) / steps
        field = rbm.hidden_field(visible)
        log_weight += (visible - rbm.offset) @ ((high - low) * (bias - start))
        log_weight += (log_2cosh(high * field) - log_2cosh(low * field)).sum(1)
        hidden = torch.sigmoid(high * field).bernoulli()
        visible = torch.sigmoid((1 - high) * start + high * rbm.visible_field(hidden)).bernoulli()
    log_z_start = (F.softplus(start) - rbm.offset * start).sum() + len(rbm.hidden_bias) * math.log(2)
    weight = torch.exp(log_weight - log_weight.max())
    error = weight.std() / weight.mean() / math.sqrt(chains)
    return float(log_z_start + log_weight.logsumexp(0) - math.log(chains)), float(error)
