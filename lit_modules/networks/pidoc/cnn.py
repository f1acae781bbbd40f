"""The convolutional network of π-DOC: a cluster's flux map in, its distance and age out."""

import torch
from torch import Tensor, nn

from lit_modules.networks.maps.gaussian import Gaussian
from lit_modules.networks.pidoc.distance_age import Targets
from lit_modules.networks.pidoc.encoder_decoder import glorot
from lit_modules.networks.pidoc.settings import AgeDistanceSettings

FILTERS = ((16, 10), (32, 10), (64, 5), (128, 5))  # filters and kernel side of the convolutions, at width 1
UNITS = (64, 32, 16)
SPATIAL_DROPOUT = 10**-2.5
DROPOUT = 0.1


class AgeDistanceCNN(nn.Module):
    """Distance and age of a cluster from its log10 flux map of 160 x 160 pixels.

    The graph of Chardin & Bianchini (2021, MNRAS 504, 5656): four unpadded convolutions, each with
    ReLU, batch normalisation, dropout of whole channels, ReLU and pooling, then three dense layers
    and two linear outputs. Pooling comes first of the last three here, for a quarter of the work:
    the largest of four stays the largest when all are rectified or scaled alike. It states no uncertainty: σ is that
    of all training maps.
    """

    inputs = ("flux",)
    flux_mean: Tensor
    flux_std: Tensor

    def __init__(self, settings: AgeDistanceSettings) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, side = 1, 160
        for filters, kernel in FILTERS:
            c = max(1, round(settings.width * filters))
            layers += [nn.Conv2d(channels, c, kernel), nn.ReLU(), nn.BatchNorm2d(c, eps=1e-3)]
            layers += [nn.MaxPool2d(2), nn.ReLU(), nn.Dropout2d(SPATIAL_DROPOUT)]
            channels, side = c, (side - kernel + 1) // 2
        self.features = nn.Sequential(*layers)
        layers, n = [nn.Dropout(DROPOUT)], channels * side * side
        for units in UNITS:
            layers += [nn.Linear(n, units), nn.ReLU(), nn.BatchNorm1d(units, eps=1e-3), nn.ReLU()]
            n = units
        self.dense = nn.Sequential(*layers)
        self.out = nn.Linear(n, 2)
        self.apply(glorot)
        self.targets = Targets(log_distance=False)
        self.register_buffer("flux_mean", torch.tensor(0.0))
        self.register_buffer("flux_std", torch.tensor(1.0))

    def forward(self, flux: Tensor) -> Gaussian:
        """Map log10 F/(Lsun kpc⁻²), (B, 1, 160, 160), to Gaussians (B, 2) of the scaled ``Targets``."""
        x = self.features((flux - self.flux_mean) / self.flux_std)
        x = x.permute(0, 2, 3, 1).flatten(1)  # channels last, as in the published weights
        return Gaussian.unit(self.out(self.dense(x)))
