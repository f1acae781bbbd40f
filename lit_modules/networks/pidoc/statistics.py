"""Statistics of a whole flux map: how its light falls off and clumps, with and without the seeing."""

import math

import torch
from torch import Tensor, nn

PSF_SIGMA = 4.0  # pixels, of the maps (pipeline.inputs.observation: 1 arcsec)
SHARPER = 0.5  # width of the PSF after sharpening over that before
NOISE = 1e-5  # ε of the sharpening
RING = 4.0  # width of a ring around the centre of light, pixels
RINGS = 20  # the last takes what lies further out
LIGHT_RADII = (0.1, 0.25, 0.5, 0.75, 0.9)  # shares of the root of the light
FREQUENCY, FREQUENCIES = 0.0126, 12  # width of a band of the power spectrum, cycles per pixel, and their number
RANKS = (1, 2, 3, 5, 10, 20, 30, 50, 75, 100, 150)  # of peaks, from the brightest
PEAKS = 600  # at most
PEAK_LIMITS = (-7.0, -1.25, 24)  # log10 F/(Lsun kpc⁻²) above which peaks are counted: first, last and number
ZONES = (12.0, 25.0, 45.0, 75.0)  # outer radii of zones around the centre of light, pixels
FLUX_LIMITS = (-7.6, -1.4, 17)  # log10 F/(Lsun kpc⁻²) above which a zone's sharpened pixels are counted
CURVATURE_LIMITS = (-0.07, 0.07, 16)  # per pixel², above which its curvatures are: that of a lone star is -1/8
SMOOTHING = 2.0  # pixels, of the curvature
FAINT = 1e-9  # Lsun kpc⁻²: no logarithm of less
LENGTH = (
    3 * RINGS + len(LIGHT_RADII) + FREQUENCIES + len(RANKS) + PEAK_LIMITS[2] + 3
    + len(ZONES) * (FLUX_LIMITS[2] + CURVATURE_LIMITS[2])
)  # fmt: skip
UNITS = 768
DROPOUT = 0.15
LEAST = 1e-4  # deviation of a statistic by which it is divided


class StatisticsPerceptron(nn.Module):
    """Perceptron on ``map_statistics``, (B, ``LENGTH``) -> (B, outputs), never in half precision.

    What a distant, an old or a massive cluster changes is the flux of its giants, their number and
    the fall of its light. Convolutions learn this slowly, as they see patches and not the whole.
    The buffers ``mean`` and ``std`` are those of the training maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(LENGTH))
        self.register_buffer("std", torch.ones(LENGTH))
        self.hidden = nn.Sequential(
            nn.Hardtanh(-5.0, 5.0),
            nn.Linear(LENGTH, UNITS),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(UNITS, 128),
            nn.GELU(),
        )
        self.out = nn.Linear(128, outputs)

    def forward(self, statistics: Tensor) -> Tensor:
        """Outputs for the statistics of maps."""
        with torch.autocast(statistics.device.type, enabled=False):
            return self.out(self.hidden((statistics.to(self.mean.dtype) - self.mean) / self.std))

    def fit(self, statistics: Tensor) -> None:
        """Set ``mean`` and ``std`` to those of maps."""
        std, mean = torch.std_mean(statistics.double(), 0, correction=0)
        self.mean, self.std = mean.to(self.mean), std.clamp_min(LEAST).to(self.std)


@torch.no_grad()
def map_statistics(log_flux: Tensor) -> Tensor:
    """All statistics of maps of log10 F/(Lsun kpc⁻²), (B, H, W) -> (B, ``LENGTH``); no view of a map changes them."""
    log_flux = log_flux.half().to(log_flux.dtype)  # as maps are stored: sharpening sees the rounding
    flux = torch.pow(10.0, log_flux)
    transform = torch.fft.rfft2(flux)
    frequency = frequencies(flux)
    sharp = torch.fft.irfft2(transform * sharpening(frequency), s=flux.shape[1:])
    radius, share = radii(flux)
    zone = torch.bucketize(radius, flux.new_tensor(ZONES))
    parts = [
        profile(log_flux, flux, radius, share),
        power_spectrum(transform, frequency),
        peaks(sharp),
        light_moments(sharp),
        shares_above(sharp.clamp_min(FAINT).log10(), zone, FLUX_LIMITS),
        shares_above(curvature(log_flux, frequency), zone, CURVATURE_LIMITS),
    ]
    return torch.cat(parts, 1)


def frequencies(image: Tensor) -> Tensor:
    """Cycles per pixel of the half plane that torch.fft.rfft2 keeps of images (..., H, W)."""
    height, width = image.shape[-2:]
    y = torch.fft.fftfreq(height, dtype=image.dtype, device=image.device)
    return torch.hypot(y[:, None], torch.fft.rfftfreq(width, dtype=image.dtype, device=image.device))


def sharpening(frequency: Tensor) -> Tensor:
    """Filter of Wiener (1949), G H / (G² + ε), from a Gaussian PSF G to a narrower one H; cycles per pixel."""
    exponent = -2 * (math.pi * PSF_SIGMA * frequency) ** 2
    blurred = exponent.exp()
    return blurred * (SHARPER**2 * exponent).exp() / (blurred**2 + NOISE)


def curvature(log_flux: Tensor, frequency: Tensor) -> Tensor:
    """Laplacian of the natural logarithm of the flux, smoothed by a Gaussian; per pixel².

    For a lone star under a Gaussian PSF it is -2/σ². Where stars overlap, their variance on the sky, weighted by
    the flux each adds, over σ⁴ comes on top: it tells few bright stars from many faint ones.
    """
    wave = 2 * math.pi * frequency
    smoothed = -(wave**2) * torch.exp(-0.5 * (SMOOTHING * wave) ** 2) * math.log(10.0)
    return torch.fft.irfft2(torch.fft.rfft2(log_flux) * smoothed, s=log_flux.shape[1:])


def radii(flux: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of each pixel from the centre of light, and its share of the light, both (B, H, W).

    Both are of the root of the light, because a few giants hold most light.
    """
    share = flux.sqrt()
    share = share / share.sum((1, 2), keepdim=True)
    y, x = (torch.arange(n, device=flux.device, dtype=flux.dtype) for n in flux.shape[1:])
    centre_y, centre_x = share.sum(2) @ y, share.sum(1) @ x
    return torch.hypot((y - centre_y[:, None])[:, :, None], (x - centre_x[:, None])[:, None]), share


