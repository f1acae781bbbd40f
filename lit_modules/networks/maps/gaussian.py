"""What networks say of a number: a normal distribution."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LOG_VARIANCE = (-12.0, 6.0)  # of standardised targets: keeps the exponential finite


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions N(μ, σ²), both tensors of the shape of what they describe."""

    mean: Tensor
    sigma: Tensor

    @classmethod
    def of(cls, mean: Tensor, log_variance: Tensor) -> "Gaussian":
        """From μ and ln σ² as a network states them, in float32."""
        return cls(mean.float(), torch.exp(0.5 * log_variance.float().clamp(*LOG_VARIANCE)))

    @classmethod
    def unit(cls, mean: Tensor) -> "Gaussian":
        """With σ = 1: its likelihood is the squared error."""
        return cls(mean.float(), torch.ones_like(mean, dtype=torch.float32))

    def scaled(self, mean: Tensor, std: Tensor) -> "Gaussian":
        """That of m + s x, if this one is that of x."""
        return Gaussian(mean + std * self.mean, std * self.sigma)

    def widened(self, factor: Tensor) -> "Gaussian":
        """With σ times a factor."""
        return Gaussian(self.mean, factor * self.sigma)

    def z(self, value: Tensor) -> Tensor:
        """(x - μ) / σ of values x."""
        return (value - self.mean) / self.sigma

    def __getitem__(self, index: object) -> "Gaussian":
        """Those that an index picks."""
        return Gaussian(self.mean[index], self.sigma[index])  # type: ignore[index]


class GaussianHead(nn.Module):
    """Linear map of features (B, n_in) to Gaussians of standardised targets (B, n_out).

    A fresh head states the spread of its targets: σ = 1.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.mean = nn.Linear(n_in, n_out)
        self.log_variance = nn.Linear(n_in, n_out)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.zeros_(self.log_variance.bias)

    def forward(self, x: Tensor) -> Gaussian:
        """Gaussians of the targets."""
        return Gaussian.of(self.mean(x), self.log_variance(x))


def calibration(z: Tensor, inside: float = 0.6827) -> Tensor:
    """The factor by which σ must be multiplied so that the share ``inside`` of the truths lies within 1 σ.

    Args:
        z: (x - μ) / σ of truths x that the network was not trained on; as flat as it comes.
        inside: share of a normal distribution within 1 σ.
    """
    z = z.abs().flatten()
    return z.kthvalue(max(1, round(inside * len(z)))).values
