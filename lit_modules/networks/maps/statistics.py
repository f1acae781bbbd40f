"""Statistics of a whole flux map: how its light falls off and clumps, with and without the seeing, and how it was seen.

No symmetry of the square changes any of them. F is the flux of a pixel in Lsun kpc⁻², lengths are in pixels. All is
computed in the precision of the maps, float32 or float64.
"""

import math
from functools import reduce
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = 1e-8  # Lsun kpc⁻²: a fainter pixel is taken for empty
FAINT = 1e-9  # Lsun kpc⁻²: no logarithm of less
RING, RINGS = 4.0, 20  # width and number of the rings around the centre of light; the last takes what lies further out
RADII = (0.1, 0.25, 0.5, 0.75, 0.9)  # shares of the root of the light within a radius
BAND, BANDS = 0.0126, 12  # width, cycles per pixel, and number of the bands of the power spectrum
SHARPER, NOISE = 0.5, 1e-5  # σ of the PSF after sharpening over that before, and ε of the sharpening
RANKS = (1, 2, 3, 5, 10, 20, 30, 50, 75, 100, 150)  # of peaks, from the brightest
PEAKS = 600  # at most
ZONES = (12.0, 25.0, 45.0, 75.0)  # outer radii of zones around the centre of light
SMOOTHING = 2.0  # σ, of the curvature
LEAST_LIGHT = 1e-6  # Lsun kpc⁻² in the field: what noise leaves of an empty one may be negative


class Thresholds(NamedTuple):
    """Evenly spaced values, above which pixels or peaks are counted."""

    first: float
    last: float
    number: int

    def values(self, like: Tensor) -> Tensor:
        """The thresholds (number,) in precision and place of a tensor."""
        return torch.linspace(*self, dtype=like.dtype, device=like.device)

    def exceeded(self, x: Tensor) -> Tensor:
        """How many of the thresholds each value exceeds."""
        step = (self.last - self.first) / (self.number - 1)
        return ((x - self.first) / step + 1).floor().clamp(0, self.number).long()


PEAK_FLUX = Thresholds(-7.0, -1.25, 24)  # log10 F
ZONE_FLUX = Thresholds(-7.6, -1.4, 17)  # log10 F of sharpened pixels
ZONE_CURVATURE = Thresholds(-0.07, 0.07, 16)  # per pixel²: that of a lone star under a PSF of σ = 4 is -1/8
LENGTH = (
    3 * RINGS + len(RADII) + BANDS + len(RANKS) + PEAK_FLUX.number + 1 + 2
    + len(ZONES) * (ZONE_FLUX.number + ZONE_CURVATURE.number) + 3
)  # fmt: skip


@torch.no_grad()
def map_statistics(flux: Tensor, psf_sigma: Tensor, noise: Tensor) -> Tensor:
    """All statistics of flux maps; the last three are the light in the field and what an observer knows of the look.

    Args:
        flux: F, (B, H, W), noise and all; it may be negative.
        psf_sigma: σ of the Gaussian point-spread function of each map, (B,) pixels.
        noise: n, standard deviation of the background in a pixel of each map, (B,) Lsun kpc⁻²; 0 for none.

    Returns:
        (B, ``LENGTH``).
    """
    psf_sigma, noise = psf_sigma.to(flux), noise.to(flux)
    log_light = flux.sum((1, 2)).clamp_min(LEAST_LIGHT).log10()
    lowest = noise.clamp_min(FLOOR)
    log_flux = torch.maximum(flux, lowest[:, None, None]).log10()
    log_flux = log_flux.half().to(flux.dtype)  # as networks see it, and as maps are stored: sharpening sees it
    flux = torch.pow(10.0, log_flux)
    k = frequencies(flux)
    transform = torch.fft.rfft2(flux)
    sharp = sharpened(flux, transform, k, psf_sigma, noise)
    radius, share = radii(flux)
    zone = torch.bucketize(radius, flux.new_tensor(ZONES))
    statistics = [
        profile(log_flux, flux, radius, share),
        power_spectrum(transform, k),
        peaks(sharp),
        light_moments(sharp),
        shares_above(sharp.clamp_min(FAINT).log10(), zone, ZONE_FLUX),
        shares_above(curvature(log_flux, k), zone, ZONE_CURVATURE),
        torch.stack([log_light, psf_sigma, lowest.log10()], 1),
    ]
    return torch.cat(statistics, 1)


