"""π-DOC: the mass map, and the distance and age, of a globular cluster from one flux map."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_modules.base import Batch
from lit_modules.examples import against, stretched, tiles
from lit_modules.map_reader import MapReader, every_look
from lit_modules.networks.maps.gaussian import Gaussian, calibration
from lit_modules.networks.pidoc.cnn import AgeDistanceCNN
from lit_modules.networks.pidoc.distance_age import StatisticsReader
from lit_modules.networks.pidoc.encoder_decoder import EncoderDecoder
from lit_modules.networks.pidoc.folded import FoldedUNet
from lit_modules.networks.pidoc.keras_weights import published_network, published_sigma
from lit_modules.networks.pidoc.losses import beta_nll
from lit_modules.networks.pidoc.mass_map import MassMap
from lit_modules.networks.pidoc.settings import AgeDistanceSettings, MassSettings
from lit_modules.networks.symmetry import random_symmetry
from pipeline.errors import InputError

N_EXAMPLES = 5


class LitPidoc(MapReader):
    """What both networks share: before each validation the intervals are scaled to hold 68 % of the calibration truths.

    The buffer ``sigma_scale`` holds the factors of the σ of both quantities; training ignores it.
    """

    net: EncoderDecoder | FoldedUNet | AgeDistanceCNN | StatisticsReader
    sigma_scale: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.register_buffer("sigma_scale", torch.ones(2))

    def network_inputs(self, batch: Batch) -> list[Tensor]:
        """What the network reads of a batch."""
        return [batch[name] for name in self.net.inputs]

    def z(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Errors over their σ, before calibration, of both quantities."""
        raise NotImplementedError

    def on_validation_start(self) -> None:
        if self.trainer.state.fn == "fit":  # a trained network is left as it is
            with self.trainer.precision_plugin.forward_context():
                self.calibrate(self.calibration_maps(self.trainer.datamodule))  # type: ignore[attr-defined]

    def calibration_maps(self, data: Any) -> Iterable[Batch]:
        """On every process: each map in one look, all looks in turn; in all looks where statistics alone are read."""
        if "flux" in self.net.inputs:
            return data.observed("calibration", look=None)
        names = ("distance", "age")
        statistics, *labels = every_look(data.splits["calibration"], *names)
        return [{"statistics": statistics, **dict(zip(names, labels, strict=True))}]

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Set ``sigma_scale`` by maps that the network was not trained on."""
        z = [self.z({name: x.to(self.device) for name, x in batch.items()}) for batch in batches]
        for k, each in enumerate(zip(*z, strict=True)):
            self.sigma_scale[k] = calibration(torch.cat([x.flatten() for x in each]))


class LitPidocMass(LitPidoc):
    """From log10 flux to log10 mass per pixel and in the field, each a Gaussian.

    The buffer ``field_range`` holds the lowest and highest log10 mass in the field of a training map.
    """

    Settings = MassSettings
    settings: MassSettings
    maps = ("flux", "mass")
    net: EncoderDecoder | FoldedUNet
    field_range: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        folded = self.settings.network == "folded"
        net = FoldedUNet(self.settings) if folded else EncoderDecoder(self.settings)
        self.net = net.to(memory_format=torch.channels_last)
        self.register_buffer("field_range", torch.tensor([-math.inf, math.inf]))

    def forward(self, log_flux: Tensor, statistics: Tensor) -> MassMap:
        """Masses of log10 flux maps (B, 1, H, W) and their statistics (B, N), with calibrated σ."""
        return self.predict_step({"flux": log_flux, "statistics": statistics}, 0)

    def predict_step(self, batch: Batch, batch_idx: int) -> MassMap:
        mass = self.net(*self.network_inputs(batch))
        return MassMap(mass.pixels.widened(self.sigma_scale[0]), mass.field.widened(self.sigma_scale[1]))

    def fit_statistics(self, data: Any) -> None:
        super().fit_statistics(data)
        train = data.splits["train"]
        self.net.flux_mean, self.net.flux_std = pooled(train["flux_mean"], train["flux_std"])
        self.net.mass_mean, self.net.mass_std = pooled(train["mass_mean"], train["mass_std"])
        self.net.field_std, self.net.field_mean = torch.std_mean(train["field"], correction=0)
        self.field_range = torch.stack(train["field"].aminmax())
        if isinstance(self.net, FoldedUNet):
            self.net.field_encoder.fit(train["statistics"])
            self.net.map_encoder.fit(train["statistics"])

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What reads the mass in the field learns at a rate of its own."""
        if not isinstance(self.net, FoldedUNet):
            return super().parameter_groups()
        field = [*self.net.field_encoder.parameters(), *self.net.field_head.parameters()]
        rest = [*self.net.map_encoder.parameters(), *self.net.unet.parameters()]
        return [{"params": rest}, {"params": field, "lr": self.settings.statistics_lr}]

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        flux, mass = random_symmetry(batch["flux"], batch["mass"])
        return super().training_step({**batch, "flux": flux, "mass": mass}, batch_idx)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Likelihoods in dex of pixels and fields; those of validation and test are plain, β = 0."""
        if self.training:
            mass, beta = self.net(*self.network_inputs(batch)), self.settings.beta
        else:
            mass, beta = self.predict_step(batch, 0), 0.0
        field = batch["field"][: len(mass.field.mean)]
        pixel_nll, field_nll = beta_nll(mass.pixels, batch["mass"], beta), beta_nll(mass.field, field, beta)
        return {
            "loss": pixel_nll + self.settings.field_weight * field_nll,
            "pixel_mae_dex": F.l1_loss(mass.pixels.mean, batch["mass"]),
            "field_mae_dex": F.l1_loss(mass.field.mean, field),
        }

    def z(self, batch: Batch) -> tuple[Tensor, Tensor]:
        mass = self.net(*self.network_inputs(batch))
        return mass.pixels.z(batch["mass"]), mass.field.z(batch["field"])

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Light, true mass and the mass that was read, all logarithmic, of five clusters, below each other."""
        flux, mass = batch["flux"][:N_EXAMPLES], batch["mass"][:N_EXAMPLES]
        read = self(flux, batch["statistics"][:N_EXAMPLES]).pixels.mean
        return {"light_truth_read": tiles(stretched(flux), stretched(mass), stretched(read, like=mass))}


