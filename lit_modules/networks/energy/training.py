"""How an energy is trained: by exact likelihood, by samples of chains, or against noise."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lit_modules.networks.energy.box import inside, unit_grid
from lit_modules.networks.energy.free_energy import contrastive_loss, nll
from lit_modules.networks.energy.settings import TrainingSettings
from lit_modules.networks.sampling.chains import Chains, Energy
from lit_modules.networks.sampling.metropolis import either, metropolis_hastings, scale_mixture_walk, uniform_in_box

DIMENSIONS = 2  # of y


def exact_nll(energy: Energy, data: Tensor, grid: Tensor) -> Tensor:
    """Negative log-likelihood of data, the integral being a sum over a grid of the box (course eq. 11).

    Args:
        energy: in nats, of points (C, n, d), or (n, d) for all C conditions, such as pictures.
        data: (C, m, d).
        grid: (nodes^d, d), a point in each of equal cells that fill [-1, 1]^d.

    Returns:
        -log P in nats, (C, m).
    """
    cell = 2**DIMENSIONS / len(grid)
    return nll(energy(data), energy(grid)[..., None, :], 1.0, cell)


def random_grid(nodes: int, like: Tensor) -> Tensor:
    """A random point of each cell of ``unit_grid``: a sum over it is right on average, whatever the function.

    What is trained on fixed nodes can hide between them.
    """
    grid = unit_grid(nodes, DIMENSIONS).to(like)
    return grid + (2 * torch.rand_like(grid) - 1) / nodes


def ranking_loss(energy_of_data: Tensor, energy_of_noise: Tensor) -> Tensor:
    """Noise-contrastive estimation: pick the datum among uniform noise (Ma & Collins 2018, eq. 4).

    -log of the softmax of -E over the datum and the noise. It needs no normalisation, so it holds where that differs
    from condition to condition; with ever more noise it becomes the likelihood.

    Args:
        energy_of_data: in nats, (C, m).
        energy_of_noise: of points uniform in the box, shared by all data of a condition, (C, k) or (k,).

    Returns:
        The mean over all data.
    """
    noise = torch.logsumexp(-energy_of_noise, -1, keepdim=True)
    return (energy_of_data + torch.logaddexp(-energy_of_data, noise)).mean()


class EnergyTraining:
    """The loss of a batch, by the method that ``settings.training`` names.

    - exact: the likelihood, its integral a sum over a grid.
    - metropolis: the course's eq. 12 with samples of Metropolis-Hastings chains that start at the data (contrastive
      divergence, Hinton 2002) and now and then jump anywhere in the box, which finds wrong minima far from the data.
    - persistent: the same, but chains go on from batch to batch (Tieleman 2008); only where conditions are the same
      in every batch.
    - nce: noise-contrastive estimation, with as many points of noise as the grid has nodes.

    The value is the exact likelihood for all of them, to make the curves comparable; the gradient is the method's own.

    Attributes:
        states: of the persistent chains, (C, m * chains, d); None before the first step.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.propose = either(uniform_in_box, scale_mixture_walk(0.02, 0.5), settings.jumps)
        self.states: Tensor | None = None

    def losses(self, energy: Energy, data: Tensor) -> dict[str, Tensor]:
        """Named terms of a batch, of which ``"loss"`` is to be minimised.

        Args:
            energy: in nats, of points (C, n, d), or (n, d) for all C conditions, -> (C, n).
            data: in the box, (C, m, d).

        Raises:
            EnergyError: an energy is not finite.
        """
        if self.settings.training == "exact":
            return {"loss": exact_nll(energy, data, random_grid(self.settings.nodes, data)).mean()}
        terms = self.against_noise(energy, data) if self.settings.training == "nce" else self.gap(energy, data)
        with torch.no_grad():
            exact = self.nll(energy, data).mean()
        own = next(iter(terms.values()))
        return {"loss": exact + own - own.detach(), **terms}

    def nll(self, energy: Energy, data: Tensor) -> Tensor:
        """``exact_nll`` on fixed nodes, (C, m)."""
        return exact_nll(energy, data, unit_grid(self.settings.nodes, DIMENSIONS).to(data))

    def against_noise(self, energy: Energy, data: Tensor) -> dict[str, Tensor]:
        """The loss of noise-contrastive estimation."""
        noise = 2 * torch.rand(self.settings.nodes**DIMENSIONS, DIMENSIONS, device=data.device) - 1
        return {"ranking_loss": ranking_loss(energy(data), energy(noise))}

    def gap(self, energy: Energy, data: Tensor) -> dict[str, Tensor]:
        """The difference of energies of data and of samples, whose gradient is the course's eq. 12."""
        chains = self.negatives(energy, data)
        gap = contrastive_loss(energy(data), energy(chains.states[-1]), 1.0)
        return {"energy_gap": gap, "acceptance": chains.acceptance.mean()}

    def negatives(self, energy: Energy, data: Tensor) -> Chains:
        """Chains at the present weights, several for each datum: states (steps, C, m * chains, d)."""
        start = data.repeat_interleave(self.settings.chains, 1)
        if self.settings.training == "persistent" and self.states is not None:
            start = self.states.to(start)
        chains = metropolis_hastings(in_box(energy), start, self.propose, self.settings.steps)
        if self.settings.training == "persistent":
            self.states = chains.states[-1]
        return chains

    def save(self, checkpoint: dict[str, Any], key: str, gather: Callable[[Tensor], Any]) -> None:
        """Put the persistent chains of all processes into a checkpoint."""
        if self.states is not None:
            checkpoint[key] = gather(self.states).reshape(-1, *self.states.shape).cpu()

    def load(self, checkpoint: dict[str, Any], key: str, rank: int) -> None:
        """Take the persistent chains of this process from a checkpoint, if it holds any."""
        if key in checkpoint:
            self.states = checkpoint[key][rank % len(checkpoint[key])]


def in_box(energy: Energy) -> Energy:
    """The energy in [-1, 1]^d, infinite outside."""
    return lambda y: energy(y).masked_fill(~inside(y), math.inf)
