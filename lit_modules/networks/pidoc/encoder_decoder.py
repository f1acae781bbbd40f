"""The convolutional encoder-decoder of π-DOC: a cluster's flux map in, its mass map out."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_modules.networks.pidoc.estimate import Estimate, gaussians
from lit_modules.networks.pidoc.statistics import StatisticsPerceptron, map_statistics

CHANNELS = (32, 64, 128, 128)  # of the four levels, at width 1
DROPOUT = 10**-2.5


class MassMap(NamedTuple):
    """Independent Gaussians: of every pixel's log10 M/Msun, and of the log10 of the map's sum."""

    log_mass: Tensor  # (B, 1, H, W)
    sigma: Tensor  # (B, 1, H, W), dex
    field_sigma: Tensor  # (B,), dex

    @property
    def field_log_mass(self) -> Tensor:
        """log10 of the mass in the field, Msun, (B,)."""
        return log_sum(self.log_mass)


def log_sum(log_mass: Tensor) -> Tensor:
    """log10 of the summed 10^x of each map, (B, 1, H, W) -> (B,)."""
    return torch.logsumexp(log_mass.flatten(1) * math.log(10), dim=1) / math.log(10)


class ConvUnit(nn.Sequential):
    """3x3 convolution, ReLU, batch normalisation, dropout of whole channels, in this order."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(c_out, eps=1e-3),
            nn.Dropout2d(DROPOUT),
        )


class EncoderDecoder(nn.Module):
    """Mass map of a log10 flux map whose sides are multiples of 16.

    The graph of Chardin & Bianchini (2021, MNRAS 504, 5656): four levels of two convolutions a
    and b, whose pooled concatenation [b, a] goes one level down; on the way up each
    nearest-neighbour enlargement is joined first with a of its level, then with the input of that
    level. 16 convolutions, 2 179 681 trainable weights at width 1 without uncertainty.

    The published graph has no uncertainty. Natural logarithms of variances add it: of the pixels
    as a second channel of the last convolution, of the sum by a linear map of the averaged
    bottleneck. The same map gives a second number, by which all log masses of a picture are
    shifted: distance and age scale the whole mass map, and no pixel's surroundings tell them as
    well as the whole picture does. The buffer ``log_variance`` is added to both variances, or
    stands for them, in evaluation: it calibrates the intervals.

    A perceptron on statistics of the whole map gives a second estimate of the sum; the answer is the
    map shifted to the mean of both, in which the buffer ``share`` is the weight of the map's own sum.

    Args:
        width: multiplies the channels of every layer.
        uncertainty: add the variances and the shift; False is the published graph.
        statistics: add the estimate from statistics of the whole map; False as published.
    """

    flux_mean: Tensor
    flux_std: Tensor
    mass_mean: Tensor
    mass_std: Tensor
    field_mean: Tensor
    field_std: Tensor
    log_variance: Tensor
    share: Tensor

    def __init__(self, width: float, uncertainty: bool, *, statistics: bool) -> None:
        super().__init__()
        channels = [max(1, round(width * c)) for c in CHANNELS]
        pooled = [1, *(2 * c for c in channels)]  # channels that enter each level and the bottleneck
        self.down = nn.ModuleList()  # first and second unit of each level, in turn
        for c_in, c in zip(pooled[:-1], channels, strict=True):
            self.down.extend([ConvUnit(c_in, c), ConvUnit(c, c)])
        self.bottleneck = ConvUnit(pooled[-1], channels[-1])
        self.up = nn.ModuleList()
        below = channels[-1]
        for level in (3, 2, 1):
            c = channels[level - 1]
            self.up.extend([ConvUnit(below + channels[level], c), ConvUnit(c + pooled[level], c)])
            below = c
        self.out = nn.Conv2d(below + channels[0], 2 if uncertainty else 1, 3, padding=1)
        self.field_head = nn.Linear(channels[-1], 2) if uncertainty else None
        self.perceptron = StatisticsPerceptron(2 if uncertainty else 1) if statistics else None
        self.apply(glorot)
        if self.field_head is not None:  # a fresh network states the spread of its targets
            nn.init.zeros_(self.out.weight[1:])
            nn.init.zeros_(self.field_head.weight)
        if self.perceptron is not None:
            nn.init.zeros_(self.perceptron.out.weight[1:])
        for name in ("flux", "mass", "field"):
            self.register_buffer(f"{name}_mean", torch.tensor(0.0))
            self.register_buffer(f"{name}_std", torch.tensor(1.0))
        self.register_buffer("log_variance", torch.zeros(2))  # of a pixel, of the sum
        self.register_buffer("share", torch.full((1,), 0.5))

    def forward(self, flux: Tensor) -> MassMap:
        """Map log10 F/(Lsun kpc⁻²), (B, 1, H, W), to log10 M/Msun per pixel and its uncertainty."""
        return self.answer(self.convolved(flux), self.perceived(map_statistics(flux[:, 0])))

    def convolved(self, flux: Tensor) -> MassMap:
        """What the convolutions say."""
        x = (flux - self.flux_mean) / self.flux_std
        skips = []
        for first, second in zip(self.down[::2], self.down[1::2], strict=True):
            a = first(x)
            skips.append((a, x))
            x = torch.cat([F.max_pool2d(second(a), 2), F.max_pool2d(a, 2)], 1)  # the pooled [b, a]
        x = bottleneck = self.bottleneck(x)
        for first, second in zip(self.up[::2], self.up[1::2], strict=True):
            a, entered = skips.pop()
            x = first(torch.cat([F.interpolate(x, scale_factor=2.0), a], 1))
            x = second(torch.cat([x, entered], 1))
        x = torch.cat([F.interpolate(x, scale_factor=2.0), skips.pop()[0]], 1)
        out = self.out(x).float()
        mean = out[:, :1]
        if self.field_head is None:
            pixel, field = torch.zeros_like(mean), mean.new_zeros(len(mean))
        else:
            shift, field = self.field_head(bottleneck.mean((2, 3))).float().unbind(1)
            mean, pixel = mean + shift[:, None, None, None], out[:, 1:]
        sigmas = (self.mass_std * torch.exp(0.5 * x.clamp(-12.0, 6.0)) for x in (pixel, field))
        return MassMap(self.mass_mean + self.mass_std * mean, *sigmas)

    def perceived(self, statistics: Tensor) -> Estimate | None:
        """What the ``map_statistics`` say of log10 of the sum, (B, 1), if there is a perceptron to read them."""
        if self.perceptron is None:
            return None
        mean, sigma = gaussians(self.perceptron(statistics), 1)
        return Estimate(self.field_mean + self.field_std * mean, self.field_std * sigma)

    def answer(self, convolved: MassMap, perceived: Estimate | None) -> MassMap:
        """The map shifted to the mean of one or two estimates of its sum, in evaluation with calibrated deviations."""
        log_mass, sigma, field_sigma = convolved
        if perceived is not None:
            shift = (1 - self.share) * (perceived.mean[:, 0] - convolved.field_log_mass)
            log_mass = log_mass + shift[:, None, None, None]
            field_sigma = self.share * field_sigma + (1 - self.share) * perceived.sigma[:, 0]
        if self.training:
            return MassMap(log_mass, sigma, field_sigma)
        pixel, whole = torch.exp(0.5 * self.log_variance)
        return MassMap(log_mass, sigma * pixel, field_sigma * whole)


def glorot(layer: nn.Module) -> None:
    """Draw a layer's weights as Keras does (Glorot & Bengio 2010), with zero biases."""
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.get_parameter("bias"))