class LitPidocAgeDistance(LitPidoc):
    """From log10 flux to Gaussians of distance and age, as ``net.targets`` scales them."""

    Settings = AgeDistanceSettings
    settings: AgeDistanceSettings
    net: AgeDistanceCNN | StatisticsReader

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        if self.settings.network == "statistics":
            self.net = StatisticsReader(self.settings)
        else:
            self.maps = ("flux",)
            self.net = AgeDistanceCNN(self.settings).to(memory_format=torch.channels_last)

    def forward(self, log_flux: Tensor, statistics: Tensor) -> Gaussian:
        """Scaled distance and age (B, 2) of log10 flux maps (B, 1, H, W) and their statistics, with calibrated σ."""
        return self.predict_step({"flux": log_flux, "statistics": statistics}, 0)

    def predict_step(self, batch: Batch, batch_idx: int) -> Gaussian:
        return self.net(*self.network_inputs(batch)).widened(self.sigma_scale)

    def fit_statistics(self, data: Any) -> None:
        super().fit_statistics(data)
        train = data.splits["train"]
        self.net.targets.fit(train["distance"], train["age"])
        if isinstance(self.net, StatisticsReader):
            self.net.encoder.fit(train["statistics"])
        else:
            self.net.flux_mean, self.net.flux_std = pooled(train["flux_mean"], train["flux_std"])

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        if "flux" in self.net.inputs:
            (flux,) = random_symmetry(batch["flux"])
            batch = {**batch, "flux": flux}
        return super().training_step(batch, batch_idx)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Likelihood of the scaled targets; that of validation and test is plain, β = 0."""
        if self.training:
            predicted, beta = self.net(*self.network_inputs(batch)), self.settings.beta
        else:
            predicted, beta = self.predict_step(batch, 0), 0.0
        rows = len(predicted.mean)
        true_distance, true_age = batch["distance"][:rows], batch["age"][:rows]
        distance, age = self.net.targets.unscale(predicted.mean)
        return {
            "loss": beta_nll(predicted, self.net.targets.scale(true_distance, true_age), beta),
            "distance_mae_kpc": F.l1_loss(distance, true_distance),
            "age_mae_gyr": F.l1_loss(age, true_age),
        }

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """What was read over the truth, a dot a map: log distance on the left, age on the right."""
        read = self.predict_step(batch, 0).mean
        true_distance, true_age = batch["distance"][: len(read)], batch["age"][: len(read)]
        distance, age = self.net.targets.unscale(read)
        distances = against(true_distance.log10(), distance.clamp_min(1e-3).log10())
        return {"distance_and_age_read_over_truth": tiles(torch.stack([distances, against(true_age, age)]))}

    def z(self, batch: Batch) -> tuple[Tensor, Tensor]:
        predicted = self.net(*self.network_inputs(batch))
        distance, age = predicted.z(self.net.targets.scale(batch["distance"], batch["age"])).unbind(1)
        return distance, age


def pooled(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over all pixels of all maps, float32, from those of each map (n,)."""
    mean, std = mean.double(), std.double()
    whole = mean.mean()
    return whole.float(), ((mean**2 + std**2).mean() - whole**2).sqrt().float()


def load_published(path: Path) -> LitPidocMass | LitPidocAgeDistance:
    """The authors' trained network from their Keras file (CED_200.h5 or CNN_100.h5), in evaluation mode.

    Raises:
        InputError: the file cannot be read or holds other weights.
    """
    try:
        network = published_network(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}; give the authors' CED_200.h5 or CNN_100.h5") from error
    settings: dict[str, Any] = dict(
        network="published", width=1.0, units=1, features=1, dropout=0.0, beta=0.0, lr=1e-3, weight_decay=0.0
    )
    module: LitPidocMass | LitPidocAgeDistance
    if isinstance(network, EncoderDecoder):
        module = LitPidocMass(**settings, field_weight=0.0, statistics_lr=1e-3)
    else:
        module = LitPidocAgeDistance(**settings)
    module.net = network
    module.sigma_scale = published_sigma(network)
    return module.eval()
