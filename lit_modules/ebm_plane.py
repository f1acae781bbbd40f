"""Energies of densities on the plane."""

from typing import Any, cast

import torch
from torch import Tensor

from lit_modules.base import Batch, LitBase
from lit_modules.examples import stretched, tiles, upright
from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.plane_energy import EllipseEnergy, plane_energies
from lit_modules.networks.energy.settings import PlaneSettings
from lit_modules.networks.energy.training import EnergyTraining, exact_nll
from lit_modules.networks.sampling.chains import EnergyError
from pipeline.errors import InputError

EXAMPLE_NODES = 50  # of a side of the pictures


class LitPlanes(LitBase):
    """P(y) ∝ exp(-F(y)) in the box [-1, 1]², an energy for each density; a batch holds points of each.

    Validation and test losses are the exact negative log-likelihood of the points, in nats, by a sum over a fine grid.
    """

    Settings = PlaneSettings
    settings: PlaneSettings

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.net = plane_energies(self.settings)
        self.objectives = {name: EnergyTraining(self.settings) for name in self.net}

    def forward(self, y: Tensor) -> Tensor:
        """F of points (..., 2) under each density, (densities, ...)."""
        return torch.stack([energy(y) for energy in self.net.values()])

    @property
    def ellipse(self) -> EllipseEnergy:
        """The energy with a latent angle."""
        return cast(EllipseEnergy, self.net["ellipse"])

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The mean over the densities, and the loss of each under its name."""
        found = {name: self.loss_of(name, y[None]) for name, y in batch.items()}
        return {"loss": torch.stack(list(found.values())).mean(), **found}

    def loss_of(self, name: str, y: Tensor) -> Tensor:
        """The loss of one density, of its points (1, n, 2)."""
        if not self.training:
            return exact_nll(self.net[name], y, unit_grid(self.settings.validation_nodes).to(y)).mean()
        try:
            return self.objectives[name].losses(self.net[name], y)["loss"]
        except EnergyError as error:
            raise InputError(f"ebm-plane: {name}: {error}") from error

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Each learned density above a histogram of held-out points of it."""
        grid = unit_grid(EXAMPLE_NODES).to(self.device)
        learned = [(-energy(grid)).softmax(-1).view(EXAMPLE_NODES, EXAMPLE_NODES) for energy in self.net.values()]
        box = [-1.0, 1.0, -1.0, 1.0]
        counted = [torch.histogramdd(batch[name].cpu(), EXAMPLE_NODES, range=box).hist for name in self.net]
        rows = (stretched(upright(torch.stack(row))[:, None]).cpu() for row in (learned, counted))
        return {"learned_over_points": tiles(*rows)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name, objective in self.objectives.items():
            objective.save(checkpoint, f"chains/{name}", self.all_gather)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name, objective in self.objectives.items():
            objective.load(checkpoint, f"chains/{name}", self.global_rank)
