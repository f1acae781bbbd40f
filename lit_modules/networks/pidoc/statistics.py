"""Statistics of a whole flux map: how its light falls off, clumps, and peaks with and without the seeing."""

import math

import torch
from torch import Tensor, nn

PSF_SIGMA = 4.0  # pixels, of the maps (pipeline.observation: 1 arcsec)
SHARPER = 0.5  # width of the PSF after sharpening over that before
NOISE = 1e-5  # ε of the sharpening
RING = 4.0  # width of a ring around the centre of light, pixels
RINGS = 20  # the last takes what lies further out
LIGHT_RADII = (0.1, 0.25, 0.5, 0.75, 0.9)  # shares of the root of the light
FREQUENCY, FREQUENCIES = 0.0126, 12  # width of a band of the power spectrum, cycles per pixel, and their number
RANKS = (1, 2, 3, 5, 10, 20, 30, 50, 75, 100, 150)  # of peaks, from the brightest
PEAKS = 600  # at most
LIMITS = (-7.0, -1.25, 24)  # log10 F/(Lsun kpc⁻²) above which peaks are counted: first, last and number
FAINT = 1e-9  # Lsun kpc⁻²: no logarithm of less
LENGTH = 3 * RINGS + len(LIGHT_RADII) + FREQUENCIES + 2 * (len(RANKS) + LIMITS[2] + 3)


class StatisticsReader(nn.Sequential):
    """Perceptron on the statistics of log10 flux maps, (B, 1, H, W) -> (B, features), in float32.

    What a distant, an old or a massive cluster changes is the flux of its giants, their number and
    the fall of its light. Convolutions learn this slowly, as they see patches and not the whole.
    """

    def __init__(self, features: int) -> None:
        super().__init__(
            nn.BatchNorm1d(LENGTH, affine=False),
            nn.Hardtanh(-5.0, 5.0),
            nn.Linear(LENGTH, 512),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(512, features),
            nn.GELU(),
        )

    def forward(self, log_flux: Tensor) -> Tensor:
        """Features of maps of log10 F/(Lsun kpc⁻²)."""
        with torch.autocast(log_flux.device.type, enabled=False):
            return super().forward(map_statistics(log_flux[:, 0]))


@torch.no_grad()
def map_statistics(log_flux: Tensor) -> Tensor:
    """All statistics of maps (B, H, W), (B, ``LENGTH``); no mirror or quarter turn changes them."""
    log_flux = log_flux.half().float()  # as maps are stored: sharpening sees the rounding
    flux = torch.pow(10.0, log_flux)
    transform = torch.fft.fft2(flux)
    y, x = (torch.fft.fftfreq(n, device=flux.device) for n in flux.shape[1:])
    frequency = torch.hypot(y[:, None], x)
    sharp = torch.fft.ifft2(transform * sharpening(frequency)).real
    spots = [statistic(image) for image in (flux, sharp) for statistic in (peaks, light_moments)]
    return torch.cat([profile(log_flux, flux), power_spectrum(transform, frequency), *spots], 1)


def sharpening(frequency: Tensor) -> Tensor:
    """Filter of Wiener (1949), G H / (G² + ε), from a Gaussian PSF G to a narrower one H; cycles per pixel."""
    exponent = -2 * (math.pi * PSF_SIGMA * frequency) ** 2
    blurred = exponent.exp()
    return blurred * (SHARPER**2 * exponent).exp() / (blurred**2 + NOISE)


def profile(log_flux: Tensor, flux: Tensor) -> Tensor:
    """Mean and scatter of log10 flux and log10 of the mean flux in rings; log10 of radii that hold shares of light.

    Shares and the centre are those of the root of the light, because a few giants hold most light.
    """
    weight = flux.sqrt()
    weight = weight / weight.sum((1, 2), keepdim=True)
    y, x = (torch.arange(n, device=flux.device, dtype=flux.dtype) for n in flux.shape[1:])
    centre_y, centre_x = weight.sum(2) @ y, weight.sum(1) @ x
    radius = torch.hypot(y[:, None] - centre_y[:, None, None], x - centre_x[:, None, None])
    ring = (radius / RING).long().clamp_max(RINGS - 1).flatten(1)
    values = torch.stack([torch.ones_like(flux), log_flux, log_flux**2, flux, weight], 1).flatten(2)
    sums = values.new_zeros(*values.shape[:2], RINGS).scatter_add_(2, ring[:, None].expand_as(values), values)
    count, first, second, light, share = sums.unbind(1)
    count = count.clamp_min(1)
    scatter = (second / count - (first / count) ** 2).clamp_min(0).sqrt()
    rings = torch.cat([first / count, scatter, (light / count).clamp_min(FAINT).log10()], 1)
    return torch.cat([rings, light_radii(share.cumsum(1))], 1)


def light_radii(within: Tensor) -> Tensor:
    """log10 of the radii in pixels that hold the shares, interpolated in those within each ring (B, rings)."""
    shares = within.new_tensor(LIGHT_RADII).expand(len(within), -1)
    ring = torch.searchsorted(within, shares.contiguous()).clamp_max(RINGS - 1)
    curve = torch.cat([torch.zeros_like(within[:, :1]), within], 1)
    low, high = curve.gather(1, ring), curve.gather(1, ring + 1)
    return (RING * (ring + (shares - low) / (high - low).clamp_min(1e-9)) + 1).log10()


def power_spectrum(transform: Tensor, frequency: Tensor) -> Tensor:
    """log10 of the mean power in bands of frequency over that of the mean flux, (B, bands)."""
    power = transform.abs().square().flatten(1)
    bands = (frequency / FREQUENCY).long().flatten()
    band = (bands == torch.arange(FREQUENCIES, device=bands.device)[:, None]) & (frequency.flatten() > 0)
    mean = power @ (band / band.sum(1, keepdim=True)).to(power.dtype).mT
    return (mean / power[:, :1]).clamp_min(1e-15).log10()


def peaks(flux: Tensor) -> Tensor:
    """log10 fluxes of peaks by rank, roots of their numbers above each limit and of all, (B, ranks + limits + 1)."""
    highest = flux
    for axis in (1, 2, 1, 2):  # twice three pixels are five
        highest = torch.maximum(highest, torch.maximum(highest.roll(1, axis), highest.roll(-1, axis)))
    peak = torch.where(flux == highest, flux, FAINT).flatten(1).topk(PEAKS).values.clamp_min(FAINT).log10()
    limits = torch.linspace(*LIMITS, device=flux.device).expand(len(peak), -1)
    counts = torch.searchsorted(-peak, -limits.contiguous())
    counts = torch.cat([counts, (peak > math.log10(FAINT)).sum(1, keepdim=True)], 1).to(flux.dtype).sqrt()
    return torch.cat([peak[:, [rank - 1 for rank in RANKS]], counts], 1)


def light_moments(flux: Tensor) -> Tensor:
    """log10 of ΣF²/ΣF and of ΣF³/ΣF², (B, 2): how much of the light is in few bright spots."""
    light = flux.clamp_min(0)
    sums = torch.stack([light.sum((1, 2)), light.square().sum((1, 2)), light.pow(3).sum((1, 2))], 1)
    return (sums[:, 1:] / sums[:, :-1]).clamp_min(FAINT).log10()
