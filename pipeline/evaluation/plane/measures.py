"""Energies on the plane against the densities they learned, chains against energies, and the ellipse's latent angle."""

import math
from typing import NamedTuple

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from datamodules.densities import DENSITIES
from lit_modules.ebm_plane import LitPlanes
from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.energy.free_energy import free_energy, log_gibbs
from lit_modules.networks.energy.inference import argmin
from lit_modules.networks.energy.plane_energy import EllipseEnergy
from lit_modules.networks.energy.training import in_box
from lit_modules.networks.sampling.langevin import langevin
from lit_modules.networks.sampling.metropolis import (
    burn_in,
    either,
    gaussian_walk,
    metropolis,
    metropolis_hastings,
    uniform_in_box,
)
from lit_modules.networks.sampling.tempering import parallel_tempering
from pipeline.evaluation.plane.settings import EbmPlane

POINTS_AT_ONCE = 20_000
WALK, LANGEVIN = 0.35, 0.57  # acceptance that proposals are tuned to
FITTED = 10_000  # points that the mixtures of Gaussians are fitted to
LATENT = 1440  # nodes of the angle where F_∞ is wanted


class Sample(NamedTuple):
    """Chains of one energy.

    Attributes:
        burn_in: (steps, chains, 2), while the proposal adapts; not used.
        states: (steps, chains, 2).
        acceptance: accepted fraction of the proposals.
    """

    burn_in: Tensor
    states: Tensor
    acceptance: float


def energies_on(energy: torch.nn.Module, points: Tensor, device: torch.device) -> Tensor:
    """F of points (n, 2), in double precision, (n,); the energy is on ``device``, the points where they are wanted."""
    parts = points.float().to(device).split(POINTS_AT_ONCE)
    return torch.cat([energy(part) for part in parts]).to(points.device).double()


def on_grid(model: LitPlanes, nodes: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Log densities of each name at the nodes of ``unit_grid``, (nodes²,): the true ones and the model's."""
    grid, cell = unit_grid(nodes).double(), cell_volume(nodes)
    true = {name: density.log_density(grid) for name, density in DENSITIES.items()}
    return true, {name: log_gibbs(energies_on(model.net[name], grid, model.device), 1.0, cell) for name in DENSITIES}


def kl(true: Tensor, found: Tensor) -> float:
    """Kullback-Leibler divergence of log densities at the nodes of a grid, nats."""
    p, cell = true.exp(), 4 / len(true)
    return float(torch.where(p > 0, p * (true - found), 0).sum() * cell)


def entropy(true: Tensor) -> float:
    """Entropy of a log density at the nodes of a grid, nats in the unit box."""
    p = true.exp()
    return float(-torch.where(p > 0, p * true, 0).sum() * 4 / len(true))


def mixture(points: Tensor, components: int, nodes: int, seed: int) -> Tensor:
    """Log density of a mixture of Gaussians fitted to points (n, 2), normalised on the grid, (nodes²,)."""
    fitted = GaussianMixture(components, random_state=seed).fit(points[:FITTED].numpy())
    scores = torch.from_numpy(fitted.score_samples(unit_grid(nodes).numpy()))
    return log_gibbs(-scores, 1.0, cell_volume(nodes))


def sampled(model: LitPlanes, name: str, params: EbmPlane) -> Sample:
    """Chains of Metropolis-Hastings that start anywhere, adapt, and then run on with a fixed proposal and jumps."""
    settings, energy = params.evaluate, in_box(model.net[name])
    generator = torch.Generator(model.device).manual_seed(params.seed)
    start = 2 * torch.rand(settings.chains, 2, generator=generator, device=model.device) - 1
    burnt, scale = burn_in(energy, start, settings.burn_in, target=WALK, generator=generator)
    propose = either(uniform_in_box, gaussian_walk(scale), model.settings.jumps)
    chains = metropolis_hastings(energy, burnt[-1], propose, settings.steps, generator=generator)
    return Sample(burnt.cpu(), chains.states.cpu(), float(chains.acceptance.mean()))


def samplers(model: LitPlanes, name: str, start: Tensor, params: EbmPlane) -> dict[str, Tensor]:
    """States of three samplers that start at one point (2,) and evaluate the energy about as often.

    A Langevin step counts three times, for its two gradients, and one of parallel tempering once a temperature.

    Returns:
        (steps, chains, 2) of each.
    """
    settings, energy = params.evaluate, in_box(model.net[name])
    generator = torch.Generator(model.device).manual_seed(params.seed)
    start = start.to(model.device).expand(settings.chains, 2)

    _, walk = burn_in(energy, start, settings.burn_in, target=WALK, generator=generator)
    _, drift = burn_in(
        energy, start, settings.burn_in, target=LANGEVIN, generator=generator, proposal=lambda s: langevin(energy, s)
    )
    steps = settings.steps
    coldness = torch.linspace(0, -math.log(settings.hottest), settings.temperatures, device=model.device).exp()
    tempered = metropolis(energy, gaussian_walk(walk * coldness.rsqrt()[:, None, None]))
    everywhere = start.expand(len(coldness), -1, 2)
    cold, _ = parallel_tempering(
        energy, tempered, everywhere, max(1, steps // len(coldness)), coldness, generator=generator
    )
    chains = {
        "walk": metropolis_hastings(energy, start, gaussian_walk(walk), steps, generator=generator),
        "langevin": metropolis_hastings(
            energy, start, langevin(energy, drift), max(1, steps // 3), generator=generator
        ),
        "tempering": cold,
    }
    return {way: found.states.cpu() for way, found in chains.items()}


def coldest(ellipse: EllipseEnergy, points: Tensor) -> Tensor:
    """F_∞ of points (n, 2): the latent angle minimised away on a fine circle, (n,)."""
    z = torch.arange(LATENT, device=points.device) * (2 * math.pi / LATENT)
    parts = points.float().split(2000)
    return torch.cat([free_energy(ellipse.joint(part[:, None], z), math.inf) for part in parts]).double()


def joint_minima(ellipse: EllipseEnergy, first: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """The y2 and z of lowest E(y1, y2, z) for each given y1 (n,): the course's eq. 3.

    Args:
        ellipse: the energy.
        first: y1, (n,).
        start: (y2, z / π) to start the descent from, (n, restarts, 2).

    Returns:
        (y2, z / π) of the best end point, (n, 2), and their energies, (n,).
    """

    def energy(unknown: Tensor) -> Tensor:
        y = torch.stack([first[:, None].expand(unknown.shape[:-1]), unknown[..., 0]], -1)
        return ellipse.joint(y, math.pi * unknown[..., 1])

    return argmin(energy, start, steps=200)


def two_step_minima(ellipse: EllipseEnergy, first: Tensor, nodes: int = 1000) -> Tensor:
    """Minimum over y2 of F_∞(y1, y2) on a fine grid, (n,): eq. 2 after eq. 4."""
    second = (torch.arange(nodes, device=first.device) + 0.5) * (2 / nodes) - 1
    grid = torch.stack(torch.broadcast_tensors(first[:, None], second), -1)
    return coldest(ellipse, grid.flatten(0, 1)).view(len(first), nodes).amin(1)
