"""π-DOC: the mass map, and the distance and age, of a globular cluster from one flux map."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from lit_modules.base import MIRRORS, Batch, LitBase, Mirror, random_symmetry
from lit_modules.networks.pidoc.cnn import AgeDistanceCNN
from lit_modules.networks.pidoc.encoder_decoder import EncoderDecoder, MassMap
from lit_modules.networks.pidoc.estimate import Estimate
from lit_modules.networks.pidoc.keras_weights import published_network
from lit_modules.networks.pidoc.settings import AgeDistanceSettings, MassSettings
from lit_modules.networks.pidoc.statistics import LENGTH, map_statistics
from pipeline.errors import InputError

INSIDE = 0.6827  # share of truths inside a 68 % interval
PART = 50  # maps seen at once
STATISTICS_MAPS = 1000  # at most, of the training split


class LitPidoc(LitBase):
    """What both networks share: scaling of flux, batch statistics, calibration and the range of the training maps.

    Before each validation the batch statistics are averaged anew over training maps, because running averages lag
    behind the weights and are noisy (Wu & Johnson 2021, arXiv 2105.07576, section 3), and the intervals are scaled
    so that 68 % of the validation truths lie inside.

    The buffer ``flux_range`` holds the lowest and highest mean (first row) and standard deviation
    (second row) over the pixels of a training map's log10 flux.
    """

    net: Any
    flux_range: Tensor
    symmetric = True  # trained on all eight symmetric views of a map

    def _register_range(self) -> None:
        self.register_buffer("flux_range", torch.tensor([[-math.inf, math.inf], [-math.inf, math.inf]]))

    def fit_statistics(self, data: Any) -> None:
        tensors = data.splits["train"]
        if tensors["statistics"].shape[1] != LENGTH:
            raise InputError("statistics.npy holds other statistics than this network reads; run preprocess_maps again")
        if self.net.perceptron is not None:
            self.net.perceptron.fit(tensors["statistics"])
        moments = map_moments(tensors["flux"])
        self.net.flux_mean, self.net.flux_std = (x.float() for x in pooled(moments))
        self.flux_range = torch.stack([moments.amin(0), moments.amax(0)], 1).float()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The perceptron on the statistics learns at a rate of its own."""
        perceptron = [] if self.net.perceptron is None else list(self.net.perceptron.parameters())
        own = set(perceptron)
        rest = [parameter for parameter in self.parameters() if parameter not in own]
        return [{"params": rest}, *([{"params": perceptron, "lr": self.settings.statistics_lr}] if own else [])]

    def errors(self, batch: Batch, read: Any) -> list[tuple[Tensor, Tensor]]:
        """Error and standard deviation of each of the two quantities that the network has read off the flux."""
        raise NotImplementedError

    def read(self, flux: Tensor) -> Any:
        """What the network says of flux maps (B, 1, H, W)."""
        return self.net.answer(*self.estimates(flux))

    def estimates(self, flux: Tensor, statistics: Tensor | None = None) -> tuple[Any, Estimate | None]:
        """The convolutions' mean over symmetric views, and what the statistics say, which no view changes."""
        if statistics is None:
            statistics = map_statistics(flux[:, 0])
        return self.mean_of_views(self.net.convolved, flux), self.net.perceived(statistics)

    def mean_of_views(self, network: Callable[[Tensor], Any], flux: Tensor) -> Any:
        """The mean of what a network says of the views of flux maps, turned back.

        A network that was not trained on all of them (``symmetric`` is False) is asked once.
        """
        return self._mean(network, flux, MIRRORS if self.symmetric else ())

    def _mean(self, network: Callable[[Tensor], Any], flux: Tensor, mirrors: tuple[Mirror, ...]) -> Any:
        if not mirrors:
            return network(flux)
        mirror, others = mirrors[0], mirrors[1:]
        seen, turned = self._mean(network, flux, others), self._mean(network, mirror(flux), others)
        back = (mirror(x) if x.ndim == 4 else x for x in turned)
        return type(seen)(*(0.5 * (a + b) for a, b in zip(seen, back, strict=True)))

    def on_validation_start(self) -> None:
        if self.trainer.state.fn != "fit":  # a trained network is left as it is
            return
        splits = self.trainer.datamodule.splits  # type: ignore[attr-defined]
        with self.trainer.precision_plugin.forward_context():
            self.average_statistics(splits["train"]["flux"])
            self.calibrate(splits["val"])

    def average_statistics(self, flux: Tensor) -> None:
        """Set the batch statistics to averages over some maps (n, 1, H, W), evenly chosen, with the present weights."""
        some = flux[:: -(-len(flux) // STATISTICS_MAPS)]
        parts = (part.to(self.dtype) for part in some.tensor_split(-(-len(some) // PART)))
        update_bn(parts, Convolutions(self.net), self.device)

    def calibrate(self, tensors: Batch) -> None:
        """Weight two estimates so that their mean has the least squared error, then scale the standard deviations."""
        raise NotImplementedError

    def parts(self, tensors: Batch) -> Iterator[Batch]:
        """A split in batches of ``PART`` maps."""
        for part in zip(*(tensor.split(PART) for tensor in tensors.values()), strict=True):
            yield {name: x.to(self.device, self.dtype) for name, x in zip(tensors, part, strict=True)}

    def set_widths(self, scores: list[Tensor]) -> None:
        """Calibrate by the absolute errors of both quantities, each over its standard deviation."""
        widths = torch.stack([z.kthvalue(max(1, round(INSIDE * len(z)))).values for z in scores])
        self.net.log_variance.copy_(2 * widths.log())


class Convolutions(nn.Module):
    """A network without its statistics of the whole map, which no batch changes."""

    def __init__(self, net: EncoderDecoder | AgeDistanceCNN) -> None:
        super().__init__()
        self.net, self.training = net, net.training

    def forward(self, flux: Tensor) -> MassMap | Estimate:
        return self.net.convolved(flux)


class LitPidocMass(LitPidoc):
    """Encoder-decoder from log10 flux to log10 mass per pixel, each pixel and the sum a Gaussian."""

    Settings = MassSettings
    settings: MassSettings
    net: EncoderDecoder
    field_range: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        net = EncoderDecoder(self.settings.width, self.settings.uncertainty, statistics=self.settings.statistics)
        self.net = net.to(memory_format=torch.channels_last)
        self._register_range()
        self.register_buffer("field_range", torch.tensor([-math.inf, math.inf]))

    def forward(self, flux: Tensor) -> MassMap:
        return self.net(flux)

    def fit_statistics(self, data: Any) -> None:
        super().fit_statistics(data)
        tensors = data.splits["train"]
        self.net.mass_mean, self.net.mass_std = (x.float() for x in pooled(map_moments(tensors["mass"])))
        self.net.field_std, self.net.field_mean = torch.std_mean(tensors["field"], correction=0)
        self.field_range = torch.stack([tensors["field"].amin(), tensors["field"].amax()])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        flux, mass = random_symmetry(batch["flux"], batch["mass"])
        return super().training_step({**batch, "flux": flux, "mass": mass}, batch_idx)

    @torch.no_grad()
    def calibrate(self, tensors: Batch) -> None:
        self.net.log_variance.zero_()
        parts = list(self.parts(tensors))
        read = [self.estimates(part["flux"], part["statistics"]) for part in parts]
        truth = torch.cat([part["field"] for part in parts])
        own = torch.cat([mass.field_log_mass for mass, _ in read])
        stated = [field.mean[:, 0] for _, field in read if field is not None]
        if stated:
            self.net.share.copy_(best_share((truth - own)[:, None], (truth - torch.cat(stated))[:, None]))
        errors = (self.errors(part, self.net.answer(*seen)) for part, seen in zip(parts, read, strict=True))
        scores = [[(error / sigma).abs().flatten() for error, sigma in both] for both in errors]
        self.set_widths([torch.cat(each) for each in zip(*scores, strict=True)])

    def errors(self, batch: Batch, read: MassMap) -> list[tuple[Tensor, Tensor]]:
        """Of log10 mass, dex: of the pixels, and of the field."""
        field = batch["field"][: len(read.log_mass)]
        return [(batch["mass"] - read.log_mass, read.sigma), (field - read.field_log_mass, read.field_sigma)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Each estimate learns by itself; validation and test judge the answer."""
        maps = len(batch["flux"])  # more may come with statistics alone
        convolved, perceived = self.net.convolved(batch["flux"]), self.net.perceived(batch["statistics"])
        read = self.net.answer(convolved, None if perceived is None else perceived.first(maps))
        beta, judged = (self.settings.beta, convolved) if self.training else (0.0, read)
        pixel, field = (beta_nll(*error, beta) for error in self.errors(batch, judged))
        loss = pixel + self.settings.field_weight * field
        if self.training and perceived is not None:
            loss = loss + beta_nll(batch["field"][:, None] - perceived.mean, perceived.sigma, beta)
        (pixel_error, _), (field_error, _) = self.errors(batch, read)
        return {"loss": loss, "pixel_mae_dex": pixel_error.abs().mean(), "field_mae_dex": field_error.abs().mean()}

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Flux, true mass and predicted mass of four clusters, a row each."""
        flux, mass = batch["flux"][:4], batch["mass"][:4]
        rows = [[f, m, p] for f, m, p in zip(flux, mass, self(flux).log_mass.detach(), strict=True)]
        low, high = mass.amin(), mass.amax()
        scaled = [[(f - f.amin()) / (f.amax() - f.amin()), *((x - low) / (high - low) for x in xs)] for f, *xs in rows]
        return {"flux, true mass, predicted mass": torch.cat([torch.cat(row, 2) for row in scaled], 1).clamp(0, 1)}


class LitPidocAgeDistance(LitPidoc):
    """Convolutions and, beside them, statistics of the map, from log10 flux to Gaussians of distance and age."""

    Settings = AgeDistanceSettings
    settings: AgeDistanceSettings
    net: AgeDistanceCNN

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        net = AgeDistanceCNN(
            self.settings.width,
            self.settings.uncertainty,
            log_distance=self.settings.target_scaling == "separate",
            statistics=self.settings.statistics,
            dropout=self.settings.dropout,
        )
        self.net = net.to(memory_format=torch.channels_last)
        self._register_range()

    def forward(self, flux: Tensor) -> Estimate:
        return self.net(flux)

    def fit_statistics(self, data: Any) -> None:
        super().fit_statistics(data)
        tensors = data.splits["train"]
        targets = self.net.scale(tensors["distance"], tensors["age"]).double()
        over = () if self.settings.target_scaling == "joint" else (0,)
        self.net.target_mean = targets.mean(over).float().expand(2).clone()
        self.net.target_std = targets.std(over, correction=0).float().expand(2).clone()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        (flux,) = random_symmetry(batch["flux"])
        return super().training_step({**batch, "flux": flux}, batch_idx)

    @torch.no_grad()
    def calibrate(self, tensors: Batch) -> None:
        self.net.log_variance.zero_()
        labels = {name: tensors[name].to(self.device) for name in ("distance", "age")}
        read = [self.estimates(part["flux"], part["statistics"]) for part in self.parts(tensors)]
        if self.net.perceptron is not None:
            truth = self.net.scale(labels["distance"], labels["age"])
            means = (torch.cat([estimate.mean for estimate in each]) for each in zip(*read, strict=True))
            self.net.share.copy_(best_share(*(truth - mean for mean in means)))
        answers = [self.net.answer(*both) for both in read]
        errors = self.errors(labels, Estimate(*map(torch.cat, zip(*answers, strict=True))))
        self.set_widths([(error / sigma).abs() for error, sigma in errors])

    def errors(self, batch: Batch, read: Estimate) -> list[tuple[Tensor, Tensor]]:
        """Of distance and age, as scaled."""
        error = self.net.scale(batch["distance"], batch["age"])[: len(read.mean)] - read.mean
        return list(zip(error.unbind(1), read.sigma.unbind(1), strict=True))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Each estimate learns by itself; validation and test judge the answer."""
        maps = len(batch["flux"])  # more may come with statistics alone
        convolved, perceived = self.net.convolved(batch["flux"]), self.net.perceived(batch["statistics"])
        read = self.net.answer(convolved, None if perceived is None else perceived.first(maps))
        beta, judged = (self.settings.beta, (convolved, perceived)) if self.training else (0.0, (read,))
        terms = [beta_nll(*error, beta) for each in judged if each is not None for error in self.errors(batch, each)]
        distance, age = self.net.unscale(read.mean)
        return {
            "loss": torch.stack(terms).mean(),
            "distance_mae_kpc": (batch["distance"][:maps] - distance).abs().mean(),
            "age_mae_gyr": (batch["age"][:maps] - age).abs().mean(),
        }


def best_share(first: Tensor, last: Tensor) -> Tensor:
    """The w in [0, 1] for which w first + (1 - w) last has the least squares, for each column of errors (n, 2).

    Bates & Granger (1969, Operational Research Quarterly 20, 451), section 2.
    """
    difference = last - first
    return ((last * difference).sum(0) / difference.square().sum(0).clamp_min(1e-12)).clamp(0.0, 1.0)


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
        module = LitPidocMass(
            width=1.0,
            uncertainty=False,
            statistics=False,
            beta=0.0,
            field_weight=0.0,
            lr=1e-3,
            statistics_lr=1e-3,
            weight_decay=0.0,
        )
    else:
        module = LitPidocAgeDistance(
            width=1.0,
            uncertainty=False,
            statistics=False,
            dropout=0.1,
            beta=0.0,
            target_scaling="joint",
            lr=1e-3,
            statistics_lr=1e-3,
            weight_decay=0.0,
        )
    module.net = network
    module.symmetric = False
    return module.eval()
