"""The sky that an image still holds, and the noise of its pixels, by photutils."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Map = NDArray[np.float64]

ROOM = 400  # pixels beyond the field that tell a sky
SIGNIFICANT = 5.0  # standard errors
WORTH_TELLING = 0.03  # of the light in the field
FALLING = 0.5  # of the light between field and half way to the edge that is gone beyond: a cluster, no sky
CLIP = 3.0  # sigma
WHY = "for the image does not reach far enough beyond the field, or its light still falls off there"
LAPLACE = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6  # of unit noise: unit noise


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
    """The sky of an image, from what lies beyond the field.

    A globular cluster fills much of a field, and its halo is no sky: where the light still falls off towards the edge
    of the image, or where there is no room beyond the field, the faintest part is but the most that the sky can be.

    Args:
        flux: of a pixel, (H, W); NaN: no value.
        distance: of a pixel from the field's middle, the larger of the two axes; (H, W), in any unit.
        half: side of the field over two, in that unit.
    """
    seen = np.isfinite(flux)
    edge = distance[seen].max(initial=half)
    near, far = (
        seen & (distance > a) & (distance <= b) for a, b in ((half, (half + edge) / 2), ((half + edge) / 2, edge))
    )
    if min(near.sum(), far.sum()) < ROOM:
        inner = flux[seen & (distance <= half)]
        return Sky(float(np.quantile(inner, 0.02)), 0.0, measured=False)
    (inner, _), (outer, error) = level(flux[near]), level(flux[far])
    little = WORTH_TELLING / 3 * abs(flux[seen & (distance <= half)].mean())
    return Sky(outer, error, abs(inner - outer) <= max(FALLING * abs(inner), SIGNIFICANT * error, little))


def level(values: Map) -> tuple[float, float]:
    """Mode of sky pixels among stars, and its standard error."""
    from astropy.stats import SigmaClip
    from photutils.background import BiweightScaleBackgroundRMS, SExtractorBackground

    clip = SigmaClip(CLIP)
    scatter = float(BiweightScaleBackgroundRMS(sigma_clip=clip)(values))
    return float(SExtractorBackground(sigma_clip=clip)(values)), 1.5 * scatter / np.sqrt(len(values))


def pixel_noise(flux: Map) -> float | None:
    """Standard deviation of the noise of a pixel, from how it differs from its neighbours (Immerkær 1996).

    Stars are wider than a pixel, so they add little; the median leaves out the rest. Noise that neighbours share, as
    in resampled images, is not seen.

    Args:
        flux: of a pixel, (H, W); NaN: no value.

    Returns:
        None where neighbours are equal, or too few have values.
    """
    from astropy.stats import mad_std
    from scipy.ndimage import convolve

    rough: Any = convolve(flux, LAPLACE, mode="nearest")
    rough = rough[np.isfinite(rough)]
    found = float(mad_std(rough)) if len(rough) >= ROOM else 0.0
    return found or None


def handled(path: Path, sky: Sky, field: Map, area: float, wish: str) -> tuple[float, list[str]]:
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
        raise InputError(f"{path}: --sky subtract: no sky can be told from the cluster, {WHY}; subtract it yourself")
    if wish == "subtract":
        return sky.level, [f"a sky of {brightness} was subtracted, {percent} of the light in the field"]
    if sky.found and share > WORTH_TELLING:
        return 0.0, [
            f"an even light of {brightness} was left in, {percent} of that in the field: if it is the sky and not the "
            "cluster's halo, distance and mass are too large, by more than this share; --sky subtract takes it off"
        ]
    if sky.found and share < -WORTH_TELLING:
        return 0.0, [
            f"the image is negative beyond the field, by {-100 * share:.0f} % of the light in it: too much sky was "
            "subtracted, so distance and mass come out too small; --sky subtract adds it again"
        ]
    if not sky.measured and share > WORTH_TELLING:
        return 0.0, [
            f"whether a sky was left in cannot be told, {WHY}: at most {percent} of the light in the field is sky; "
            "distance and mass would then be too large, by more than this share"
        ]
    return 0.0, []


def surface_brightness(flux: float) -> str:
    """Magnitudes of a square arcsec of a flux in Lsun kpc⁻², for people."""
    from pipeline.simulation.clusters.stars import flux_of_magnitude

    if flux <= 0:
        return f"{flux:.2g} Lsun/kpc2/arcsec2"
    return f"{-2.5 * np.log10(flux / flux_of_magnitude(0.0)):.1f} mag/arcsec2"
