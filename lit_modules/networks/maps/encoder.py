"""A perceptron that reads the statistics of a whole map."""

import torch
from torch import Tensor, nn

from lit_modules.networks.maps.settings import EncoderSettings
from lit_modules.networks.maps.statistics import LENGTH

LEAST_STD = 1e-4  # of a statistic: one that never varied in training is not blown up
BOUND = 5.0  # standard deviations beyond which a statistic is cut


class MapEncoder(nn.Sequential):
    """Features of maps from their ``map_statistics``, (B, ``LENGTH``) -> (B, settings.features).

    What a distant, an old or a massive cluster changes is the flux of its giants, their number and the fall of its
    light. Convolutions learn this slowly, as they see patches and not the whole. The width of the PSF, the noise and
    the light in the field are statistics too. Layer normalisation (Ba et al. 2016, arXiv 1607.06450) knows no batch:
    any number of processes trains alike.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__(
            Standardise(LENGTH),
            nn.Linear(LENGTH, settings.units),
            nn.LayerNorm(settings.units),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.units, settings.features),
            nn.LayerNorm(settings.features),
            nn.GELU(),
        )

    def forward(self, statistics: Tensor) -> Tensor:  # type: ignore[override]
        """The features, never in half precision."""
        with torch.autocast(statistics.device.type, enabled=False):
            return super().forward(statistics)

    def fit(self, statistics: Tensor) -> None:
        """Take mean and standard deviation of the statistics of training maps, (..., ``LENGTH``)."""
        self[0].fit(statistics)  # type: ignore[operator]


class Standardise(nn.Module):
    """(x - mean) / std, cut at ±``BOUND``, by the buffers ``mean`` and ``std``."""

    mean: Tensor
    std: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("std", torch.ones(length))

    def forward(self, x: Tensor) -> Tensor:
        """Standardised rows (B, length)."""
        return ((x.to(self.mean.dtype) - self.mean) / self.std).clamp(-BOUND, BOUND)

    def fit(self, x: Tensor) -> None:
        """Take mean and standard deviation of rows (..., length)."""
        std, mean = torch.std_mean(x.double().flatten(0, -2), 0, correction=0)
        self.mean, self.std = mean.to(self.mean), std.clamp_min(LEAST_STD).to(self.std)
