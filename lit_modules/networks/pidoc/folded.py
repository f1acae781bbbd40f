"""The mass map of a cluster by a U-Net on folded maps, modulated by the statistics of the whole map."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_modules.networks.maps.encoder import MapEncoder
from lit_modules.networks.maps.gaussian import Gaussian, GaussianHead
from lit_modules.networks.pidoc.mass_map import MassMap, log_sum
from lit_modules.networks.pidoc.settings import MassSettings

FOLD = 4  # pixels of a side of a block that becomes one: the PSF's σ, so that a block holds little beyond its mean
CHANNELS = (32, 64, 128)  # of the levels at width 1
GROUPS = 8  # of channels that are normalised together


class ModulatedBlock(nn.Module):
    """ReLU((1 + γ(e)) N(w * x) + β(e)): a convolution w, group normalisation N, and the features e of the whole map.

    γ and β are linear in e (FiLM, Perez et al. 2018, arXiv 1709.07871, eq. 2) and zero at first. Group normalisation
    (Wu & He 2018, arXiv 1803.08494) knows no batch, so that training and evaluation are the same function.

    Args:
        c_in, c_out: channels before and after; ``c_out`` a multiple of ``GROUPS``.
        c_e: length of e.
    """

    def __init__(self, c_in: int, c_out: int, c_e: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, c_out, affine=False)
        self.film = nn.Linear(c_e, 2 * c_out)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """(B, c_in, H, W) and (B, c_e) -> (B, c_out, H, W)."""
        gamma, beta = self.film(e)[:, :, None, None].chunk(2, 1)
        return F.relu((1 + gamma) * self.norm(self.conv(x)) + beta)


class Level(nn.Module):
    """Two modulated blocks, ``c_in`` channels to ``c_out``."""

    def __init__(self, c_in: int, c_out: int, c_e: int) -> None:
        super().__init__()
        self.first = ModulatedBlock(c_in, c_out, c_e)
        self.second = ModulatedBlock(c_out, c_out, c_e)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """(B, c_in, H, W) and (B, c_e) -> (B, c_out, H, W)."""
        return self.second(self.first(x, e), e)


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) of two modulated blocks a level, each way.

    Args:
        c_in, c_out: channels that enter and leave.
        channels: of the levels, from the finest.
        c_e: number of features that modulate the blocks.
    """

    def __init__(self, c_in: int, channels: list[int], c_out: int, c_e: int) -> None:
        super().__init__()
        entering = [c_in, *channels[:-1]]
        joined = [c + below for c, below in pairwise(channels)]
        self.down = nn.ModuleList(Level(*c, c_e) for c in zip(entering, channels, strict=True))
        self.up = nn.ModuleList(Level(*c, c_e) for c in zip(joined[::-1], channels[-2::-1], strict=True))
        self.out = nn.Conv2d(channels[0], c_out, 1)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """(B, c_in, H, W) and (B, c_e) -> (B, c_out, H, W)."""
        skips = []
        for level in self.down[:-1]:
            x = level(x, e)
            skips.append(x)
            x = F.avg_pool2d(x, 2)
        x = self.down[-1](x, e)
        for level in self.up:
            x = torch.cat([F.interpolate(x, scale_factor=2.0), skips.pop()], 1)
            x = level(x, e)
        return self.out(x)


class FoldedUNet(nn.Module):
    """Mass map of a log10 flux map: the mass M in the field, read off the statistics, times each pixel's share of it.

    log10 m_ij = log10 M + a_ij - log10 Σ_kl 10^(a_kl), where a is the output of a U-Net on the map, whose blocks of
    ``FOLD`` x ``FOLD`` pixels are folded into channels (Shi et al. 2016, arXiv 1609.05158): a sixteenth of the
    positions, and nothing lost. Distance and age scale the whole mass map, and no pixel's surroundings tell them as
    well as the whole picture does. Each pixel has a variance of its own, and so has M.

    The buffers are mean and standard deviation of log10 flux and log10 mass of all training pixels and of log10 M.
    """

    inputs = ("flux", "statistics")
    flux_mean: Tensor
    flux_std: Tensor
    mass_mean: Tensor
    mass_std: Tensor
    field_mean: Tensor
    field_std: Tensor

    def __init__(self, settings: MassSettings) -> None:
        super().__init__()
        channels = [GROUPS * max(1, round(settings.width * c / GROUPS)) for c in CHANNELS]
        self.field_encoder = MapEncoder(settings)
        self.field_head = GaussianHead(settings.features, 1)
        self.map_encoder = MapEncoder(settings)
        self.unet = UNet(FOLD**2, channels, 2 * FOLD**2, settings.features)
        nn.init.zeros_(self.unet.out.weight[FOLD**2 :])  # a fresh network states the spread of its targets
        nn.init.zeros_(self.unet.out.get_parameter("bias"))
        for name in ("flux", "mass", "field"):
            self.register_buffer(f"{name}_mean", torch.tensor(0.0))
            self.register_buffer(f"{name}_std", torch.tensor(1.0))

    def forward(self, flux: Tensor, statistics: Tensor) -> MassMap:
        """The masses of maps.

        Args:
            flux: log10 F/(Lsun kpc⁻²), (B, 1, H, W), sides multiples of 16.
            statistics: of these maps, and of further ones whose fields alone are asked for, (P, N), P ≥ B.
        """
        field = self.field_head(self.field_encoder(statistics))[:, 0].scaled(self.field_mean, self.field_std)
        e = self.map_encoder(statistics[: len(flux)])
        x = F.pixel_unshuffle((flux - self.flux_mean) / self.flux_std, FOLD)
        out = F.pixel_shuffle(self.unet(x, e), FOLD)
        a = Gaussian.of(out[:, :1], out[:, 1:]).scaled(self.mass_mean, self.mass_std)
        log_field = field.mean[: len(flux)].detach()  # it learns from fields: there are many more than mass maps
        log_mass = a.mean + (log_field - log_sum(a.mean))[:, None, None, None]
        return MassMap(Gaussian(log_mass, a.sigma), field)
