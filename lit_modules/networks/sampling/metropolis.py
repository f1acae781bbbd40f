"""Metropolis-Hastings sampling of exp(-beta E), many chains at once (course eq. 8, 9)."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from lit_modules.networks.sampling.chains import Chains, Energy, EnergyError, Kernel, run_chains

Proposal = Callable[[Tensor, Generator | None], tuple[Tensor, Tensor]]
"""state x, generator -> candidate y ~ q(y|x) and log q(x|y) - log q(y|x), which is 0 for a symmetric q."""


def acceptance_probability(
    energy: Tensor, candidate_energy: Tensor, log_q_ratio: Tensor, beta: float | Tensor
) -> Tensor:
    """r(x, y) = min(f(y) q(x|y) / (f(x) q(y|x)), 1) with f = exp(-beta E) (course eq. 8).

    Raises:
        EnergyError: a candidate's energy is NaN, which would pass for a rejection.
    """
    if candidate_energy.isnan().any():
        raise EnergyError("the energy of a Metropolis-Hastings candidate is NaN; lower model.lr")
    return torch.exp((beta * (energy - candidate_energy) + log_q_ratio).clamp(max=0))


def gaussian_walk(scale: Tensor | float) -> Proposal:
    """Symmetric proposal y = x + scale * N(0, 1); ``scale`` broadcasts against the states."""

    def propose(state: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        step = torch.randn(state.shape, generator=generator, device=state.device)
        return state + scale * step, state.new_zeros(())

    return propose


def scale_mixture_walk(smallest: float, largest: float) -> Proposal:
    """Gaussian walk whose scale is drawn anew, log-uniformly, for each proposal; symmetric.

    It needs no tuning: whatever the width of the density, a part of the steps fits it.
    """

    def propose(state: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        u = torch.rand((*state.shape[:-1], 1), generator=generator, device=state.device)
        return gaussian_walk(smallest * (largest / smallest) ** u)(state, generator)

    return propose


def uniform_in_box(state: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
    """Proposal that forgets the state: uniform in [-1, 1]^d, so that chains jump between modes."""
    return 2 * torch.rand(state.shape, generator=generator, device=state.device) - 1, state.new_zeros(())


def either(first: Proposal, second: Proposal, probability: float) -> Proposal:
    """Use ``first`` with the given probability, else ``second``; each alone keeps detailed balance."""

    def propose(state: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        chosen = torch.rand(state.shape[:-1], generator=generator, device=state.device) < probability
        (y1, ratio1), (y2, ratio2) = first(state, generator), second(state, generator)
        return torch.where(chosen[..., None], y1, y2), torch.where(chosen, ratio1, ratio2)

    return propose


def metropolis(energy: Energy, propose: Proposal) -> Kernel:
    """The kernel of Metropolis-Hastings: propose, then accept with probability r, else stay (course eq. 9)."""

    def step(
        states: Tensor, energies: Tensor, beta: float | Tensor, generator: Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        candidate, log_q_ratio = propose(states, generator)
        candidate_energy = energy(candidate)
        r = acceptance_probability(energies, candidate_energy, log_q_ratio, beta)
        accept = torch.rand(r.shape, generator=generator, device=r.device) < r
        states = torch.where(accept[..., None], candidate, states)
        return states, torch.where(accept, candidate_energy, energies), accept

    return step


def metropolis_hastings(
    energy: Energy,
    start: Tensor,
    propose: Proposal,
    steps: int,
    *,
    beta: float = 1.0,
    generator: Generator | None = None,
) -> Chains:
    """Run one chain from each starting state, see ``run_chains``; ``propose`` draws the candidates."""
    return run_chains(energy, metropolis(energy, propose), start, steps, beta=beta, generator=generator)


@torch.no_grad()
def burn_in(
    energy: Energy,
    start: Tensor,
    steps: int,
    *,
    target: float,
    beta: float = 1.0,
    generator: Generator | None = None,
    proposal: Callable[[Tensor], Proposal] = gaussian_walk,
) -> tuple[Tensor, Tensor]:
    """Forget the start and tune the scale of a proposal, which stays fixed afterwards.

    The log scale follows Robbins & Monro (1951): it moves by (r - target) / sqrt(step), where r is
    the acceptance probability averaged over the chains that share a density, the last batch
    dimension. An adapted chain would not keep detailed balance, so the adaptation ends here.

    Args:
        energy: of states (..., chains, d).
        start: (..., chains, d), of finite energy.
        steps: of each chain.
        target: wanted acceptance; of a Gaussian walk 0.44 is best in one dimension and 0.23 in many, of a Langevin
            step 0.57 (Roberts & Rosenthal 2001).
        beta: inverse temperature.
        generator: source of randomness; torch's global one if None.
        proposal: of a scale.

    Returns:
        The states after each step, (steps, ..., chains, d), and the scale, (..., 1, 1).
    """
    states, log_scale = [start], start.new_full((*start.shape[:-2], 1, 1), math.log(0.3))
    for step in range(1, steps + 1):
        propose = proposal(log_scale.exp())
        chains = metropolis_hastings(energy, states[-1], propose, 1, beta=beta, generator=generator)
        states.append(chains.states[-1])
        log_scale = log_scale + (chains.acceptance.mean(-1)[..., None, None] - target) / math.sqrt(step)
    return torch.stack(states[1:]), log_scale.exp()
