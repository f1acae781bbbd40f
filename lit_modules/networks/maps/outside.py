"""How far the statistics of a map lie from those that a network was trained on."""

import torch
from torch import Tensor, nn

from lit_modules.networks.maps.encoder import LEAST_STD

GROUPS = 5  # of noisy maps, from the least noise to the most; clean maps are a group of their own
SHRINKAGE = 0.001  # of the covariances towards a sphere: what hardly varied in training does not count for all
INSIDE = 0.98  # share of the calibration maps within the threshold


class TrainingSpace(nn.Module):
    """Mahalanobis distance of statistics from the training maps of like noise, over that of 98 % of calibration maps.

    d² = (z - m) (0.999 C + 0.001 tr(C)/N 1)⁻¹ (z - m)ᵀ, where z are standardised statistics, and m and C mean and
    covariance of the group of training maps with about that noise, C shrunk (Ledoit & Wolf 2004). One Gaussian of all
    would be as wide as the noisiest maps are, and miss what is odd on a clean one. Until it is fitted nothing is
    outside.

    Args:
        length: N, of the statistics, the last of which is log10 of the noise.
    """

    location: Tensor
    scale: Tensor
    edges: Tensor
    mean: Tensor
    whitening: Tensor
    threshold: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.register_buffer("location", torch.zeros(length))
        self.register_buffer("scale", torch.ones(length))
        self.register_buffer("edges", torch.zeros(GROUPS))
        self.register_buffer("mean", torch.zeros(GROUPS + 1, length))
        self.register_buffer("whitening", torch.zeros(GROUPS + 1, length, length))
        self.register_buffer("threshold", torch.tensor(1.0))

    @torch.no_grad()
    def fit(self, train: Tensor, calibration: Tensor) -> None:
        """Take the groups from training maps, (n, N), and the threshold from calibration maps, (m, N)."""
        train = train.double()
        std, mean = torch.std_mean(train, 0, correction=0)
        self.location, self.scale = mean.to(self.location), std.clamp_min(LEAST_STD).to(self.scale)
        self.edges = noise_edges(train[:, -1]).to(self.edges)
        z, group = self._standardised(train), self._group(train)
        for number in range(GROUPS + 1):
            like = z[group == number]
            like = like if len(like) > 1 else z  # a small scale has groups of none
            self.mean[number] = like.mean(0)
            self.whitening[number] = whitening(like)
        self.threshold = self._distance(calibration).quantile(INSIDE)

    def forward(self, statistics: Tensor) -> Tensor:
        """Distances (B,) of statistics (B, N) in units of the threshold: beyond 1 is outside."""
        return self._distance(statistics) / self.threshold

    def _standardised(self, statistics: Tensor) -> Tensor:
        return (statistics - self.location) / self.scale

    def _group(self, statistics: Tensor) -> Tensor:
        return torch.bucketize(statistics[:, -1].to(self.edges).contiguous(), self.edges)

    def _distance(self, statistics: Tensor) -> Tensor:
        z, group = self._standardised(statistics.to(self.mean)), self._group(statistics)
        distance = z.new_zeros(len(z))
        for number in group.unique():
            like = group == number
            white = (z[like] - self.mean[number]) @ self.whitening[number]
            distance[like] = torch.linalg.vector_norm(white, dim=-1)
        return distance


def noise_edges(log_noise: Tensor) -> Tensor:
    """Between clean maps (n,), which have the least log10 noise, and ``GROUPS`` groups of as many noisy ones each."""
    noisy = log_noise[log_noise > log_noise.min()]
    if len(noisy) == 0:
        return log_noise.new_full((GROUPS,), torch.inf)
    first = (log_noise.min() + noisy.min()) / 2
    shares = torch.arange(1, GROUPS, dtype=noisy.dtype, device=noisy.device) / GROUPS
    return torch.cat([first[None], noisy.quantile(shares)])


def whitening(rows: Tensor) -> Tensor:
    """W (N, N), W Wᵀ the inverse of the shrunk covariance of rows (n, N)."""
    covariance = rows.mT.cov(correction=0)
    sphere = covariance.diagonal().mean().clamp_min(LEAST_STD) * torch.eye(len(covariance)).to(covariance)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * sphere
    return torch.linalg.inv(torch.linalg.cholesky(shrunk)).mT
