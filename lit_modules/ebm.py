"""Energy-based model of the (distance, age) of a flux map."""

from typing import Any

import torch
from torch import Tensor

from lit_modules.base import Batch, MapReader
from lit_modules.networks.energy.box import cell_volume, inside, unit_grid
from lit_modules.networks.energy.free_energy import contrastive_loss, log_gibbs, nll
from lit_modules.networks.energy.map_energy import MapEnergy
from lit_modules.networks.energy.metropolis import (
    Chains,
    Energy,
    either,
    metropolis_hastings,
    scale_mixture_walk,
    uniform_in_box,
)
from lit_modules.networks.energy.settings import EBMSettings
from lit_modules.networks.pidoc.statistics import LENGTH, map_statistics
from pipeline.errors import InputError


class LitEBM(MapReader):
    """P(y|x) ∝ exp(-beta F_beta(x, y)), y = (log10 distance, age) scaled so that their box is [-1, 1]².

    Training descends the course's eq. 12 with samples from Metropolis-Hastings chains that start
    at the data's y (contrastive divergence, Hinton 2002) and now and then jump anywhere in the
    box, which finds wrong minima far from the data. Chains keep nothing from step to step, so a
    resumed training is exact. Validation and test losses are the exact NLL of y in the unit box,
    in nats, by a sum over a grid: ln 4 is what ignorance scores. So is the training loss's value,
    to make the curves comparable; its gradient is that of the chains.
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
        self.propose = either(uniform_in_box, scale_mixture_walk(0.02, 0.5), self.settings.jumps)

    def forward(self, flux: Tensor) -> Tensor:
        """Log density of (distance, age) in the unit box, (B, nodes, nodes), of flux maps (B, 1, size, size)."""
        return self.log_posterior(self.context(flux), self.settings.nodes)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.log_posterior(self.net.context(batch["statistics"]), self.settings.nodes)

    def statistics(self, flux: Tensor) -> Tensor:
        """``map_statistics`` of flux maps (B, 1, size, size)."""
        return map_statistics(flux[:, 0], float(self.psf_sigma))

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
        with torch.no_grad():
            exact = self.nll(context, y).mean()
        if not self.training:
            return {"loss": exact}
        chains = self.negatives(context.detach(), y)
        data = self.net.free_energy(context, y[:, None], self.settings.beta)
        samples = self.net.free_energy(context, chains.states[-1], self.settings.beta)
        gap = contrastive_loss(data, samples, self.settings.beta)
        return {"loss": exact + gap - gap.detach(), "energy_gap": gap, "acceptance": chains.acceptance.mean()}

    def nll(self, context: Tensor, y: Tensor) -> Tensor:
        """Exact -log P(y|x) of the y in the unit box, in nats, (B,)."""
        beta, nodes = self.settings.beta, self.settings.nodes
        data = self.net.free_energy(context, y[:, None], beta)[:, 0]
        return nll(data, self.net.free_energy(context, unit_grid(nodes).to(y), beta), beta, cell_volume(nodes))

    def log_posterior(self, context: Tensor, nodes: int) -> Tensor:
        """Log P(y|x) at the nodes of ``unit_grid``, (B, nodes, nodes), distance along the first of the two."""
        energies = self.net.free_energy(context, unit_grid(nodes).to(context), self.settings.beta)
        return log_gibbs(energies, self.settings.beta, cell_volume(nodes)).unflatten(-1, (nodes, nodes))

    def negatives(self, context: Tensor, start: Tensor) -> Chains:
        """Several chains of P(y|x), at the present weights, from each start (B, 2): states (steps, B, chains, 2)."""
        start = start[:, None].expand(-1, self.settings.chains, -1)
        energy, beta = self.energy_in_box(context), self.settings.beta
        return metropolis_hastings(energy, start, self.propose, self.settings.steps, beta=beta)

    def energy_in_box(self, context: Tensor) -> Energy:
        """F_beta(x, y) as a function of y, (B, n, 2) -> (B, n); infinite outside the prior's box."""

        def energy(y: Tensor) -> Tensor:
            return self.net.free_energy(context, y, self.settings.beta).masked_fill(~inside(y), torch.inf)

        return energy
