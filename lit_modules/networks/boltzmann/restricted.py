"""The restricted Boltzmann machine (Smolensky 1986; Hinton 2002): no couplings within a layer."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_EXACT_HIDDEN = 20
MAX_EXACT_STATES = 2**MAX_EXACT_HIDDEN


class RestrictedBoltzmannMachine(nn.Module):
    r"""Ordinal visible units v and binary hidden units h with p(v, h) = exp(-E(v, h)) / Z.

    E(v, h) = -(v - o)ᵀ W (h - μ) - bᵀ (v - o) - cᵀ (h - μ), where the offsets o and μ are means of v and h: the
    *centred* machine (Montavon & Müller 2012; Melchior, Fischer & Wiskott 2016). It has the same distributions as the
    plain one, but learns a picture as well as its negative. Summed over h it leaves the free energy
    F(v) = -log Σ_h exp(-E), whose difference between data and samples descends by the course's
    Δw_ij = ε (⟨v_i h_j⟩⁰ - ⟨v_i h_j⟩ᵏ).

    A pixel of grey states 0 ... L is L bits t_l = [state >= l], a thermometer, and v is all of them, one level after
    another. A higher bit implies the lower ones, so that p(state k | h) ∝ exp(Σ_{l <= k} field_l): cumulative logits
    (McCullagh 1980) with thresholds of their own for each pixel. L = 1 is the Bernoulli unit.

    The *tempered* machine at an inverse temperature β has βW, βc and the visible bias (1 - β) base + βb: at β = 0 its
    pixels are independent, with the mean of the data, and its log Z has a closed form.

    Args:
        n_visible: pixels.
        n_hidden: hidden units.
        levels: L, bits of a pixel.

    Buffers:
        offset: o, (levels * n_visible,).
        hidden_offset: μ, (n_hidden,).
        base: biases of the independent pixels, (levels * n_visible,).
    """

    offset: Tensor
    hidden_offset: Tensor
    base: Tensor

    def __init__(self, n_visible: int, n_hidden: int, levels: int = 1) -> None:
        super().__init__()
        self.n_visible, self.n_hidden, self.levels = n_visible, n_hidden, levels
        bits = levels * n_visible
        self.weight = nn.Parameter(0.01 * torch.randn(bits, n_hidden))
        self.visible_bias = nn.Parameter(torch.zeros(bits))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))
        self.register_buffer("offset", (1 - torch.arange(1, levels + 1) / (levels + 1)).repeat_interleave(n_visible))
        self.register_buffer("hidden_offset", torch.full((n_hidden,), 0.5))
        self.register_buffer("base", torch.zeros(bits))

    @torch.no_grad()
    def start_from(self, mean_bits: Tensor) -> None:
        """Start as independent pixels of this mean, (levels * n_visible,), inside (0, 1) and falling with the level."""
        exceeds = mean_bits.view(self.levels, -1)
        states = -torch.cat([torch.ones_like(exceeds[:1]), exceeds, torch.zeros_like(exceeds[:1])]).diff(dim=0)
        self.base.copy_(states.log().diff(dim=0).flatten())
        self.offset.copy_(mean_bits)
        self.visible_bias.copy_(self.base)

    @torch.no_grad()
    def move_hidden_offset(self, mean: Tensor, rate: float) -> None:
        """Move μ by a fraction ``rate`` towards a mean, (n_hidden,); b follows, so that the distribution stays."""
        step = rate * (mean - self.hidden_offset)
        self.visible_bias.add_(self.to_visible(step))
        self.hidden_offset += step

    def hidden(self, visible: Tensor, beta: float | Tensor = 1.0) -> Tensor:
        """p(h = 1 | v); (..., levels * n_visible) -> (..., n_hidden)."""
        return torch.sigmoid(beta * self.hidden_field(visible))

    def visible(self, hidden: Tensor, beta: float | Tensor = 1.0) -> Tensor:
        """Mean of the bits given h: p(state >= l | h); (..., n_hidden) -> (..., levels * n_visible)."""
        field = self.visible_field(hidden, beta)
        if self.levels == 1:
            return torch.sigmoid(field)
        exceeds = list(self.log_state_weights(field).softmax(-2).unbind(-2))
        for state in reversed(range(self.levels)):
            exceeds[state] = exceeds[state] + exceeds[state + 1]
        return torch.cat(exceeds[1:], -1)

    @torch.no_grad()
    def sample_visible(self, hidden: Tensor, beta: float | Tensor = 1.0) -> Tensor:
        """Draw the bits given h; (..., n_hidden) -> (..., levels * n_visible)."""
        return self.draw(self.visible(hidden, beta))

    def draw(self, mean_bits: Tensor) -> Tensor:
        """Draw independent pixels with these means of their bits; one random number a pixel keeps the bits in order."""
        exceeds = mean_bits.unflatten(-1, (self.levels, -1))
        noise = torch.rand_like(exceeds[..., :1, :])
        return (noise < exceeds).to(mean_bits).flatten(-2)

    def to_hidden(self, centred: Tensor) -> Tensor:
        """(v - o)ᵀ W; (..., levels * n_visible) -> (..., n_hidden)."""
        return centred @ self.weight

    def to_visible(self, centred: Tensor) -> Tensor:
        """W (h - μ); (..., n_hidden) -> (..., levels * n_visible)."""
        return centred @ self.weight.T

    def hidden_field(self, visible: Tensor) -> Tensor:
        return self.hidden_bias + self.to_hidden(visible - self.offset)

    def visible_field(self, hidden: Tensor, beta: float | Tensor = 1.0) -> Tensor:
        bias = torch.lerp(self.base, self.visible_bias, beta)
        return bias + self.to_visible(beta * (hidden - self.hidden_offset))

    def log_state_weights(self, field: Tensor) -> Tensor:
        """Σ_{l <= k} field_l of the states k = 0 ... L; (..., levels * n_visible) -> (..., levels + 1, n_visible)."""
        return F.pad(field.unflatten(-1, (self.levels, -1)).cumsum(-2), (0, 0, 1, 0))

    def free_energy(self, visible: Tensor, beta: float | Tensor = 1.0) -> Tensor:
        """F(v) = -bᵀ (v - o) - Σ_j log Σ_h exp(field_j(v) (h - μ_j)); (..., levels * n_visible) -> (...)."""
        centred = visible - self.offset
        linear = torch.lerp(centred @ self.base[:, None], centred @ self.visible_bias[:, None], beta)[..., 0]
        return -linear - self.log_hidden_sum(beta * (self.hidden_bias + self.to_hidden(centred)))

    def log_hidden_sum(self, field: Tensor) -> Tensor:
        """Σ_j log Σ_h exp(field_j (h - μ_j)); (..., n_hidden) -> (...)."""
        return F.softplus(field).sum(-1) - field @ self.hidden_offset

    def log_visible_sum(self, field: Tensor) -> Tensor:
        """Log Σ_v exp(fieldᵀ (v - o)) over ordered bits; (..., levels * n_visible) -> (...)."""
        return self.log_state_weights(field).logsumexp(-2).sum(-1) - field @ self.offset

    @torch.no_grad()
    def gibbs(self, visible: Tensor, sweeps: int, beta: float | Tensor = 1.0) -> Tensor:
        """Draw h given v, then v given h, ``sweeps`` times.

        Args:
            visible: (..., chains, levels * n_visible).
            sweeps: of each chain.
            beta: inverse temperature, or one for each chain, (..., chains, 1).

        Returns:
            The bits after the last sweep, as ``visible``.
        """
        for _ in range(sweeps):
            visible = self.sample_visible(bernoulli(self.hidden(visible, beta)), beta)
        return visible

    @torch.no_grad()
    def grow(self, parents: Tensor, sweeps: int) -> Tensor:
        """Grow artificial pictures from one or several originals.

        Each hidden unit takes its state from one of the parents at random; with one parent this is
        a plain Gibbs chain that starts at it.

        Args:
            parents: (parents, chains, levels * n_visible).
            sweeps: from the hidden layer to the visible one, at least 1; the more, the less is left of the parents.

        Returns:
            Mean of the bits given h after the last sweep, (chains, levels * n_visible).
        """
        hidden = bernoulli(self.hidden(parents))
        heir = torch.randint(len(parents), (1, *hidden.shape[1:]), device=hidden.device)
        hidden = hidden.gather(0, heir)[0]
        for _ in range(sweeps - 1):
            hidden = bernoulli(self.hidden(self.sample_visible(hidden)))
        return self.visible(hidden)

    def grey(self, bits: Tensor) -> Tensor:
        """Grey pictures of bits or their means; (..., levels * n_visible) -> (..., n_visible)."""
        return bits.unflatten(-1, (self.levels, -1)).mean(-2)

    @torch.no_grad()
    def log_partition(self, beta: float = 1.0) -> float:
        """The exact log Z, in double precision: a sum over all states of the layer that has fewer of them.

        Raises:
            ValueError: both layers have too many states; ``log_partition.py`` estimates it.
        """
        if not self.enumerable:
            raise ValueError(
                f"an exact log Z needs at most {MAX_EXACT_HIDDEN} hidden units, not {self.n_hidden}; estimate it"
            )
        hidden, visible = self.states_of_layers()
        machine = copy.deepcopy(self).double()
        log_z = machine.weight.new_tensor(-torch.inf)
        rows = MAX_EXACT_STATES // len(self.visible_bias) + 1  # at once: 8 MB of fields
        for numbers in torch.arange(min(hidden, visible), device=self.weight.device).split(rows):
            if hidden <= visible:
                states = thermometers(numbers, self.n_hidden, 1).to(log_z)
                log_weight = beta * (states - machine.hidden_offset) @ machine.hidden_bias
                log_weight = log_weight + machine.log_visible_sum(machine.visible_field(states, beta))
            else:
                log_weight = -machine.free_energy(thermometers(numbers, self.n_visible, self.levels).to(log_z), beta)
            log_z = torch.logaddexp(log_z, log_weight.logsumexp(0))
        return float(log_z)

    @property
    def enumerable(self) -> bool:
        """Whether a layer has so few states that all can be summed."""
        return min(self.states_of_layers()) <= MAX_EXACT_STATES

    def states_of_layers(self) -> tuple[int, int]:
        """How many states the hidden and the visible layer have."""
        return 2**self.n_hidden, (self.levels + 1) ** self.n_visible

    @torch.no_grad()
    def log_partition_base(self) -> float:
        """The exact log Z at β = 0, where pixels and hidden units are independent."""
        return float(self.log_visible_sum(self.base).double() + self.n_hidden * math.log(2))


def bernoulli(chance: Tensor) -> Tensor:
    """Draw 0 or 1: faster than torch's, and no error where a training diverged, whose loss tells that in words."""
    return (torch.rand_like(chance) < chance).to(chance)


def all_states(n: int) -> Tensor:
    """All states of n binary units, the first unit the lowest bit, (2^n, n)."""
    return thermometers(torch.arange(2**n), n, 1).float()


def thermometers(numbers: Tensor, units: int, levels: int) -> Tensor:
    """The bits, (n, levels * units), of states of all units that are numbered in base ``levels`` + 1."""
    digits = numbers[:, None] // (levels + 1) ** torch.arange(units, device=numbers.device) % (levels + 1)
    return (digits[:, None] > torch.arange(levels, device=numbers.device)[:, None]).flatten(1)