def frequencies(image: Tensor) -> Tensor:
    """Cycles per pixel of the half plane that torch.fft.rfft2 keeps of images (..., H, W): (H, W // 2 + 1)."""
    height, width = image.shape[-2:]
    y = torch.fft.fftfreq(height, dtype=image.dtype, device=image.device)
    x = torch.fft.rfftfreq(width, dtype=image.dtype, device=image.device)
    return torch.hypot(y[:, None], x)


def sharpened(flux: Tensor, transform: Tensor, k: Tensor, psf_sigma: Tensor, noise: Tensor) -> Tensor:
    """Flux behind a narrower PSF, (B, H, W), from its transform; the noisier the map, the less it is sharpened."""
    noise_power = flux[0].numel() * noise**2
    star_power = 4 * math.pi * psf_sigma**2 * (flux**2).sum((1, 2))  # of points that the PSF made of this ΣF²
    return torch.fft.irfft2(transform * sharpening(k, psf_sigma, noise_power / star_power), s=flux.shape[1:])


def sharpening(k: Tensor, psf_sigma: Tensor, noise: Tensor) -> Tensor:
    """Filters of Wiener (1949), G H / (G² + ε), from a Gaussian PSF G to a narrower one H, (B, H, W // 2 + 1).

    Args:
        k: cycles per pixel, see :func:`frequencies`.
        psf_sigma: σ of G, (B,) pixels.
        noise: power of the noise over that of the stars before the PSF, (B,); ε is ``NOISE`` more.
    """
    exponent = -2 * (math.pi * psf_sigma[:, None, None] * k) ** 2
    G = exponent.exp()
    H = (SHARPER**2 * exponent).exp()
    return G * H / (G**2 + NOISE + noise[:, None, None])


def curvature(log_flux: Tensor, k: Tensor) -> Tensor:
    """Laplacian of ln F, smoothed by a Gaussian; per pixel².

    For a lone star under a Gaussian PSF it is -2/σ². Where stars overlap, their variance on the sky, weighted by
    the flux each adds, over σ⁴ comes on top: it tells few bright stars from many faint ones.
    """
    omega = 2 * math.pi * k
    laplacian = -(omega**2) * torch.exp(-0.5 * (SMOOTHING * omega) ** 2)
    return torch.fft.irfft2(torch.fft.rfft2(log_flux) * laplacian * math.log(10.0), s=log_flux.shape[1:])


