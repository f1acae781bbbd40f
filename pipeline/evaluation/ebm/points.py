"""Inference as the course has it: the y, or y and z, of lowest energy (eq. 2, 3)."""

import math

from torch import Tensor

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.inference import argmin
from lit_modules.networks.energy.map_energy import Context
from lit_modules.networks.sampling.chains import Energy
from pipeline.evaluation.ebm.measures import free_energies

NODES = 16  # of a side of the grid whose best nodes are starts
STARTS = 4
STEPS = 100  # of the descent


def minimiser(model: LitEBM, context: Context, beta: float) -> Tensor:
    """argmin_y F_beta(x, y), (maps, 2), by descent from the best nodes of a coarse grid."""

    def energy(y: Tensor) -> Tensor:
        return free_energies(model, context, y, beta)

    return argmin(energy, starts(energy, context), steps=STEPS)[0]


def joint_minimiser(model: LitEBM, statistics: Tensor, context: Context) -> Tensor:
    """Argmin of E(x, y, z) over y and the nodes of the latent z (eq. 3), (maps, 2).

    Each of the best nodes of a coarse grid of y is a start once for every z.
    """
    features, latent = model.net.encoder(statistics), model.net.latent
    y = starts(lambda at: free_energies(model, context, at, math.inf), context)
    start = y.repeat_interleave(len(latent), 1)
    z = latent.repeat(STARTS).expand(start.shape[:2])
    return argmin(lambda at: model.net(features, at, z), start, steps=STEPS)[0]


def starts(energy: Energy, context: Context) -> Tensor:
    """The nodes of a coarse grid at which an energy is lowest, (maps, STARTS, 2)."""
    grid = unit_grid(NODES).to(context.embedding)
    return grid[energy(grid).topk(STARTS, largest=False).indices]
