"""The convolutional encoder-decoder of π-DOC: a cluster's flux map in, its mass map out."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_modules.networks.maps.gaussian import Gaussian
from lit_modules.networks.pidoc.mass_map import MassMap, log_sum
from lit_modules.networks.pidoc.settings import MassSettings

CHANNELS = (32, 64, 128, 128)  # of the four levels, at width 1
DROPOUT = 10**-2.5


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
    level. 16 convolutions, 2 179 681 trainable weights at width 1. It states no uncertainty: every σ is that of all
    training maps.

    The buffers are mean and standard deviation of log10 flux and log10 mass of all training pixels and of the log10
    of the mass in the field.
    """

    inputs = ("flux",)
    flux_mean: Tensor
    flux_std: Tensor
    mass_mean: Tensor
    mass_std: Tensor
    field_mean: Tensor
    field_std: Tensor

    def __init__(self, settings: MassSettings) -> None:
        super().__init__()
        channels = [max(1, round(settings.width * c)) for c in CHANNELS]
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
        self.out = nn.Conv2d(below + channels[0], 1, 3, padding=1)
        self.apply(glorot)
        for name in ("flux", "mass", "field"):
            self.register_buffer(f"{name}_mean", torch.tensor(0.0))
            self.register_buffer(f"{name}_std", torch.tensor(1.0))

    def forward(self, flux: Tensor) -> MassMap:
        """Map log10 F/(Lsun kpc⁻²), (B, 1, H, W), to log10 M/Msun of pixels and field."""
        x = (flux - self.flux_mean) / self.flux_std
        skips = []
        for first, second in zip(self.down[::2], self.down[1::2], strict=True):
            a = first(x)
            skips.append((a, x))
            b = second(a)
            x = torch.cat([F.max_pool2d(b, 2), F.max_pool2d(a, 2)], 1)
        x = self.bottleneck(x)
        for first, second in zip(self.up[::2], self.up[1::2], strict=True):
            a, entered = skips.pop()
            x = first(torch.cat([F.interpolate(x, scale_factor=2.0), a], 1))
            x = second(torch.cat([x, entered], 1))
        a, _ = skips.pop()
        x = self.out(torch.cat([F.interpolate(x, scale_factor=2.0), a], 1))
        pixels = Gaussian.unit(x).scaled(self.mass_mean, self.mass_std)
        field = log_sum(pixels.mean)
        return MassMap(pixels, Gaussian(field, self.field_std.expand_as(field)))


def glorot(layer: nn.Module) -> None:
    """Draw a layer's weights as Keras does (Glorot & Bengio 2010), with zero biases."""
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.get_parameter("bias"))
