"""π-DOC: the mass map, and the distance and age, of a globular cluster from one flux map."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_modules.base import Batch, LitBase, random_symmetry
from lit_modules.networks.pidoc.cnn import AgeDistanceCNN, Estimate
from lit_modules.networks.pidoc.encoder_decoder import EncoderDecoder, MassMap, log_sum
from lit_modules.networks.pidoc.keras_weights import published_network
from pipeline.errors import InputError


class LitPidoc(LitBase):
    """What both networks share: the scaling of flux, and the range of flux maps they were trained on.

    The buffer ``flux_range`` holds the lowest and highest mean (first row) and standard deviation
    (second row) over the pixels of a training map's log10 flux.
    """

    net: Any
    flux_range: Tensor

    def _register_range(self) -> None:
        self.register_buffer("flux_range", torch.tensor([[-math.inf, math.inf], [-math.inf, math.inf]]))

    def fit_statistics(self, tensors: Batch) -> None:
        moments = map_moments(tensors["flux"])
        self.net.flux_mean, self.net.flux_std = (x.float() for x in pooled(moments))
        self.flux_range = torch.stack([moments.amin(0), moments.amax(0)], 1).float()


class LitPidocMass(LitPidoc):
    """Encoder-decoder from log10 flux to log10 mass per pixel, each pixel and the sum a Gaussian.

    Args:
        width: multiplies the published channels.
        uncertainty: predict variances; False is the published graph, trained by squared error.
        beta: of the training loss, see ``beta_nll``; validation and test state the plain likelihood, beta 0.
        field_weight: of the summed mass in the loss, beside 1 for the pixels.
        lr: peak of the one-cycle learning rate.
        weight_decay: of AdamW.
    """

    net: EncoderDecoder
    field_range: Tensor

    def __init__(
        self, *, width: float, uncertainty: bool, beta: float, field_weight: float, lr: float, weight_decay: float
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = EncoderDecoder(width, uncertainty).to(memory_format=torch.channels_last)
        self._register_range()
        self.register_buffer("field_range", torch.tensor([-math.inf, math.inf]))

    def forward(self, flux: Tensor) -> MassMap:
        return self.net(flux)

    def fit_statistics(self, tensors: Batch) -> None:
        super().fit_statistics(tensors)
        self.net.mass_mean, self.net.mass_std = (x.float() for x in pooled(map_moments(tensors["mass"])))
        field = torch.cat([log_sum(part.float()) for part in tensors["mass"].split(256)])
        self.field_range = torch.stack([field.amin(), field.amax()])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        flux, mass = random_symmetry(batch["flux"], batch["mass"])
        return super().training_step({**batch, "flux": flux, "mass": mass}, batch_idx)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        predicted = self(batch["flux"])
        pixel = batch["mass"] - predicted.log_mass
        field = log_sum(batch["mass"]) - predicted.field_log_mass
        beta = self.hparams["beta"] if self.training else 0.0
        pixel_loss, field_loss = beta_nll(pixel, predicted.sigma, beta), beta_nll(field, predicted.field_sigma, beta)
        return {
            "loss": pixel_loss + self.hparams["field_weight"] * field_loss,
            "pixel_mae_dex": pixel.abs().mean(),
            "field_mae_dex": field.abs().mean(),
        }

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Flux, true mass and predicted mass of four clusters, a row each."""
        flux, mass = batch["flux"][:4], batch["mass"][:4]
        rows = [[f, m, p] for f, m, p in zip(flux, mass, self(flux).log_mass.detach(), strict=True)]
        low, high = mass.amin(), mass.amax()
        scaled = [[(f - f.amin()) / (f.amax() - f.amin()), *((x - low) / (high - low) for x in xs)] for f, *xs in rows]
        return {"flux, true mass, predicted mass": torch.cat([torch.cat(row, 2) for row in scaled], 1).clamp(0, 1)}


