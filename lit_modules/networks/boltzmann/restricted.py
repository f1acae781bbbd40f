"""The restricted Boltzmann machine (Smolensky 1986; Hinton 2002): no couplings within a layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_EXACT_HIDDEN = 20


class RestrictedBoltzmannMachine(nn.Module):
    r"""Binary visible units v and hidden units h with p(v, h) = exp(-E(v, h)) / Z.

    E(v, h) = -(v - o)ᵀ W (h - ½) - bᵀ (v - o) - cᵀ (h - ½), where o is the mean of the data: the
    *centred* machine (Montavon & Müller 2012; Melchior, Fischer & Wiskott 2016, who move the ½
    too). It has the same distributions as the plain one, but learns a picture as well as its
    negative. Summed over h it leaves the free energy F(v) = -log Σ_h exp(-E), whose difference
    between data and samples descends by the course's Δw_ij = ε (⟨v_i h_j⟩⁰ - ⟨v_i h_j⟩ᵏ).

    Args:
        n_visible: pixels.
        n_hidden: hidden units.
    """

    offset: Tensor

    def __init__(self, n_visible: int, n_hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(n_visible, n_hidden))
        self.visible_bias = nn.Parameter(torch.zeros(n_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))
        self.register_buffer("offset", torch.full((n_visible,), 0.5))

    @torch.no_grad()
    def start_from(self, mean: Tensor) -> None:
        """Take the mean of the data, (n_visible,) inside (0, 1), as offset and by the bias that reproduces it."""
        self.offset.copy_(mean)
        self.visible_bias.copy_(torch.logit(mean))

    def hidden(self, visible: Tensor) -> Tensor:
        """p(h = 1 | v); (..., n_visible) -> (..., n_hidden)."""
        return torch.sigmoid(self.hidden_field(visible))

    def visible(self, hidden: Tensor) -> Tensor:
        """p(v = 1 | h); (..., n_hidden) -> (..., n_visible)."""
        return torch.sigmoid(self.visible_field(hidden))

    def hidden_field(self, visible: Tensor) -> Tensor:
        return self.hidden_bias + (visible - self.offset) @ self.weight

    def visible_field(self, hidden: Tensor) -> Tensor:
        return self.visible_bias + (hidden - 0.5) @ self.weight.T

    def free_energy(self, visible: Tensor) -> Tensor:
        """F(v) = -bᵀ (v - o) - Σ_j log 2cosh(½ field_j(v)); (..., n_visible) -> (...)."""
        return -(visible - self.offset) @ self.visible_bias - log_2cosh(self.hidden_field(visible)).sum(-1)

    @torch.no_grad()
    def gibbs(self, visible: Tensor, sweeps: int) -> Tensor:
        """Draw h given v, then v given h, ``sweeps`` times; (chains, n_visible) -> the same shape."""
        for _ in range(sweeps):
            visible = self.visible(self.hidden(visible).bernoulli()).bernoulli()
        return visible

    @torch.no_grad()
    def grow(self, parents: Tensor, sweeps: int) -> Tensor:
        """Grow artificial pictures from one or several originals.

        Each hidden unit takes its state from one of the parents at random; with one parent this is
        a plain Gibbs chain that starts at it.

        Args:
            parents: (parents, chains, n_visible).
            sweeps: from the hidden layer to the visible one, at least 1; the more, the less is left of the parents.

        Returns:
            p(v = 1 | h) after the last sweep, (chains, n_visible).
        """
        hidden = self.hidden(parents).bernoulli()
        heir = torch.randint(len(parents), (1, *hidden.shape[1:]), device=hidden.device)
        visible = self.visible(hidden.gather(0, heir)[0])
        for _ in range(sweeps - 1):
            visible = self.visible(self.hidden(visible.bernoulli()).bernoulli())
        return visible

    def log_pseudo_likelihood(self, visible: Tensor, pixels: Tensor) -> Tensor:
        """Σ_i log p(v_i | all other pixels) (Besag 1975), estimated from a sample of the pixels.

        Args:
            visible: (pictures, n_visible).
            pixels: numbers of the pixels to use.

        Returns:
            Nats per picture, (pictures,).
        """
        turn = 1 - 2 * visible[:, pixels]
        field = self.hidden_field(visible)[:, None]
        turned = field + turn[..., None] * self.weight[pixels]
        gain = turn * self.visible_bias[pixels] + (log_2cosh(turned) - log_2cosh(field)).sum(-1)
        return visible.shape[1] * F.logsigmoid(-gain).mean(1)

    @torch.no_grad()
    def log_partition(self) -> float:
        """The exact log Z: a sum over all states of the hidden layer, in double precision.

        Raises:
            ValueError: there are too many hidden units; ``annealed_log_partition`` estimates it.
        """
        n = len(self.hidden_bias)
        if n > MAX_EXACT_HIDDEN:
            raise ValueError(f"an exact log Z needs at most {MAX_EXACT_HIDDEN} hidden units, not {n}")
        weight, visible_bias, hidden_bias, offset = (
            tensor.double() for tensor in (self.weight, self.visible_bias, self.hidden_bias, self.offset)
        )
        log_z = weight.new_tensor(-torch.inf)
        bits = torch.arange(n, device=weight.device)
        for numbers in torch.arange(2**n, device=weight.device)[:, None].split(2048):
            hidden = ((numbers >> bits) & 1).double() - 0.5
            field = visible_bias + hidden @ weight.T
            log_weight = hidden @ hidden_bias - field @ offset + F.softplus(field).sum(1)
            log_z = torch.logaddexp(log_z, log_weight.logsumexp(0))
        return float(log_z)


def log_2cosh(field: Tensor) -> Tensor:
    """log(2 cosh(x / 2)): the free energy of a unit that is ±½."""
    return F.softplus(field) - field / 2
