"""Distance and age of a cluster from the statistics of its flux map."""

import torch
from torch import Tensor, nn

from lit_modules.networks.maps.encoder import MapEncoder
from lit_modules.networks.maps.gaussian import Gaussian, GaussianHead
from lit_modules.networks.pidoc.settings import AgeDistanceSettings

LOG_DISTANCE = (-2.0, 4.0)  # log10 D/kpc of any answer: none overflows


class Targets(nn.Module):
    """Distance and age, (B, 2), as a network sees them: of mean 0 and standard deviation 1.

    Args:
        log_distance: log10 D/kpc and age, each by its own mean and standard deviation; False: D in kpc and age in
            Gyr by those of both together, as published, where distance outweighs age.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, log_distance: bool) -> None:
        super().__init__()
        self.log_distance = log_distance
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("std", torch.ones(2))

    def fit(self, distance: Tensor, age: Tensor) -> None:
        """Take mean and standard deviation of the training maps."""
        y = self._stacked(distance, age).double()
        over = (0,) if self.log_distance else (0, 1)
        self.mean = y.mean(over).to(self.mean).expand(2).clone()
        std = y.std(over, correction=0)
        std = std.where(std > 1e-9, 1.0)  # training maps of one age or one distance: nothing to scale by
        self.std = std.to(self.std).expand(2).clone()

    def scale(self, distance: Tensor, age: Tensor) -> Tensor:
        """From kpc and Gyr, (B,) each, to (B, 2)."""
        return (self._stacked(distance, age) - self.mean) / self.std

    def unscale(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Distance in kpc and age in Gyr of targets (..., 2): the inverse of ``scale``."""
        first, age = (targets * self.std + self.mean).unbind(-1)
        return (10.0 ** first.clamp(*LOG_DISTANCE) if self.log_distance else first), age

    def _stacked(self, distance: Tensor, age: Tensor) -> Tensor:
        return torch.stack([distance.log10() if self.log_distance else distance, age], -1)


class StatisticsReader(nn.Module):
    """Gaussians of distance and age, scaled, from the statistics of maps: a perceptron.

    It sees what the whole picture says; convolutions beside it found nothing more in the time of the chain.
    """

    inputs = ("statistics",)

    def __init__(self, settings: AgeDistanceSettings) -> None:
        super().__init__()
        self.encoder = MapEncoder(settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = GaussianHead(settings.features, 2)
        self.targets = Targets(log_distance=True)

    def forward(self, statistics: Tensor) -> Gaussian:
        """(B, N) -> Gaussians (B, 2) of the scaled ``Targets``."""
        return self.head(self.dropout(self.encoder(statistics)))