class LitPidocAgeDistance(LitPidoc):
    """Convolutional network from log10 flux to Gaussians of distance and age.

    Args:
        width: multiplies the published filters.
        uncertainty: predict variances; False is the published graph, trained by squared error.
        beta: of the training loss, see ``beta_nll``; validation and test state the plain likelihood, beta 0.
        target_scaling: ``separate``: log10 distance and age, each by its own mean and standard
            deviation; ``joint``: distance and age by those of both together, as published.
        lr: peak of the one-cycle learning rate.
        weight_decay: of AdamW.
    """

    net: AgeDistanceCNN

    def __init__(
        self, *, width: float, uncertainty: bool, beta: float, target_scaling: str, lr: float, weight_decay: float
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        net = AgeDistanceCNN(width, uncertainty, log_distance=target_scaling == "separate")
        self.net = net.to(memory_format=torch.channels_last)
        self._register_range()

    def forward(self, flux: Tensor) -> Estimate:
        return self.net(flux)

    def fit_statistics(self, tensors: Batch) -> None:
        super().fit_statistics(tensors)
        targets = self.net.scale(tensors["distance"], tensors["age"]).double()
        over = () if self.hparams["target_scaling"] == "joint" else (0,)
        self.net.target_mean = targets.mean(over).float().expand(2).clone()
        self.net.target_std = targets.std(over, correction=0).float().expand(2).clone()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        (flux,) = random_symmetry(batch["flux"])
        return super().training_step({**batch, "flux": flux}, batch_idx)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        estimate = self(batch["flux"])
        error = self.net.scale(batch["distance"], batch["age"]) - estimate.mean
        distance, age = self.net.unscale(estimate.mean)
        return {
            "loss": beta_nll(error, estimate.sigma, self.hparams["beta"] if self.training else 0.0),
            "distance_mae_kpc": (batch["distance"] - distance).abs().mean(),
            "age_mae_gyr": (batch["age"] - age).abs().mean(),
        }


def beta_nll(error: Tensor, sigma: Tensor, beta: float) -> Tensor:
    """Mean Gaussian negative log-likelihood, without its constant, weighted by sigma^(2 beta).

    L = <σ^(2β)> (log σ + error² / 2σ²), no gradient through the weight <.> (Seitzer et al. 2022,
    arXiv 2203.09168, eq. 5). β = 0 is the plain likelihood, which neglects what it finds hard;
    β = 1 has the gradients of the squared error for the mean.
    """
    return (sigma.detach().pow(2 * beta) * (sigma.log() + 0.5 * (error / sigma) ** 2)).mean()


def map_moments(maps: Tensor) -> Tensor:
    """Mean and standard deviation over the pixels of each map, (maps, 2), in float64, a part at a time.

    Raises:
        InputError: a map holds a value that is not finite.
    """
    std, mean = zip(
        *(torch.std_mean(part.flatten(1).double(), 1, correction=0) for part in maps.split(256)), strict=True
    )
    moments = torch.stack([torch.cat(mean), torch.cat(std)], 1)
    if not moments.isfinite().all():
        raise InputError("the training maps hold NaN or infinite pixels; run preprocess_maps again")
    return moments


def pooled(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over all pixels of all maps, from those of each map."""
    mean = moments[:, 0].mean()
    return mean, (moments.square().sum(1).mean() - mean**2).sqrt()


def load_published(path: Path) -> LitPidocMass | LitPidocAgeDistance:
    """The authors' trained network from their Keras file (CED_200.h5 or CNN_100.h5), in evaluation mode.

    Raises:
        InputError: the file cannot be read or holds other weights.
    """
    try:
        network = published_network(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}; give the authors' CED_200.h5 or CNN_100.h5") from error
    module: LitPidocMass | LitPidocAgeDistance
    if isinstance(network, EncoderDecoder):
        module = LitPidocMass(width=1.0, uncertainty=False, beta=0.0, field_weight=0.0, lr=1e-3, weight_decay=0.0)
    else:
        module = LitPidocAgeDistance(
            width=1.0, uncertainty=False, beta=0.0, target_scaling="joint", lr=1e-3, weight_decay=0.0
        )
    module.net = network
    return module.eval()
