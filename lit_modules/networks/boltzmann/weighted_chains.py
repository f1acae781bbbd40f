"""Weighted Markov chains that follow a changing energy and so tell its log Z: sequential Monte Carlo.

Jarzynski (1997) and Neal (2001) weigh chains by what each change of the energy does to them; Del Moral, Doucet & Jasra
(2006) resample them when few carry the weight.
"""

import math

import torch
from torch import Tensor


class WeightedChains:
    """Populations of chains whose weighted mean is that of exp(-E) / Z, while E changes.

    The mean weight of a population is an unbiased estimate of Z / Z_0; resampling keeps it so.

    Args:
        states: (..., chains, units), drawn from a distribution with a known ``log_z``.
        log_z: of that distribution.

    Attributes:
        states: (..., chains, units).
        log_weight: of each chain, (..., chains).
        log_z: the start's, and what was added to it at resamplings, (...).
    """

    def __init__(self, states: Tensor, log_z: float) -> None:
        self.states = states
        self.log_weight = states.new_zeros(states.shape[:-1], dtype=torch.float64)
        self.log_z = self.log_weight.new_full(states.shape[:-2], log_z)

    def reweigh(self, log_ratio: Tensor) -> None:
        """Change E; resample a population when its effective number of chains falls below half.

        Args:
            log_ratio: E before less E after the change, of each chain, (..., chains).
        """
        self.log_weight += log_ratio
        chains = self.log_weight.shape[-1]
        poor = effective_number(self.log_weight) < chains / 2
        population = torch.arange(poor.numel(), device=poor.device).view(*poor.shape, 1)
        kept = torch.arange(chains, device=poor.device)
        chosen = torch.where(poor[..., None], systematic(self.log_weight), kept) + chains * population
        self.states = self.states.flatten(0, -2)[chosen.flatten()].view_as(self.states)
        self.log_z += torch.where(poor, log_mean_exp(self.log_weight), 0.0)
        self.log_weight.masked_fill_(poor[..., None], 0.0)

    def estimates(self) -> Tensor:
        """Log Z by each population, (...)."""
        return self.log_z + log_mean_exp(self.log_weight)

    def sample(self) -> Tensor:
        """States of equal weight, drawn from all populations together; shape of ``states``."""
        chosen = systematic((self.log_z[..., None] + self.log_weight).flatten())
        shuffled = chosen[torch.randperm(len(chosen), device=chosen.device)]
        return self.states.flatten(0, -2)[shuffled].view_as(self.states)


def systematic(log_weight: Tensor) -> Tensor:
    """Numbers of the chains that survive a systematic resampling (Kitagawa 1996); (..., chains), as the weights."""
    chains = log_weight.shape[-1]
    edges = torch.softmax(log_weight, -1).cumsum(-1)
    points = (torch.arange(chains, device=edges.device) + torch.rand_like(edges[..., :1])) / chains
    return torch.searchsorted(edges, points).clamp(max=chains - 1)


def log_mean_exp(values: Tensor) -> Tensor:
    """Logarithm of the mean of exp(values) over the last dimension."""
    return values.logsumexp(-1) - math.log(values.shape[-1])


def effective_number(log_weight: Tensor) -> Tensor:
    """(Σ w)² / Σ w² over the last dimension."""
    return torch.exp(2 * log_weight.logsumexp(-1) - (2 * log_weight).logsumexp(-1))
