"""Metropolis-Hastings chains of distance, age and mass, which see only energies, and their distance from quadrature."""

import math
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from lit_modules.ebm import LitEBM, gaussian_nll
from lit_modules.networks.energy.box import inside, unit_grid
from lit_modules.networks.energy.map_energy import Context, log_light_of
from lit_modules.networks.sampling.chains import Energy
from lit_modules.networks.sampling.metropolis import (
    Proposal,
    burn_in,
    either,
    gaussian_walk,
    metropolis_hastings,
)
from pipeline.evaluation.common.chains import BINS, divergence
from pipeline.evaluation.ebm.draws import calibrated
from pipeline.evaluation.ebm.settings import Ebm

ACCEPTANCE = 0.3  # that a Gaussian walk in three dimensions is tuned to
WIDTH = 6.0  # standard deviations of training's log M/L on either side of its mean: the third side of the chains' box

NODES, HOTTER = 32, 2.0  # of a side of the coarse grid from which jumps are drawn, and their temperature


class Sample(NamedTuple):
    """Chains of a few maps: distance and age in the unit box, and log10 of the mass in the field, Msun.

    Attributes:
        burn_in: (steps, maps, chains, 3), while the proposal adapts; not used.
        states: (steps, maps, chains, 3).
        acceptance: accepted fraction of the proposals.
    """

    burn_in: Tensor
    states: Tensor
    acceptance: float


def sampled(model: LitEBM, context: Context, params: Ebm) -> Sample:
    """Chains of P(y|x) that start anywhere in the box, adapt, and then run on with a fixed proposal."""
    settings = params.evaluate
    generator = torch.Generator().manual_seed(params.seed)
    start = 2 * torch.rand(len(context.embedding), settings.chains, 3, generator=generator) - 1
    energy, far = boxed_energy(model, context), jump(model, context)
    early = settings.burn_in // 2
    spread = torch.ones(3)

    def proposal(scale: Tensor) -> Proposal:
        return either(far, gaussian_walk(scale * spread), model.settings.jumps)

    tuning: dict[str, Any] = {"target": ACCEPTANCE, "generator": generator, "proposal": proposal}
    first, _ = burn_in(energy, start, early, **tuning)
    spread = first[early // 2 :].std((0, 2))[:, None]  # the three widths differ much
    second, scale = burn_in(energy, first[-1], settings.burn_in - early, **tuning)
    chains = metropolis_hastings(energy, second[-1], proposal(scale), settings.steps, generator=generator)
    burnt, states = (unboxed(model, context, y) for y in (torch.cat([first, second]), chains.states))
    return Sample(burnt, states, float(chains.acceptance.mean()))


def boxed_energy(model: LitEBM, context: Context) -> Energy:
    """``joint_energy`` of points (B, n, 3) of [-1, 1]³, infinite outside."""
    return lambda y: model.joint_energy(context, unboxed(model, context, y)).masked_fill(~inside(y), math.inf)


def unboxed(model: LitEBM, context: Context, y: Tensor) -> Tensor:
    """The third coordinate of points of [-1, 1]³, (..., B, n, 3), made log10 of a mass in Msun."""
    return torch.cat([y[..., :2], usual_mass(model, context, y) + WIDTH * model.net.ratio_std * y[..., 2:]], -1)


def usual_mass(model: LitEBM, context: Context, y: Tensor) -> Tensor:
    """log10 of the mass (Msun) that the light stands for at a distance, at the mean M/L of training, (..., B, n, 1)."""
    distance, _ = model.from_box(y[..., :2])
    return (log_light_of(context.log_light[:, None], distance.log10()) + model.net.ratio_mean)[..., None]


def jump(model: LitEBM, context: Context) -> Proposal:
    """From mode to mode: a cell of a coarse grid by its energy at twice the temperature, with a mass that fits there.

    It forgets the state (an independence chain, Tierney 1994); what is rejected makes it exact.
    """
    cells = torch.softmax(-calibrated(model, context)(unit_grid(NODES)) / HOTTER, 1)

    def log_q(y: Tensor) -> Tensor:
        row, column = ((y[..., :2] + 1) / 2 * NODES).long().clamp(0, NODES - 1).unbind(-1)
        mass = unboxed(model, context, y)[..., 2]
        return cells.gather(1, NODES * row + column).log() - gaussian_nll(model.mass_given(context, y[..., :2]), mass)

    def propose(state: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        cell = torch.multinomial(cells, state.shape[1], replacement=True, generator=generator)
        offset = (2 * torch.rand((*cell.shape, 2), generator=generator) - 1) / NODES
        plane = unit_grid(NODES)[cell] + offset
        given = model.mass_given(context, plane)
        mass = given.mean + given.sigma * torch.randn(cell.shape, generator=generator)
        above = mass[..., None] - usual_mass(model, context, plane)
        y = torch.cat([plane, above / (WIDTH * model.net.ratio_std)], -1)
        return y, log_q(state) - log_q(y)

    return propose


def kl_from_quadrature(model: LitEBM, context: Context, sample: Sample) -> Tensor:
    """KL divergence of the chains' histograms of distance and age from the exact ones, (maps,), nats."""
    log_density = model.log_posterior(context, 8 * BINS)
    points = sample.states[..., :2].transpose(0, 1).flatten(1, 2)
    return divergence(points, torch.log_softmax(log_density.flatten(1), 1).view_as(log_density))
