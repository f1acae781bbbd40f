"""How far the statistics of a map lie from those that a network was trained on."""

import torch
from torch import Tensor, nn

from lit_modules.networks.maps.encoder import LEAST_STD

SHRINKAGE = 0.01  # of the correlations towards none: what hardly varied in training does not count for all
INSIDE = 0.99  # share of the calibration maps within the threshold


class TrainingSpace(nn.Module):
    """Mahalanobis distance of statistics from the mean of the training maps, over that of 99 % of calibration maps.

    d² = z (0.99 R + 0.01 1)⁻¹ zᵀ, where z are standardised statistics and R their correlations: the covariance shrunk
    to its diagonal (Ledoit & Wolf 2004). Until it is fitted nothing is outside.

    Args:
        length: N, of the statistics.
    """

    mean: Tensor
    whitening: Tensor
    threshold: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("whitening", torch.zeros(length, length))
        self.register_buffer("threshold", torch.tensor(1.0))

    @torch.no_grad()
    def fit(self, train: Tensor, calibration: Tensor) -> None:
        """Take mean and covariance of training maps, (n, N), and the threshold of calibration maps, (m, N)."""
        train = train.double()
        std, mean = torch.std_mean(train, 0, correction=0)
        std = std.clamp_min(LEAST_STD)
        z = (train - mean) / std
        correlation = z.mT @ z / len(z)
        shrunk = (1 - SHRINKAGE) * correlation + SHRINKAGE * torch.eye(len(std), dtype=std.dtype)
        inverse_root = torch.linalg.inv(torch.linalg.cholesky(shrunk)).mT
        self.mean, self.whitening = mean.to(self.mean), (inverse_root / std[:, None]).to(self.whitening)
        self.threshold = self._distance(calibration.to(self.mean)).quantile(INSIDE)

    def forward(self, statistics: Tensor) -> Tensor:
        """Distances (B,) of statistics (B, N) in units of the threshold: beyond 1 is outside."""
        return self._distance(statistics.to(self.mean)) / self.threshold

    def _distance(self, statistics: Tensor) -> Tensor:
        return torch.linalg.vector_norm((statistics - self.mean) @ self.whitening, dim=-1)