def profile(log_flux: Tensor, flux: Tensor, radius: Tensor, share: Tensor) -> Tensor:
    """Mean and scatter of log10 flux and log10 of the mean flux in rings; log10 of radii that hold shares of light."""
    ring = (radius / RING).long().clamp_max(RINGS - 1).flatten(1)
    values = torch.stack([torch.ones_like(flux), log_flux, log_flux**2, flux, share], 1).flatten(2)
    sums = values.new_zeros(*values.shape[:2], RINGS).scatter_add_(2, ring[:, None].expand_as(values), values)
    count, first, second, light, within = sums.unbind(1)
    count = count.clamp_min(1)
    scatter = (second / count - (first / count) ** 2).clamp_min(0).sqrt()
    rings = torch.cat([first / count, scatter, (light / count).clamp_min(FAINT).log10()], 1)
    return torch.cat([rings, light_radii(within.cumsum(1))], 1)


def shares_above(values: Tensor, zone: Tensor, limits: tuple[float, float, int]) -> Tensor:
    """Roots of the shares of each zone's pixels (B, H, W) whose value exceeds limits, (B, zones * limits)."""
    first, last, number = limits
    step = (last - first) / (number - 1)
    rank = ((values - first) / step + 1).floor().clamp(0, number).long()  # limits that the value exceeds
    bins = (zone * (number + 1) + rank).flatten(1)
    counts = values.new_zeros(len(values), (len(ZONES) + 1) * (number + 1))
    counts = counts.scatter_add_(1, bins, values.new_ones(1).expand_as(bins)).unflatten(1, (-1, number + 1))
    above = counts[:, :-1].flip(2).cumsum(2).flip(2)  # what lies beyond the last zone is left out
    return (above[..., 1:] / above[..., :1].clamp_min(1)).sqrt().flatten(1)


def light_radii(within: Tensor) -> Tensor:
    """log10 of the radii in pixels that hold the shares, interpolated in those within each ring (B, rings)."""
    shares = within.new_tensor(LIGHT_RADII).expand(len(within), -1)
    ring = torch.searchsorted(within, shares.contiguous()).clamp_max(RINGS - 1)
    curve = torch.cat([torch.zeros_like(within[:, :1]), within], 1)
    low, high = curve.gather(1, ring), curve.gather(1, ring + 1)
    return (RING * (ring + (shares - low) / (high - low).clamp_min(1e-9)) + 1).log10()


def power_spectrum(transform: Tensor, frequency: Tensor) -> Tensor:
    """log10 of the mean power in bands of frequency over that of the mean flux, (B, bands), from a half plane."""
    power = transform.abs().square().flatten(1)
    twice = torch.full_like(frequency, 2.0)  # for the half that is not kept
    twice[:, [0, -1]] = 1.0
    bands = (frequency / FREQUENCY).long().flatten()
    band = (bands == torch.arange(FREQUENCIES, device=bands.device)[:, None]) & (frequency.flatten() > 0)
    weight = band * twice.flatten()
    mean = power @ (weight / weight.sum(1, keepdim=True).clamp_min(1)).mT  # small maps leave bands empty
    return (mean / power[:, :1]).clamp_min(1e-15).log10()


def peaks(flux: Tensor) -> Tensor:
    """log10 fluxes of peaks by rank, roots of their numbers above each limit and of all, (B, ranks + limits + 1)."""
    highest = flux
    for axis in (1, 2, 1, 2):  # twice three pixels are five
        highest = torch.maximum(highest, torch.maximum(highest.roll(1, axis), highest.roll(-1, axis)))
    peak = torch.where(flux == highest, flux, FAINT).flatten(1).topk(PEAKS).values.clamp_min(FAINT).log10()
    limits = torch.linspace(*PEAK_LIMITS, dtype=flux.dtype, device=flux.device).expand(len(peak), -1)
    counts = torch.searchsorted(-peak, -limits.contiguous())
    counts = torch.cat([counts, (peak > math.log10(FAINT)).sum(1, keepdim=True)], 1).to(flux.dtype).sqrt()
    return torch.cat([peak[:, [rank - 1 for rank in RANKS]], counts], 1)


def light_moments(flux: Tensor) -> Tensor:
    """log10 of ΣF²/ΣF and of ΣF³/ΣF², (B, 2): how much of the light is in few bright spots."""
    light = flux.clamp_min(0)
    sums = torch.stack([light.sum((1, 2)), light.square().sum((1, 2)), light.pow(3).sum((1, 2))], 1)
    return (sums[:, 1:] / sums[:, :-1]).clamp_min(FAINT).log10()
