"""The sky that an image still holds, and the noise of its pixels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Map = NDArray[np.float64]

ROOM = 400  # pixels that tell a sky
AROUND = 2.0  # sides of the field that an image must have before its edge is taken for the sky
MOST = 1_000_000  # pixels looked at
SIGNIFICANT = 5.0  # standard errors
WORTH_TELLING = 0.05  # of the light in the field
FALLING = 0.5  # of the light three quarters of the way to the edge that is gone at the edge: a cluster, no sky
CLIP = 3.0  # sigma
COARSER = 1.001  # times the pixels of the grid; less is but rounding
SEED = 1  # of the noise that is put back
WHY = "the image is too small, or its light falls off to the edge"
LAPLACE = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6  # of unit noise: unit noise
MEAN = np.full((5, 5), 1 / 25)


@dataclass(frozen=True)
class Sky:
    """What is known of the sky in a pixel of an image, in the unit of the image.

    Attributes:
        level: of the sky; the most that it can be where it was not measured beyond the field.
        error: standard error of the level.
        measured: whether it was measured beyond the field, where the cluster has faded.
    """

    level: float
    error: float
    measured: bool

    @property
    def found(self) -> bool:
        """Whether it is measured, and not zero."""
        return self.measured and abs(self.level) > SIGNIFICANT * self.error


def sky(flux: Map, distance: Map, half: float) -> Sky:
    """The sky of an image, from its outer part.

    A globular cluster fills much of a field, and its halo is no sky: where the light still falls off towards the edge
    of the image, or where that is near, the faintest part is but the most that the sky can be.

    Args:
        flux: of a pixel, (H, W); NaN: no value.
        distance: of a pixel from the field's middle, the larger of the two axes; (H, W), in any unit.
        half: side of the field over two, in that unit.
    """
    step = int(np.ceil((flux.size / MOST) ** 0.5))
    flux, distance = flux[::step, ::step], distance[::step, ::step]
    seen = np.isfinite(flux)
    inside = flux[seen & (distance <= half)]
    edge = distance[seen].max(initial=half)
    outer = [seen & (distance > half + k / 4 * (edge - half)) for k in (2, 3)]
    if edge < AROUND * half or outer[1].sum() < ROOM or len(inside) == 0:
        return Sky(float(np.quantile(inside, 0.02)) if len(inside) else 0.0, 0.0, measured=False)
    (before, _), (at_edge, error) = level(flux[outer[0] & ~outer[1]]), level(flux[outer[1]])
    little = WORTH_TELLING / 2 * abs(float(inside.mean()))
    fallen = abs(before - at_edge)
    return Sky(at_edge, error, measured=fallen <= max(FALLING * abs(before), SIGNIFICANT * error, little))


def level(values: Map) -> tuple[float, float]:
    """Mode of sky pixels among stars, and its standard error."""
    from astropy.stats import SigmaClip
    from photutils.background import BiweightScaleBackgroundRMS, SExtractorBackground

    clip = SigmaClip(CLIP)
    scatter = float(BiweightScaleBackgroundRMS(sigma_clip=clip)(values))
    return float(SExtractorBackground(sigma_clip=clip)(values)), 1.5 * scatter / np.sqrt(len(values))


def pixel_noise(flux: Map) -> float | None:
    """Standard deviation of the noise of a pixel, from how dark pixels differ from their neighbours (Immerkær 1996).

    Stars are wider than a pixel, so they add little; the median leaves out the rest. Noise that neighbours share, as
    in resampled images, is not seen.

    Args:
        flux: of a pixel, (H, W); NaN: no value.

    Returns:
        None where neighbours are equal, or too few have values.
    """
    from astropy.stats import mad_std
    from scipy.ndimage import convolve

    rough, brightness = convolve(flux, LAPLACE, mode="nearest"), convolve(flux, MEAN, mode="nearest")
    seen = np.isfinite(rough) & np.isfinite(brightness)
    if seen.sum() < ROOM:
        return None
    dark = seen & (brightness <= np.median(brightness[seen]))
    return float(mad_std(rough[dark])) or None


def noise_put_back(noise: float, smoothing: float, coarseness: float, pixels: int, number: int) -> Map:
    """What smoothing and interpolation took of white noise, drawn as a noise of its own, (pixels, pixels).

    Networks know white noise; a smooth one passes for faint stars. A Gaussian leaves exp(-4π²σ²k²) of the power, a
    cubic spline between pixels r times as large (sinc⁴(kr) 3 / (2 + cos 2πkr))² along each axis (Unser 1999); with
    what is drawn here it is the same at all frequencies k again.

    Args:
        noise: standard deviation of the white noise in a pixel.
        smoothing: σ of the Gaussian, pixels.
        coarseness: r; up to ``COARSER`` nothing was interpolated.
        pixels: of a side.
        number: of the band, so that each has noise of its own.
    """
    k = np.fft.fftfreq(pixels)
    left = np.exp(-((2 * np.pi * smoothing * k) ** 2))
    if coarseness > COARSER:
        left *= (np.sinc(k * coarseness) ** 4 * 3 / (2 + np.cos(2 * np.pi * k * coarseness))) ** 2
    taken = np.sqrt(np.maximum(1 - left[:, None] * left, 0.0))
    normals = np.random.default_rng([SEED, number]).standard_normal((pixels, pixels))
    return noise * np.fft.ifft2(np.fft.fft2(normals) * taken).real


def sky_to_subtract(path: Path, sky: Sky, field: Map, area: float, wish: str) -> tuple[float, list[str]]:
    """What to subtract, and what to tell.

    Args:
        path: of the file, for the message.
        sky: of the image.
        field: flux of the pixels of the field; NaN: no value.
        area: of a pixel, square arcsec.
        wish: ``keep`` or ``subtract``.

    Returns:
        The flux to subtract of each pixel, and warnings.

    Raises:
        InputError: it shall be subtracted, but cannot be told from the cluster.
    """
    light = float(np.nanmean(field))
    share = sky.level / light if light > 0 else np.inf
    percent, brightness = f"{100 * share:.0f} %", surface_brightness(sky.level / area)
    if wish == "subtract" and not sky.measured:
        raise InputError(f"{path}: --sky subtract: no sky can be told from the cluster ({WHY}); subtract it yourself")
    if wish == "subtract":
        return sky.level, [f"a sky of {brightness} was subtracted, {percent} of the light in the field"]
    if sky.found and share > WORTH_TELLING:
        return 0.0, [
            f"an even light of {brightness} makes {percent} of the field: if it is the sky, not the cluster's halo, "
            "distance and mass are far too large; try --sky subtract"
        ]
    if sky.found and share < -WORTH_TELLING:
        return 0.0, [
            f"negative beyond the field, by {-100 * share:.0f} % of its light: too much sky was subtracted, and "
            "distance and mass come out too small; try --sky subtract"
        ]
    if not sky.measured and share > WORTH_TELLING:
        return 0.0, [
            f"up to {percent} of the light may be sky: distance and mass would then be far too large; it cannot be "
            f"told, for {WHY}: subtract it yourself, or give a wider image"
        ]
    return 0.0, []


def surface_brightness(flux: float) -> str:
    """Magnitudes of a square arcsec of a flux in Lsun kpc⁻², for people."""
    from pipeline.simulation.clusters.stars import flux_of_magnitude

    if flux <= 0:
        return f"{flux:.2g} Lsun/kpc2/arcsec2"
    return f"{-2.5 * np.log10(flux / flux_of_magnitude(0.0)):.1f} mag/arcsec2"
