"""The general Boltzmann machine (Hinton & Sejnowski 1985): every unit is coupled to every other."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lit_modules.networks.boltzmann.restricted import all_states

MAX_EXACT_UNITS = 20


class BoltzmannMachine(nn.Module):
    r"""Binary units s = (v, h), all coupled to each other, with p(s) = exp(-E(s)) / Z.

    E(s) = -½ (s - o)ᵀ W (s - o) - bᵀ (s - o); W is symmetric with a zero diagonal. The constant
    offsets o (the data's mean for visible units, ½ for hidden ones) allow the same distributions
    as o = 0, but make learning well conditioned (Montavon & Müller 2012).

    The hidden units are few, and all their 2^n_hidden states are summed: p(v) = exp(-F(v)) / Z is
    known but for Z. Learning descends ⟨F⟩ of the data less ⟨F⟩ of the machine, which is the
    gradient of -log p(v): Δw_ij ∝ ⟨s_i s_j⟩ clamped - ⟨s_i s_j⟩ free.

    At an inverse temperature β below 1 the couplings and hidden biases are β times as large, and
    the visible biases lie between those of independent pixels (β = 0) and b.

    Args:
        n_visible: pixels, the first units.
        n_hidden: units after them.
    """

    offset: Tensor
    base: Tensor
    hidden_states: Tensor

    def __init__(self, n_visible: int, n_hidden: int) -> None:
        super().__init__()
        self.n_visible, self.n_hidden = n_visible, n_hidden
        n = n_visible + n_hidden
        self.upper = nn.Parameter(0.01 * torch.randn(n, n))  # read above its diagonal only
        self.bias = nn.Parameter(torch.zeros(n))
        self.register_buffer("offset", torch.full((n_visible,), 0.5))
        self.register_buffer("base", torch.zeros(n_visible))
        self.register_buffer("hidden_states", all_states(n_hidden) - 0.5, persistent=False)

    @torch.no_grad()
    def start_from(self, mean: Tensor) -> None:
        """Take the mean of the data, (n_visible,) inside (0, 1), as offset and by the bias that reproduces it."""
        self.offset.copy_(mean)
        self.base.copy_(torch.logit(mean))
        self.bias[: self.n_visible] = self.base

    @property
    def weight(self) -> Tensor:
        """The symmetric couplings W, (units, units)."""
        upper = self.upper.triu(1)
        return upper + upper.T

    def free_energy(self, visible: Tensor, beta: float | Tensor = 1.0) -> Tensor:
        """F(v) = -log Σ_h exp(-E(v, h)), in nats.

        Shapes:
            (..., n_visible), beta a number or (..., 1), broadcast against each other -> (...).
        """
        centred = visible - self.offset
        upper = self.upper[: self.n_visible, : self.n_visible].triu(1)
        pairs = (centred @ upper * centred).sum(-1, keepdim=True)
        biases = (centred * self.visible_bias(beta)).sum(-1, keepdim=True)
        hidden = torch.logsumexp(self.hidden_logits(visible, beta), -1, keepdim=True)
        return -(beta * pairs + biases + hidden).squeeze(-1)

    def visible_bias(self, beta: float | Tensor) -> Tensor:
        """Biases of the visible units at an inverse temperature; a number or (..., 1) -> (..., n_visible)."""
        return (1 - beta) * self.base + beta * self.bias[: self.n_visible]

    def hidden_logits(self, visible: Tensor, beta: float | Tensor) -> Tensor:
        """What each state of the hidden layer adds to -E(v, h); (..., n_visible) -> (..., 2^n_hidden)."""
        n, states = self.n_visible, self.hidden_states
        field = self.bias[n:] + (visible - self.offset) @ self.upper[:n, n:]
        pairs = (states @ self.upper[n:, n:].triu(1) * states).sum(1)
        return beta * (field @ states.T + pairs)

    @torch.no_grad()
    def gibbs(self, visible: Tensor, sweeps: int, beta: float | Tensor = 1.0) -> Tensor:
        """Draw h given v, then each pixel in turn given all other units, ``sweeps`` times.

        Args:
            visible: chains, (..., n_visible), left as they are.
            sweeps: of each chain.
            beta: inverse temperature, one for all or (..., 1).

        Returns:
            The chains after the last sweep, of the same shape.
        """
        chains, evidence = visible.flatten(0, -2), torch.zeros_like(self.base)
        betas = torch.as_tensor(beta).to(visible).expand(*visible.shape[:-1], 1).flatten(0, -2)
        for _ in range(sweeps):
            chains = self.sweep(chains, betas, evidence, range(self.n_visible))
        return chains.view_as(visible)

    def sweep(self, visible: Tensor, beta: Tensor, evidence: Tensor, free: Sequence[int]) -> Tensor:
        """One sweep of ``gibbs`` over the free pixels.

        Args:
            visible: (chains, n_visible).
            beta: inverse temperatures, (chains, 1).
            evidence: log odds that pixels are lit, beside what the machine says, (chains or 1, n_visible).
            free: numbers of the pixels to draw.
        """
        n, weight, factor = self.n_visible, self.weight, beta[:, 0]
        among, hidden = weight[:n, :n], self.draw_hidden(visible, beta)
        field = weight[:n, n:] @ hidden.T - (among @ self.offset)[:, None]
        noise = torch.rand_like(field).logit()  # a logistic threshold: lit with probability σ
        threshold = noise - factor * field - (self.visible_bias(beta) + evidence).T
        states = visible.T.clone(memory_format=torch.contiguous_format)  # a row a unit
        for unit in free:
            states[unit] = factor * (among[unit] @ states) > threshold[unit]
        return states.T

    def draw_hidden(self, visible: Tensor, beta: float | Tensor) -> Tensor:
        """A state of the hidden layer, ±½, given v, (n, n_hidden)."""
        cumulative = torch.softmax(self.hidden_logits(visible, beta), 1).cumsum(1)
        choice = torch.searchsorted(cumulative, cumulative[:, -1:] * torch.rand_like(visible[:, :1]))
        return self.hidden_states[choice.squeeze(1)]

    @torch.no_grad()
    def recall(self, observed: Tensor, log_odds: Tensor, sweeps: int) -> Tensor:
        """Complete or clean pictures from what is known of their pixels: associative memory.

        The posterior p(v | observed) ∝ p(v) Π_i p(observed_i | v_i) is sampled: chains start as independent
        pixels, are cooled from β = 0 to 1, and are averaged from there on.

        Args:
            observed: pixels, (chains, n_visible).
            log_odds: that an observed pixel is right, (n_visible,): infinite where it is given, 0 where it is
                unknown, log((1 - ε) / ε) where it is wrong with probability ε.
            sweeps: of the cooling, and of the average after it.

        Returns:
            Given pixels as given and the mean of the others, (chains, n_visible).
        """
        given = log_odds.isinf()
        free = (~given).nonzero().squeeze(1).tolist()
        evidence = (2 * observed - 1) * log_odds.masked_fill(given, 0)
        states = torch.where(given, observed, self.offset.expand_as(observed).bernoulli())
        one = torch.ones_like(states[:, :1])
        for step in range(sweeps):
            states = self.sweep(states, one * (step + 1) / sweeps, evidence, free)
        total = torch.zeros_like(states)
        for _ in range(sweeps):
            states = self.sweep(states, one, evidence, free)
            total += states
        return total / sweeps

    @torch.no_grad()
    def log_partition(self, beta: float = 1.0) -> float:
        """The exact log Z, a sum over all states of all units.

        Raises:
            ValueError: there are too many units.
        """
        if not self.enumerable:
            raise ValueError(f"an exact log Z needs at most {MAX_EXACT_UNITS} units, not {len(self.bias)}")
        return float(torch.logsumexp(-self.free_energy(all_states(self.n_visible).to(self.base), beta).double(), 0))

    @property
    def enumerable(self) -> bool:
        """Whether the units are so few that all their states can be summed."""
        return len(self.bias) <= MAX_EXACT_UNITS

    def log_partition_base(self) -> float:
        """The exact log Z at β = 0, that of independent pixels."""
        return float(self.log_z_base)

    @property
    def log_z_base(self) -> Tensor:
        """The same in double precision, where the machine is: reading a number of a GPU would wait for it."""
        pixels = F.softplus(self.base) - self.offset * self.base
        return pixels.sum().double() + self.n_hidden * math.log(2)