def radii(flux: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of each pixel from the centre of light, and its share of the light, both (B, H, W).

    Both are of the root of the light, because a few giants hold most light.
    """
    share = flux.sqrt()
    share = share / share.sum((1, 2), keepdim=True)
    y, x = (torch.arange(n, device=flux.device, dtype=flux.dtype) for n in flux.shape[1:])
    centre_y, centre_x = share.sum(2) @ y, share.sum(1) @ x
    dy, dx = y - centre_y[:, None], x - centre_x[:, None]
    return torch.hypot(dy[:, :, None], dx[:, None]), share


def profile(log_flux: Tensor, flux: Tensor, radius: Tensor, share: Tensor) -> Tensor:
    """Mean and scatter of log10 F and log10 of the mean F in rings, and log10 of the ``RADII``."""
    ring = (radius / RING).long().clamp_max(RINGS - 1).flatten(1)
    values = torch.stack([torch.ones_like(flux), log_flux, log_flux**2, flux, share], 1).flatten(2)
    sums = values.new_zeros(*values.shape[:2], RINGS)
    sums.scatter_add_(2, ring[:, None].expand_as(values), values)
    count, first, second, light, within = sums.unbind(1)
    count = count.clamp_min(1)
    mean = first / count
    scatter = (second / count - mean**2).clamp_min(0).sqrt()
    brightness = (light / count).clamp_min(FAINT).log10()
    return torch.cat([mean, scatter, brightness, light_radii(within.cumsum(1))], 1)


def light_radii(within: Tensor) -> Tensor:
    """log10(r + 1) of the radii r that hold the shares ``RADII``, interpolated in those within each ring (B, rings)."""
    shares = within.new_tensor(RADII).expand(len(within), -1).contiguous()
    ring = torch.searchsorted(within, shares).clamp_max(RINGS - 1)
    curve = torch.cat([torch.zeros_like(within[:, :1]), within], 1)
    low, high = curve.gather(1, ring), curve.gather(1, ring + 1)
    return (RING * (ring + (shares - low) / (high - low).clamp_min(1e-9)) + 1).log10()


def power_spectrum(transform: Tensor, k: Tensor) -> Tensor:
    """log10 of the mean power in bands of frequency over that of the mean flux, (B, bands), from a half plane."""
    power = transform.abs().square().flatten(1)
    twice = torch.full_like(k, 2.0)  # for the half that is not kept
    twice[:, [0, -1]] = 1.0
    number = (k / BAND).long().flatten()
    band = (number == torch.arange(BANDS, device=k.device)[:, None]) & (k.flatten() > 0)
    weight = band * twice.flatten()
    mean = power @ (weight / weight.sum(1, keepdim=True).clamp_min(1)).mT  # small maps leave bands empty
    return (mean / power[:, :1]).clamp_min(1e-15).log10()


def peaks(flux: Tensor) -> Tensor:
    """log10 F of peaks by rank, roots of their numbers above each threshold and of all, (B, ranks + thresholds + 1)."""
    highest = F.pad(flux[:, None], (2, 2, 2, 2), mode="circular")[:, 0]
    for axis in (1, 2):  # of five pixels along each: faster than a pooling
        highest = reduce(torch.maximum, (highest.narrow(axis, k, flux.shape[axis]) for k in range(5)))
    peak = torch.where(flux == highest, flux, FAINT).flatten(1)
    peak = peak.topk(PEAKS).values.clamp_min(FAINT).log10()
    limits = PEAK_FLUX.values(flux).expand(len(peak), -1)
    above = torch.searchsorted(-peak, -limits.contiguous())
    every = (peak > math.log10(FAINT)).sum(1, keepdim=True)
    numbers = torch.cat([above, every], 1).to(flux.dtype)
    return torch.cat([peak[:, [rank - 1 for rank in RANKS]], numbers.sqrt()], 1)


def light_moments(flux: Tensor) -> Tensor:
    """log10 of ΣF²/ΣF and of ΣF³/ΣF², (B, 2): how much of the light is in few bright spots."""
    light = flux.clamp_min(0)
    sums = torch.stack([light.pow(n).sum((1, 2)) for n in (1, 2, 3)], 1)
    return (sums[:, 1:] / sums[:, :-1]).clamp_min(FAINT).log10()


def shares_above(values: Tensor, zone: Tensor, thresholds: Thresholds) -> Tensor:
    """Roots of the shares of each zone's pixels whose value (B, H, W) exceeds thresholds, (B, zones * thresholds)."""
    n = thresholds.number + 1
    bins = (n * zone + thresholds.exceeded(values)).flatten(1)
    counts = values.new_zeros(len(values), (len(ZONES) + 1) * n)
    counts.scatter_add_(1, bins, values.new_ones(1).expand_as(bins))
    counts = counts.unflatten(1, (-1, n))[:, :-1]  # what lies beyond the last zone is left out
    above = counts.flip(2).cumsum(2).flip(2)  # pixels that exceed at least so many thresholds
    return (above[..., 1:] / above[..., :1].clamp_min(1)).sqrt().flatten(1)
