"""Energy-based model of the (distance, age) of a flux map."""

from typing import Any

import torch
from torch import Tensor

from lit_modules.base import Batch, MapReader
from lit_modules.networks.energy.box import cell_volume, inside, unit_grid
from lit_modules.networks.energy.free_energy import log_gibbs
from lit_modules.networks.energy.map_energy import MapEnergy
from lit_modules.networks.energy.settings import EBMSettings
from lit_modules.networks.energy.training import EnergyTraining, in_box
from lit_modules.networks.maps.statistics import LENGTH, map_statistics
from lit_modules.networks.sampling.chains import Energy, EnergyError
from pipeline.errors import InputError


class LitEBM(MapReader):
    """P(y|x) ∝ exp(-beta F_beta(x, y)), y = (log10 distance, age) scaled so that their box is [-1, 1]².

    It is trained by one of the methods of ``EnergyTraining``. Validation and test losses are the exact NLL of y in
    the unit box, in nats, by a sum over a grid: ln 4 is what ignorance scores.
    """

    Settings = EBMSettings
    settings: EBMSettings
    statistics_length = LENGTH
    low: Tensor
    high: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.net = MapEnergy(self.settings)
        box = torch.tensor([self.settings.distance_kpc, self.settings.age_gyr])
        box[0] = box[0].log10()
        self.register_buffer("low", box[:, 0], persistent=False)
        self.register_buffer("high", box[:, 1], persistent=False)
        self.objective = EnergyTraining(self.settings)

    def forward(self, flux: Tensor) -> Tensor:
        """Log density of (distance, age) in the unit box, (B, nodes, nodes), of flux maps (B, 1, size, size)."""
        return self.log_posterior(self.context(flux), self.settings.nodes)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.log_posterior(self.net.context(batch["statistics"]), self.settings.nodes)

    def statistics(self, flux: Tensor) -> Tensor:
        """``map_statistics`` of log10 flux maps (B, 1, size, size) without noise."""
        flux, none = torch.pow(10.0, flux[:, 0]), flux.new_zeros(len(flux))
        return map_statistics(flux, self.psf_sigma.expand(len(flux)), none)

    def context(self, flux: Tensor) -> Tensor:
        """All of flux maps (B, 1, size, size) that their energies need, see ``MapEnergy.context``."""
        return self.net.context(self.statistics(flux))

    def to_box(self, distance: Tensor, age: Tensor) -> Tensor:
        """Distance in kpc and age in Gyr, (...) each -> y in [-1, 1]², (..., 2)."""
        return 2 * (torch.stack([distance.log10(), age], -1) - self.low) / (self.high - self.low) - 1

    def from_box(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Points of the unit box, (..., 2) -> distance in kpc and age in Gyr."""
        log_distance, age = (self.low + (y + 1) / 2 * (self.high - self.low)).unbind(-1)
        return 10**log_distance, age

    def fit_statistics(self, data: Any) -> None:
        """Take the telescope, the range and the statistics of the training maps.

        Raises:
            InputError: a training cluster lies outside the prior's box.
        """
        super().fit_statistics(data)
        train = data.splits["train"]
        if not inside(self.to_box(train["distance"], train["age"])).all():
            raise InputError("ebm.model: distance_kpc and age_gyr do not contain every training cluster; widen them")
        self.net.encoder.fit(train["statistics"])

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        y, context = self.to_box(batch["distance"], batch["age"]), self.net.context(batch["statistics"])
        if not self.training:
            return {"loss": self.nll(context, y).mean()}
        try:
            return self.objective.losses(self.energy(context), y[:, None])
        except EnergyError as error:
            raise InputError(f"ebm: {error}") from error

    def nll(self, context: Tensor, y: Tensor) -> Tensor:
        """Exact -log P(y|x) of the y in the unit box, in nats, (B,)."""
        return self.objective.nll(self.energy(context), y[:, None])[:, 0]

    def energy(self, context: Tensor) -> Energy:
        """Beta F_beta(x, y) as a function of y, (B, n, 2) -> (B, n)."""
        return lambda y: self.settings.beta * self.net.free_energy(context, y, self.settings.beta)

    def log_posterior(self, context: Tensor, nodes: int) -> Tensor:
        """Log P(y|x) at the nodes of ``unit_grid``, (B, nodes, nodes), distance along the first of the two."""
        energies = self.net.free_energy(context, unit_grid(nodes).to(context), self.settings.beta)
        return log_gibbs(energies, self.settings.beta, cell_volume(nodes)).unflatten(-1, (nodes, nodes))

    def energy_in_box(self, context: Tensor) -> Energy:
        """F_beta(x, y) as a function of y, (B, n, 2) -> (B, n); infinite outside the prior's box."""
        return in_box(lambda y: self.net.free_energy(context, y, self.settings.beta))
