"""Posteriors of many maps on a grid, and how far to trust chains."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.energy.free_energy import log_gibbs, nll
from lit_modules.networks.energy.inference import argmin
from lit_modules.networks.energy.posterior import marginals, quantiles, region_around
from lit_modules.networks.sampling.metropolis import burn_in, either, gaussian_walk, metropolis_hastings, uniform_in_box
from pipeline.evaluation.common.chains import BINS, divergence
from pipeline.evaluation.ebm.settings import Ebm

Array = NDArray[Any]
Maps = dict[str, Tensor]  # flux (maps, 1, H, W), distance (kpc) and age (Gyr) of the test clusters

LEVELS = [0.025, 0.16, 0.5, 0.84, 0.975]  # quantiles of a marginal: 95 % and 68 % intervals, median
ACCEPTANCE = 0.35  # that a Gaussian walk in two dimensions is tuned to


class Posteriors(NamedTuple):
    """P(y|x) of many maps on a grid of the unit box.

    Attributes:
        log_density: (maps, nodes, nodes), distance along the first of the two.
        at_truth: log density at the true y, (maps,).
    """

    log_density: Tensor
    at_truth: Tensor

    def quantiles(self) -> Tensor:
        """Of distance and age at LEVELS, in the unit box, (maps, levels, 2)."""
        return torch.stack([quantiles(marginal, LEVELS) for marginal in marginals(probability(self.log_density))], -1)

    def content(self) -> Tensor:
        """Of the smallest credible region that reaches the truth, (maps,); uniform where the posterior is honest."""
        return region_around(probability(self.log_density), self.log_density, self.at_truth)


class Sample(NamedTuple):
    """Metropolis-Hastings chains of a few maps, in the unit box.

    Attributes:
        burn_in: (steps, maps, chains, 2), while the proposal adapts; not used.
        states: (steps, maps, chains, 2).
        acceptance: accepted fraction of the proposals.
    """

    burn_in: Tensor
    states: Tensor
    acceptance: float


def contexts(model: LitEBM, flux: Tensor) -> Tensor:
    """What the energies need of each map, (maps, latent nodes, embedding)."""
    return torch.cat([model.context(part) for part in flux.split(64)])


def truth(model: LitEBM, data: ClusterMapsDataModule, split: str) -> Tensor:
    """True points of the unit box, (maps, 2)."""
    return model.to_box(data.splits[split]["distance"], data.splits[split]["age"])


def free_energies(model: LitEBM, context: Tensor, y: Tensor, beta: float) -> Tensor:
    """F_beta of points of each map, (maps, n, 2), or of the same for all, (n, 2), a few maps at a time."""
    points = y.split(32) if y.ndim == 3 else [y] * -(-len(context) // 32)
    return torch.cat(
        [model.net.free_energy(part, at, beta) for part, at in zip(context.split(32), points, strict=True)]
    )


def posteriors_of(energy: Callable[[Tensor], Tensor], y: Tensor, nodes: int, beta: float = 1.0) -> Posteriors:
    """Gibbs distributions of any energy, restricted to the box, and their log densities at the true y."""
    energies = energy(unit_grid(nodes))
    at_truth = -nll(energy(y[:, None])[:, 0], energies, beta, cell_volume(nodes))
    return Posteriors(log_gibbs(energies, beta, cell_volume(nodes)).unflatten(-1, (nodes, nodes)), at_truth)


def probability(log_density: Tensor) -> Tensor:
    """Of each cell of the grid."""
    return log_density.exp() * cell_volume(log_density.shape[-1])


def minimiser(model: LitEBM, context: Tensor, beta: float) -> Tensor:
    """argmin_y F_beta(x, y) by descent from the four best nodes of a coarse grid, (maps, 2)."""
    grid = unit_grid(BINS).to(context)
    best = free_energies(model, context, grid, beta).topk(4, largest=False).indices
    return argmin(lambda y: free_energies(model, context, y, beta), grid[best], steps=100)[0]


def sampled(model: LitEBM, context: Tensor, params: Ebm) -> Sample:
    """Chains of P(y|x) that start anywhere in the box, adapt, and then run on with a fixed proposal."""
    settings, beta = params.evaluate, model.settings.beta
    generator = torch.Generator().manual_seed(params.seed)
    start = 2 * torch.rand(len(context), settings.chains, 2, generator=generator) - 1
    energy = model.energy_in_box(context)
    burnt, scale = burn_in(energy, start, settings.burn_in, target=ACCEPTANCE, beta=beta, generator=generator)
    propose = either(uniform_in_box, gaussian_walk(scale), model.settings.jumps)
    chains = metropolis_hastings(energy, burnt[-1], propose, settings.steps, beta=beta, generator=generator)
    return Sample(burnt, chains.states, float(chains.acceptance.mean()))


def kl_from_quadrature(model: LitEBM, context: Tensor, sample: Sample) -> Tensor:
    """KL divergence of the chains' histograms from the exact probabilities of their bins, (maps,), nats."""
    nodes, beta = 8 * BINS, model.settings.beta
    energies = free_energies(model, context, unit_grid(nodes), beta)
    points = sample.states.transpose(0, 1).flatten(1, 2)
    return divergence(points, log_gibbs(energies, beta, 1.0).unflatten(-1, (nodes, nodes)))
