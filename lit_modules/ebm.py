"""Energy-based model of the distance, age and mass of the cluster in a flux map."""

import math
from typing import Any

import torch
from torch import Tensor

from lit_modules.base import Batch
from lit_modules.examples import splat, thick, tiles, upright
from lit_modules.map_reader import MapReader, every_look
from lit_modules.networks.energy.box import cell_volume, inside, unit_grid
from lit_modules.networks.energy.free_energy import log_gibbs
from lit_modules.networks.energy.map_energy import Context, MapEnergy
from lit_modules.networks.energy.settings import EBMSettings
from lit_modules.networks.energy.temperature import fitted_temperature
from lit_modules.networks.energy.training import EnergyTraining
from lit_modules.networks.maps.gaussian import Gaussian, calibration
from lit_modules.networks.sampling.chains import Energy, EnergyError
from pipeline.errors import InputError

N_EXAMPLES, EXAMPLE_NODES = 8, 64
HALF_LN_2PI = 0.5 * math.log(2 * math.pi)


class LitEBM(MapReader):
    """P(y|x) ∝ exp(-beta F_beta(x, y) / T) N(log10 mass; μ(x, y), σ²), y = (log10 distance, age) in the box [-1, 1]².

    It is trained by one of the methods of ``EnergyTraining``, at T = 1; before each validation T and the factor of σ
    are fitted to the calibration clusters. Validation and test losses are the exact NLL of distance and age in the unit
    box, in nats, by a sum over a grid (``nll``; ln 4 is what ignorance scores), and that of the log10 mass given the
    true distance and age (``mass_nll``); ``loss`` is their sum.

    Buffers:
        temperature: T, above 1 where the energies of the training are too sure.
        mass_scale: what the σ of the mass is multiplied by, so that 68 % of the calibration clusters lie within it.
    """

    Settings = EBMSettings
    settings: EBMSettings
    low: Tensor
    high: Tensor
    temperature: Tensor
    mass_scale: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.net = MapEnergy(self.settings)
        box = torch.tensor([self.settings.distance_kpc, self.settings.age_gyr])
        box[0] = box[0].log10()
        self.register_buffer("low", box[:, 0], persistent=False)
        self.register_buffer("high", box[:, 1], persistent=False)
        self.register_buffer("temperature", torch.tensor(1.0))
        self.register_buffer("mass_scale", torch.tensor(1.0))
        self.objective = EnergyTraining(self.settings)

    def forward(self, statistics: Tensor) -> Tensor:
        """Log density of (distance, age) in the unit box, (B, nodes, nodes), of the statistics of maps (B, N)."""
        return self.log_posterior(self.context(statistics), self.settings.nodes)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self(batch["statistics"])

    def context(self, statistics: Tensor) -> Context:
        """All of maps, from their statistics (B, N), that their energies need."""
        return self.net.context(statistics)

    def to_box(self, distance: Tensor, age: Tensor) -> Tensor:
        """Distance in kpc and age in Gyr, (...) each -> y in [-1, 1]², (..., 2)."""
        return 2 * (torch.stack([distance.log10(), age], -1) - self.low) / (self.high - self.low) - 1

    def from_box(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Points of the unit box, (..., 2) -> distance in kpc and age in Gyr."""
        log_distance, age = (self.low + (y + 1) / 2 * (self.high - self.low)).unbind(-1)
        return 10**log_distance, age

    def fit_statistics(self, data: Any) -> None:
        """Take the telescopes, the range and the statistics of the training maps.

        Raises:
            InputError: a training cluster lies outside the prior's box.
        """
        super().fit_statistics(data)
        statistics, distance, age, mass = every_look(data.splits["train"], "distance", "age", "field")
        if not inside(self.to_box(distance, age)).all():
            raise InputError("ebm.model: distance_kpc and age_gyr do not contain every training cluster; widen them")
        self.net.fit(statistics, distance.log10(), mass)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        y, context = self.to_box(batch["distance"], batch["age"]), self.context(batch["statistics"])
        mass_nll = self.mass_nll(context, y, batch["field"]).mean()
        if not self.training:
            nll = self.nll(context, y).mean()
            return {"loss": nll + mass_nll, "nll": nll, "mass_nll": mass_nll}
        try:
            terms = self.objective.losses(self.energy(context), y[:, None])
        except EnergyError as error:
            raise InputError(f"ebm: {error}") from error
        nll = terms.pop("loss")
        return {"loss": nll + mass_nll, "nll": nll, "mass_nll": mass_nll, **terms}

    def energy(self, context: Context) -> Energy:
        """Beta F_beta(x, y) as a function of y, (B, n, 2) or (n, 2) -> (B, n), before calibration."""
        return lambda y: self.settings.beta * self.free_energy(context, y)

    def free_energy(self, context: Context, y: Tensor, beta: float | None = None) -> Tensor:
        """F_beta of distance and age, (B, n, 2) or (n, 2) -> (B, n); beta is that of the training, or ``math.inf``."""
        return self.net.free_energy(context, y, self.settings.beta if beta is None else beta)

    def nll(self, context: Context, y: Tensor) -> Tensor:
        """Exact -ln P(y|x) of distance and age in the unit box, (B, 2), calibrated, in nats, (B,)."""
        energy = self.energy(context)
        return self.objective.nll(lambda y: energy(y) / self.temperature, y[:, None])[:, 0]

    def log_posterior(self, context: Context, nodes: int) -> Tensor:
        """Log P(y|x) at the nodes of ``unit_grid``, (B, nodes, nodes), distance along the first of the two."""
        energies = self.energy(context)(unit_grid(nodes).to(context.embedding)) / self.temperature
        return log_gibbs(energies, 1.0, cell_volume(nodes)).unflatten(-1, (nodes, nodes))

    def mass_given(self, context: Context, y: Tensor) -> Gaussian:
        """Log10 of the mass in the field, Msun, at distances and ages, (B, n, 2) or (n, 2) -> (B, n), calibrated."""
        return self._mass(context, y).widened(self.mass_scale)

    def mass_nll(self, context: Context, y: Tensor, log_mass: Tensor) -> Tensor:
        """-ln of the density of log10 mass, (B,), at distance and age, (B, 2); calibrated but in training; in nats."""
        given = self._mass(context, y[:, None]) if self.training else self.mass_given(context, y[:, None])
        return gaussian_nll(given[:, 0], log_mass)

    def joint_energy(self, context: Context, y: Tensor) -> Tensor:
        """-ln P(y₁, y₂, log10 mass | x) but for a constant of each map, calibrated, in nats; infinite outside the box.

        Args:
            context: of B maps.
            y: (B, n, 3) or (n, 3), the third log10 of the mass in the field, Msun.
        """
        plane, log_mass = y[..., :2], y[..., 2]
        energies = self.energy(context)(plane) / self.temperature
        energies = energies + gaussian_nll(self.mass_given(context, plane), log_mass)
        return energies.masked_fill(~inside(plane), math.inf)

    def _mass(self, context: Context, y: Tensor) -> Gaussian:
        log_distance = self.low[0] + (y[..., 0] + 1) / 2 * (self.high - self.low)[0]
        return self.net.mass(context, y, log_distance)

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Log posterior of eight maps over log distance (right) and age (up), to 5 nats below its peak; red: truth."""
        few = {name: tensor[:N_EXAMPLES] for name, tensor in batch.items()}
        log_density = upright(self.log_posterior(self.context(few["statistics"]), EXAMPLE_NODES))
        landscapes = (1 + (log_density - log_density.amax((1, 2), keepdim=True)) / 5).clamp(0, 1).cpu()
        truths = self.to_box(few["distance"], few["age"])
        marks = torch.stack([thick(splat(y[None], EXAMPLE_NODES)) for y in truths]) > 0
        red, black = landscapes.masked_fill(marks, 1.0), landscapes.masked_fill(marks, 0.0)
        return {"posterior_and_truth": tiles(*torch.stack([red, black, black], 1).split(N_EXAMPLES // 2))}

    def on_validation_start(self) -> None:
        if self.trainer.state.fn == "fit":  # a trained network is left as it is
            data = every_look(self.trainer.datamodule.splits["calibration"], "distance", "age", "field")  # type: ignore[attr-defined]
            with self.trainer.precision_plugin.forward_context():
                self.calibrate(*(x.to(self.device) for x in data))

    @torch.no_grad()
    def calibrate(self, statistics: Tensor, distance: Tensor, age: Tensor, log_mass: Tensor) -> None:
        """Set ``temperature`` and ``mass_scale`` by maps that the network was not trained on."""
        y, context = self.to_box(distance, age)[:, None], self.context(statistics)
        energy, nodes = self.energy(context), self.settings.nodes
        self.temperature.copy_(fitted_temperature(energy(y)[:, 0], energy(unit_grid(nodes).to(y))))
        self.mass_scale.copy_(calibration(self._mass(context, y).z(log_mass[:, None])))


def gaussian_nll(given: Gaussian, value: Tensor) -> Tensor:
    """(x - μ)²/2σ² + ln(√2π σ)."""
    return given.z(value).square() / 2 + given.sigma.log() + HALF_LN_2PI
