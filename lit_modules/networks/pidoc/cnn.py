"""The convolutional network of π-DOC: a cluster's flux map in, its distance and age out."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lit_modules.networks.pidoc.encoder_decoder import glorot
from lit_modules.networks.pidoc.statistics import StatisticsReader

FILTERS = ((16, 10), (32, 10), (64, 5), (128, 5))  # filters and kernel side of the convolutions, at width 1
UNITS = (64, 32, 16)
SPATIAL_DROPOUT = 10**-2.5
STATISTICS_FEATURES = 128


class Estimate(NamedTuple):
    """Independent Gaussians of the scaled targets, each (B, 2): distance, then age."""

    mean: Tensor
    sigma: Tensor


class AgeDistanceCNN(nn.Module):
    """Distance and age of a cluster from its log10 flux map of 160 x 160 pixels.

    The graph of Chardin & Bianchini (2021, MNRAS 504, 5656): four unpadded convolutions, each with
    ReLU, batch normalisation, dropout of whole channels, ReLU and pooling, then three dense layers
    and two linear outputs. Pooling comes first of the last three here, for a quarter of the work:
    the largest of four stays the largest when all are rectified or scaled alike. The published
    graph has no uncertainty; two more outputs, the natural logarithms of the variances, add it. The
    buffer ``log_variance`` is added to both, or stands for them, in evaluation: it calibrates the
    intervals.

    Args:
        width: multiplies the filters of every convolution (published: 1).
        uncertainty: add the outputs of the variances.
        log_distance: the first target is log10 D/kpc instead of D in kpc.
        statistics: let the outputs see statistics of the whole map, read by a perceptron; False as published.
        dropout: probability before the dense layers (published: 0.1).
    """

    flux_mean: Tensor
    flux_std: Tensor
    target_mean: Tensor
    target_std: Tensor
    log_variance: Tensor

    def __init__(
        self, width: float, uncertainty: bool, log_distance: bool, *, statistics: bool, dropout: float
    ) -> None:
        super().__init__()
        self.log_distance = log_distance
        layers: list[nn.Module] = []
        channels, side = 1, 160
        for filters, kernel in FILTERS:
            c = max(1, round(width * filters))
            layers += [nn.Conv2d(channels, c, kernel), nn.ReLU(), nn.BatchNorm2d(c, eps=1e-3)]
            layers += [nn.MaxPool2d(2), nn.ReLU(), nn.Dropout2d(SPATIAL_DROPOUT)]
            channels, side = c, (side - kernel + 1) // 2
        self.features = nn.Sequential(*layers)
        layers, n = [nn.Dropout(dropout)], channels * side * side
        for units in UNITS:
            layers += [nn.Linear(n, units), nn.ReLU(), nn.BatchNorm1d(units, eps=1e-3), nn.ReLU()]
            n = units
        self.dense = nn.Sequential(*layers)
        self.reader = StatisticsReader(STATISTICS_FEATURES) if statistics else None
        self.out = nn.Linear(n + (STATISTICS_FEATURES if statistics else 0), 4 if uncertainty else 2)
        self.apply(glorot)
        nn.init.zeros_(self.out.weight[2:])  # a fresh network states the spread of its targets
        self.register_buffer("flux_mean", torch.tensor(0.0))
        self.register_buffer("flux_std", torch.tensor(1.0))
        self.register_buffer("target_mean", torch.zeros(2))
        self.register_buffer("target_std", torch.ones(2))
        self.register_buffer("log_variance", torch.zeros(2))

    def forward(self, flux: Tensor) -> Estimate:
        """Map log10 F/(Lsun kpc⁻²), (B, 1, 160, 160), to Gaussians of the scaled targets."""
        x = self.features((flux - self.flux_mean) / self.flux_std)
        x = self.dense(x.permute(0, 2, 3, 1).flatten(1))  # channels last, as in the published weights
        if self.reader is not None:
            x = torch.cat([x, self.reader(flux)], 1)
        out = self.out(x).float()
        mean, log_variance = out[:, :2], out[:, 2:].clamp(-12.0, 6.0) if out.shape[1] == 4 else torch.zeros_like(out)
        if not self.training:
            log_variance = log_variance + self.log_variance
        return Estimate(mean, torch.exp(0.5 * log_variance))

    def scale(self, distance: Tensor, age: Tensor) -> Tensor:
        """Targets as the network sees them, (B, 2), from kpc and Gyr."""
        first = torch.log10(distance) if self.log_distance else distance
        return (torch.stack([first, age], 1) - self.target_mean) / self.target_std

    def unscale(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Distance in kpc and age in Gyr of scaled targets (..., 2): the inverse of ``scale``.

        Logarithms of distance are kept between 10 pc and 10 Mpc, so that no answer overflows.
        """
        first, age = (targets * self.target_std + self.target_mean).unbind(-1)
        return (torch.pow(10.0, first.clamp(-2.0, 4.0)) if self.log_distance else first), age
