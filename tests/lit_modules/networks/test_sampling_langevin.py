"""Langevin steps: their ratio in closed form, and MALA on a mixture of Gaussians with known moments."""

import math

import pytest
import torch
from torch import Generator, Tensor
from torch.distributions import Normal

from lit_modules.networks.energy.box import inside
from lit_modules.networks.sampling.langevin import langevin
from lit_modules.networks.sampling.metropolis import burn_in, metropolis_hastings


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def mixture_energy(state: Tensor) -> Tensor:
    """Weights .3 and .7 at (-0.4, 0.2) and (0.5, -0.1), widths 0.3 and 0.2."""
    left = math.log(0.3 / 0.3**2) - (state - state.new_tensor([-0.4, 0.2])).square().sum(-1) / (2 * 0.3**2)
    right = math.log(0.7 / 0.2**2) - (state - state.new_tensor([0.5, -0.1])).square().sum(-1) / (2 * 0.2**2)
    return -torch.logaddexp(left, right)


MEAN = torch.tensor([0.3 * -0.4 + 0.7 * 0.5, 0.3 * 0.2 + 0.7 * -0.1])
SQUARE = torch.tensor([0.3 * (0.16 + 0.09) + 0.7 * (0.25 + 0.04), 0.3 * (0.04 + 0.09) + 0.7 * (0.01 + 0.04)])


def test_ratio_of_the_proposal_is_that_of_its_gaussians() -> None:
    beta, scale = 1.7, 0.3
    state = torch.randn(50, 2, dtype=torch.float64, generator=seeded())
    candidate, found = langevin(mixture_energy, scale, beta)(state, seeded(1))

    def log_q(to: Tensor, start: Tensor) -> Tensor:
        start = start.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(mixture_energy(start).sum(), start)
        return Normal(start.detach() - scale**2 / 2 * beta * gradient, scale).log_prob(to).sum(-1)

    torch.testing.assert_close(found, log_q(state, candidate) - log_q(candidate, state), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [0.15, 0.4])
def test_mala_on_a_mixture_has_its_moments(scale: float) -> None:
    """Without the ratio, long steps would be wrong."""
    chains = metropolis_hastings(
        mixture_energy, torch.zeros(8000, 2), langevin(mixture_energy, scale), 400, generator=seeded()
    )
    last = chains.states[-1]
    torch.testing.assert_close(last.mean(0), MEAN, rtol=0, atol=0.02)
    torch.testing.assert_close(last.square().mean(0), SQUARE, rtol=0, atol=0.01)


def test_steps_out_of_the_box_are_refused() -> None:
    def energy(state: Tensor) -> Tensor:
        return (-3 * state.sum(-1)).masked_fill(~inside(state), torch.inf)

    chains = metropolis_hastings(energy, torch.zeros(500, 2), langevin(energy, 0.5), 200, generator=seeded())
    assert inside(chains.states).all()
    exact = 1 / math.tanh(3) - 1 / 3  # mean of a density exp(3 y) on [-1, 1]
    assert chains.states[50:].mean().item() == pytest.approx(exact, abs=0.01)


def test_burn_in_tunes_its_scale_too() -> None:
    start = torch.zeros(1, 200, 2)
    states, scale = burn_in(
        mixture_energy,
        start,
        400,
        target=0.57,
        generator=seeded(),
        proposal=lambda scale: langevin(mixture_energy, scale),
    )
    chains = metropolis_hastings(mixture_energy, states[-1], langevin(mixture_energy, scale), 200, generator=seeded(1))
    assert chains.acceptance.mean().item() == pytest.approx(0.57, abs=0.03)
