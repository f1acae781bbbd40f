"""A perceptron that reads the statistics of a whole map."""

import torch
from torch import Tensor, nn

from lit_modules.networks.pidoc.gaussian import Gaussian
from lit_modules.networks.pidoc.statistics import LENGTH

LEAST_STD = 1e-4  # of a statistic: one that never varied in training is not blown up
BOUND = 5.0  # standard deviations beyond which a statistic is cut


class StatisticsEncoder(nn.Sequential):
    """Features of maps from their ``map_statistics``, (B, ``LENGTH``) -> (B, features).

    What a distant, an old or a massive cluster changes is the flux of its giants, their number and the fall of its
    light. Convolutions learn this slowly, as they see patches and not the whole.

    Args:
        units: width of the hidden layer.
        features: length of the result.
        dropout: of the hidden layer.
    """

    def __init__(self, units: int, features: int, dropout: float) -> None:
        super().__init__(
            Standardise(LENGTH),
            nn.Linear(LENGTH, units),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(units, features),
            nn.GELU(),
        )

    def forward(self, statistics: Tensor) -> Tensor:  # type: ignore[override]
        """The features, never in half precision."""
        with torch.autocast(statistics.device.type, enabled=False):
            return super().forward(statistics)

    def fit(self, statistics: Tensor) -> None:
        """Take mean and standard deviation of the statistics of training maps."""
        self[0].fit(statistics)  # type: ignore[operator]


class Standardise(nn.Module):
    """(x - mean) / std, cut at ±``BOUND``, by the buffers ``mean`` and ``std`` of length ``features``."""

    mean: Tensor
    std: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        """Standardised rows (B, features)."""
        return ((x.to(self.mean.dtype) - self.mean) / self.std).clamp(-BOUND, BOUND)

    def fit(self, x: Tensor) -> None:
        """Take mean and standard deviation of rows (n, features)."""
        std, mean = torch.std_mean(x.double(), 0, correction=0)
        self.mean, self.std = mean.to(self.mean), std.clamp_min(LEAST_STD).to(self.std)


class GaussianHead(nn.Module):
    """Linear map of features (B, features) to Gaussians of standardised targets (B, targets).

    A fresh head states the spread of its targets: σ = 1.
    """

    def __init__(self, features: int, targets: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, targets)
        self.log_variance = nn.Linear(features, targets)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.zeros_(self.log_variance.bias)

    def forward(self, x: Tensor) -> Gaussian:
        """Gaussians of the targets."""
        return Gaussian.of(self.mean(x), self.log_variance(x))
