"""Langevin steps, which follow the slope of the energy; accepted or not, they are MALA (Roberts & Tweedie 1996)."""

import torch
from torch import Generator, Tensor

from lit_modules.networks.sampling.chains import Energy
from lit_modules.networks.sampling.metropolis import Proposal


def langevin(energy: Energy, scale: Tensor | float, beta: float = 1.0) -> Proposal:
    """Asymmetric proposal y = x - scale² / 2 · beta ∇E(x) + scale · N(0, 1), for Metropolis-Hastings.

    Args:
        energy: differentiable; where it is infinite its gradient should be finite, as ``masked_fill`` makes it.
        scale: broadcasts against the states.
        beta: inverse temperature.
    """

    def drifted(state: Tensor) -> Tensor:
        with torch.enable_grad():
            state = state.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(energy(state).sum(), state)
        return state.detach() - scale**2 / 2 * beta * gradient

    def propose(state: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        noise = torch.randn(state.shape, generator=generator, device=state.device, dtype=state.dtype)
        candidate = drifted(state) + scale * noise
        back = (state - drifted(candidate)) / scale
        return candidate, (noise.square() - back.square()).sum(-1) / 2

    return propose
