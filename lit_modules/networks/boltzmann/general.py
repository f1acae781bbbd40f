"""The general Boltzmann machine (Hinton & Sejnowski 1985): every unit is coupled to every other."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BoltzmannMachine(nn.Module):
    r"""Binary units s = (v, h), all coupled to each other, with p(s) = exp(-E(s)) / Z.

    E(s) = -½ (s - o)ᵀ W (s - o) - bᵀ (s - o); W is symmetric with a zero diagonal. The constant
    offsets o (the data's mean for visible units, ½ for hidden ones) allow the same distributions
    as o = 0, but make learning well conditioned (Montavon & Müller 2012).

    Learning descends ⟨E⟩ of data completed by sampled hidden units (the positive phase) less ⟨E⟩
    of free samples (the negative phase). With exact samples that is the gradient of -log p(v):
    Δw_ij ∝ ⟨s_i s_j⟩ clamped - ⟨s_i s_j⟩ free.

    Args:
        n_visible: pixels, the first units.
        n_hidden: units after them.
    """

    offset: Tensor

    def __init__(self, n_visible: int, n_hidden: int) -> None:
        super().__init__()
        self.n_visible, self.n_hidden = n_visible, n_hidden
        n = n_visible + n_hidden
        self.upper = nn.Parameter(0.01 * torch.randn(n, n))  # read above its diagonal only
        self.bias = nn.Parameter(torch.zeros(n))
        self.register_buffer("offset", torch.full((n,), 0.5))

    @torch.no_grad()
    def start_from(self, mean: Tensor) -> None:
        """Take the mean of the data, (n_visible,) inside (0, 1), as offset and by the bias that reproduces it."""
        self.offset[: self.n_visible] = mean
        self.bias[: self.n_visible] = torch.logit(mean)

    @property
    def weight(self) -> Tensor:
        """The symmetric couplings W, (units, units)."""
        upper = self.upper.triu(1)
        return upper + upper.T

    def energy(self, states: Tensor) -> Tensor:
        """E(s); (..., units) -> (...)."""
        centred = states - self.offset
        return -(centred @ self.upper.triu(1) * centred).sum(-1) - centred @ self.bias

    @torch.no_grad()
    def anneal(self, states: Tensor, temperatures: Sequence[float], free: Sequence[int]) -> Tensor:
        """One Gibbs sweep over the free units at each temperature; all other units stay clamped.

        A unit is lit with probability σ(field / T). At T = 1 throughout this samples
        p(free | clamped); from hot to 1 it looks for states of low energy first.

        Args:
            states: (chains, units), left as they are.
            temperatures: of the sweeps, in order.
            free: numbers of the units to sample.

        Returns:
            The states after the last sweep, (chains, units).
        """
        states, weight = states.T.clone(memory_format=torch.contiguous_format), self.weight  # a row a unit
        field = weight @ (states - self.offset[:, None]) + self.bias[:, None]
        for temperature in temperatures:
            noise = temperature * torch.rand(len(free), states.shape[1], device=states.device).to(states).logit()
            for unit, threshold in zip(free, noise, strict=True):
                lit = (field[unit] > threshold).to(states)  # a logistic threshold: lit with probability σ
                field.addr_(weight[unit], lit - states[unit])
                states[unit] = lit
        return states.T

    def complete(self, visible: Tensor, temperatures: Sequence[float]) -> Tensor:
        """Sample hidden units for clamped visible ones; (chains, n_visible) -> (chains, units)."""
        hidden = torch.full((len(visible), self.n_hidden), 0.5).to(visible).bernoulli()
        states = torch.cat([visible, hidden], 1)
        return self.anneal(states, temperatures, range(self.n_visible, states.shape[1]))

    def recall(self, visible: Tensor, known: Tensor, temperatures: Sequence[float], samples: int) -> Tensor:
        """Complete pictures from their known pixels: associative memory.

        Args:
            visible: (chains, n_visible); only known pixels are read.
            known: True where a pixel is given, (n_visible,).
            temperatures: of the annealing that forgets the random start.
            samples: sweeps at T = 1 after it, over which the answer is averaged.

        Returns:
            Known pixels as given and the mean of the others, (chains, n_visible).
        """
        guess = torch.full_like(visible, 0.5).bernoulli()
        states = self.complete(torch.where(known, visible, guess), [])
        free = [unit for unit in range(states.shape[1]) if unit >= self.n_visible or not known[unit]]
        states = self.anneal(states, temperatures, free)
        total = torch.zeros_like(states)
        for _ in range(samples):
            states = self.anneal(states, [1.0], free)
            total += states
        return total[:, : self.n_visible] / samples


def cooling(hot: float, sweeps: int) -> list[float]:
    """Temperatures that fall geometrically from ``hot`` towards 1 and end at 1."""
    return [hot ** (1 - (k + 1) / sweeps) for k in range(sweeps)]
