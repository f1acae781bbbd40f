"""The convolutional network of π-DOC: a cluster's flux map in, its distance and age out."""

import torch
from torch import Tensor, nn

from lit_modules.networks.pidoc.encoder_decoder import glorot
from lit_modules.networks.pidoc.estimate import Estimate, gaussians
from lit_modules.networks.pidoc.statistics import StatisticsPerceptron, map_statistics

FILTERS = ((16, 10), (32, 10), (64, 5), (128, 5))  # filters and kernel side of the convolutions, at width 1
UNITS = (64, 32, 16)
SPATIAL_DROPOUT = 10**-2.5
TARGETS = 2  # distance, then age


class AgeDistanceCNN(nn.Module):
    """Distance and age of a cluster from its log10 flux map of 160 x 160 pixels.

    The graph of Chardin & Bianchini (2021, MNRAS 504, 5656): four unpadded convolutions, each with
    ReLU, batch normalisation, dropout of whole channels, ReLU and pooling, then three dense layers
    and two linear outputs. Pooling comes first of the last three here, for a quarter of the work:
    the largest of four stays the largest when all are rectified or scaled alike. The published
    graph has no uncertainty; two more outputs, the natural logarithms of the variances, add it. The
    buffer ``log_variance`` is added to both, or stands for them, in evaluation: it calibrates the
    intervals. A perceptron on statistics of the whole map gives a second estimate; the answer is
    the mean of both, in which the buffer ``share`` is the weight of the convolutions' estimate.

    Args:
        width: multiplies the filters of every convolution (published: 1).
        uncertainty: add the outputs of the variances.
        log_distance: the first target is log10 D/kpc instead of D in kpc.
        statistics: add the estimate from statistics of the whole map; False as published.
        dropout: probability before the dense layers (published: 0.1).
    """

    flux_mean: Tensor
    flux_std: Tensor
    target_mean: Tensor
    target_std: Tensor
    log_variance: Tensor
    share: Tensor

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
        outputs = 2 * TARGETS if uncertainty else TARGETS
        self.out = nn.Linear(n, outputs)
        self.perceptron = StatisticsPerceptron(outputs) if statistics else None
        self.apply(glorot)
        for layer in [self.out] if self.perceptron is None else [self.out, self.perceptron.out]:
            nn.init.zeros_(layer.weight[TARGETS:])  # a fresh network states the spread of its targets
        self.register_buffer("flux_mean", torch.tensor(0.0))
        self.register_buffer("flux_std", torch.tensor(1.0))
        self.register_buffer("target_mean", torch.zeros(2))
        self.register_buffer("target_std", torch.ones(2))
        self.register_buffer("log_variance", torch.zeros(2))
        self.register_buffer("share", torch.full((2,), 0.5))

    def forward(self, flux: Tensor) -> Estimate:
        """Map log10 F/(Lsun kpc⁻²), (B, 1, 160, 160), to Gaussians of the scaled targets."""
        return self.answer(self.convolved(flux), self.perceived(map_statistics(flux[:, 0])))

    def convolved(self, flux: Tensor) -> Estimate:
        """What the convolutions say."""
        x = self.features((flux - self.flux_mean) / self.flux_std)
        x = self.dense(x.permute(0, 2, 3, 1).flatten(1))  # channels last, as in the published weights
        return gaussians(self.out(x), TARGETS)

    def perceived(self, statistics: Tensor) -> Estimate | None:
        """What the ``map_statistics`` say, if there is a perceptron to read them."""
        return None if self.perceptron is None else gaussians(self.perceptron(statistics), TARGETS)

    def answer(self, convolved: Estimate, perceived: Estimate | None) -> Estimate:
        """The mean of one or two estimates, in evaluation with calibrated deviations."""
        both = zip(convolved, perceived or convolved, strict=True)
        mean, sigma = (torch.lerp(last, first, self.share) for first, last in both)
        return Estimate(mean, sigma if self.training else sigma * torch.exp(0.5 * self.log_variance))

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
