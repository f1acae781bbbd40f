"""Log Z of a Boltzmann machine from below and from above: annealed importance sampling and its reverse.

Neal (2001); Salakhutdinov & Murray (2008); the reverse: Burda, Grosse & Salakhutdinov (2015). The chains are resampled
on their way (``weighted_chains.py``), in populations that know nothing of each other: their scatter tells the error.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_modules.networks.boltzmann.machine import Machine, independent_pixels
from lit_modules.networks.boltzmann.weighted_chains import (
    WeightedChains,
    effective_number,
    log_mean_exp,
    systematic,
)

POPULATIONS = 32
BOOTSTRAPS = 1000
CONTENT = 0.95  # of the bounds
ESS_FRACTION = 0.5  # of neighbours on the ladder
LADDER_CHAINS = 256
LADDER_SWEEPS = 3
HALVINGS = 80  # of a step on the ladder, at most; √2 each


@dataclass(frozen=True)
class LogPartition:
    """An estimate of log Z.

    Attributes:
        value: best estimate, nats.
        low: end of the interval of 95 %.
        high: its other end.
        effective: effective number of the weights behind it; infinite of an exact sum.
    """

    value: float
    low: float
    high: float
    effective: float


def exact_or_bracket(rbm: Machine, chains: int, steps: int) -> LogPartition:
    """Log Z summed over all states where these are few enough, else as in ``bracket``."""
    return exact(rbm) if rbm.enumerable else bracket(rbm, chains, steps)


def exact(rbm: Machine) -> LogPartition:
    """Log Z of an enumerable machine, without a width."""
    log_z = rbm.log_partition()
    return LogPartition(log_z, log_z, log_z, effective=math.inf)


def bracket(rbm: Machine, chains: int, steps: int) -> LogPartition:
    """Log Z from both sides, on inverse temperatures that are as far apart as the machine allows.

    Args:
        rbm: the machine.
        chains: of all populations together, at least ``POPULATIONS``.
        steps: from independent pixels to the machine.
    """
    return from_both_sides(rbm, chains, spaced(adaptive_betas(rbm, LADDER_CHAINS, ESS_FRACTION), steps))


@torch.no_grad()
def from_both_sides(rbm: Machine, chains: int, betas: Tensor) -> LogPartition:
    """Log Z by both annealed chains and reverse ones, which start where the annealed ones ended.

    The mean of annealed weights is unbiased, so that too few of them miss weight and log Z comes out too low; by the
    reverse ones it comes out too high. The interval holds those of both. It is no proof: a mode that no chain finds is
    missing in both, and the reverse chains start at draws from all annealed populations together.

    Args:
        rbm: the machine.
        chains: of all populations together, at least ``POPULATIONS``.
        betas: inverse temperatures from 0 to 1.
    """
    forward = annealed_chains(rbm, chains, betas)
    below = interval(forward.estimates())
    above = reverse_annealed(rbm, forward.sample(), betas)
    return LogPartition(below.value, min(below.low, above.low), max(below.high, above.high), below.effective)


def annealed(rbm: Machine, chains: int, betas: Tensor) -> LogPartition:
    """Log Z by chains that go from independent pixels to the machine: if anything, too low.

    Args:
        rbm: the machine.
        chains: of all populations together, at least ``POPULATIONS``.
        betas: inverse temperatures from 0 to 1.
    """
    return interval(annealed_chains(rbm, chains, betas).estimates())


@torch.no_grad()
def annealed_chains(rbm: Machine, chains: int, betas: Tensor) -> WeightedChains:
    """Chains of p_β(v) ∝ exp(-F_β(v)) as β rises, each weighted by the ratios p_{β'}(v) / p_β(v) on its way."""
    states = independent_pixels(rbm, POPULATIONS, chains // POPULATIONS)
    weighted = WeightedChains(states, rbm.log_partition_base())
    for pair in betas.unfold(0, 2, 1):
        low, high = rbm.free_energy(weighted.states, pair[:, None, None, None]).double()
        weighted.reweigh(low - high)
        weighted.states = rbm.gibbs(weighted.states, 1, float(pair[1]))
    return weighted


@torch.no_grad()
def reverse_annealed(rbm: Machine, samples: Tensor, betas: Tensor) -> LogPartition:
    """Log Z by chains that go from samples of the machine to independent pixels: if anything, too high.

    Args:
        rbm: the machine.
        samples: of the machine, (populations, chains, levels * n_visible).
        betas: inverse temperatures from 0 to 1.
    """
    weighted = WeightedChains(samples, -rbm.log_partition_base())  # what the weights tell is 1 / Z
    for pair in betas.unfold(0, 2, 1).flip(0):
        low, high = rbm.free_energy(weighted.states, pair[:, None, None, None]).double()
        weighted.reweigh(high - low)
        weighted.states = rbm.gibbs(weighted.states, 1, float(pair[0]))
    inverse = interval(weighted.estimates())
    return LogPartition(-inverse.value, -inverse.high, -inverse.low, inverse.effective)


def interval(log_z: Tensor) -> LogPartition:
    """Log of the mean of what independent populations estimate, with the percentiles of its bootstrap (Efron 1979)."""
    drawn = log_z[torch.randint(len(log_z), (BOOTSTRAPS, len(log_z)), device=log_z.device)]
    tail = (1 - CONTENT) / 2
    low, high = log_mean_exp(drawn).quantile(log_z.new_tensor([tail, 1 - tail])).tolist()
    return LogPartition(float(log_mean_exp(log_z)), low, high, float(effective_number(log_z)))


@torch.no_grad()
def adaptive_betas(rbm: Machine, chains: int, ess_fraction: float) -> Tensor:
    """Inverse temperatures from 0 to 1, as far apart as neighbours still know of each other (Jasra et al. 2011).

    Args:
        rbm: the machine.
        chains: that find them.
        ess_fraction: effective fraction of the chains at one temperature as samples of the next.

    Returns:
        Ascending, (rungs,).
    """
    states, betas = independent_pixels(rbm, chains), [0.0]
    shorter = 0.5 ** (torch.arange(HALVINGS).to(states) / 2)
    while betas[-1] < 1:
        candidates = betas[-1] + (1 - betas[-1]) * shorter
        now = rbm.free_energy(states, betas[-1]).double()
        log_weight = now - rbm.free_energy(states, candidates[:, None, None]).double()
        first = int((effective_number(log_weight) >= ess_fraction * chains).int().argmax())
        betas.append(float(candidates[first]))
        states = rbm.gibbs(states[systematic(log_weight[first])], LADDER_SWEEPS, betas[-1])
    return states.new_tensor(betas)


def spaced(betas: Tensor, steps: int) -> Tensor:
    """A finer ladder of ``steps`` steps, as many between any two rungs as between any others."""
    place = torch.linspace(0, len(betas) - 1, steps + 1).to(betas)
    below = place.long().clamp(max=len(betas) - 2)
    return torch.lerp(betas[below], betas[below + 1], place - below)
