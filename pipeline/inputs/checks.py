"""What looks odd in a map of a cluster, in plain words, with what it does to the answers.

The directions were measured on test maps, before networks knew noise. Too large a distance makes the mass too large, by
its square.
"""

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]
Mask = NDArray[np.bool_]

SATURATED = 9  # pixels that share the highest value
NEGATIVE = 0.01  # share of the field
WIDE = 1.01  # width of a star over the widest of the training
OFF = 6.0  # arcsec from the middle: no training map's centre of light lies further out
OFF_AROUND, REACH = 12.0, 150.0  # arcsec: the same of what lies around the field, and how far it is looked at
STEPS = 3  # from a centre of light to that of what is around it
EDGE, MIDDLE = 0.85, 0.25  # of half the field: what counts as its edge and its middle
FILLS = 0.3  # brightness of the edge over that of the middle


def saturation(values: Map, flagged: Mask | None = None) -> list[str]:
    """Of an image as the camera left it.

    Args:
        values: of the field, (H, W); NaN: no value.
        flagged: pixels that the file calls saturated, (H, W).
    """
    seen = values[np.isfinite(values)]
    equal = int((seen == seen.max(initial=-np.inf)).sum())
    called = 0 if flagged is None else int(flagged.sum())
    if equal < SATURATED and not called:
        return []
    what = f"{called} pixels of the field" if called else f"{equal} pixels that share the highest value"
    return [f"saturated: {what}; bright stars are cut, so mass and age come out too low"]


def noise(flux: Map, n: float, trained: tuple[float, float]) -> list[str]:
    """Of the noise of a map on the grid of the networks.

    Args:
        flux: (H, W).
        n: standard deviation of the noise in a pixel, Lsun kpc⁻²; 0: none is known.
        trained: log10 of the least and the most noise of the training.
    """
    share = float((flux < 0).mean())
    if n == 0 and share > NEGATIVE:
        return [
            f"{100 * share:.1f} % of the field is negative, but no noise is known and none was reckoned with: distance "
            "and mass may come out too small; add the noise as an extension ERR"
        ]
    if n > 10 ** trained[1]:
        return [
            f"the noise in a pixel, 10^{np.log10(n):.1f} Lsun/kpc2, is more than in training (10^{trained[1]:.1f}): "
            "faint stars are lost in it; add up more exposures"
        ]
    return []


def coarse_pixels(pixel: float, fwhm: float) -> list[str]:
    """Of an image whose pixels have a side in arcsec, with stars of a full width in arcsec."""
    if pixel <= fwhm / 2:
        return []
    return [
        f"pixels of {pixel:.2f} arcsec are too coarse for stars of {fwhm:.2f} arcsec, which melt together: distance "
        "and mass come out too large, age too small; give a picture of finer pixels"
    ]


def wide_stars(fwhm: float, widest: float) -> list[str]:
    """Of stars of a full width at half maximum (arcsec) that no smoothing can make narrower."""
    if fwhm <= WIDE * widest:
        return []
    return [
        f"the stars are wider ({fwhm:.2f} arcsec) than the widest of training ({widest:.2f}) and melt together: "
        "distance and mass come out too large; give a sharper picture"
    ]


def offset(flux: Map, pixel: float) -> list[str]:
    """Of a map whose centre of light is away from its middle; pixels in arcsec."""
    axis = pixel * (np.arange(len(flux)) - (len(flux) - 1) / 2)
    x, y = np.meshgrid(axis, axis)
    return off_middle(*centre_of_light(flux, x, y, np.inf), OFF)


def offset_around(flux: Map, x: Map, y: Map) -> list[str]:
    """Of an image whose light is centred elsewhere; x and y of a pixel from the field's middle in arcsec, (H, W)."""
    return off_middle(*centre_of_light(flux, x, y, REACH), OFF_AROUND)


def off_middle(x: float, y: float, most: float) -> list[str]:
    """Of a centre of light, in arcsec from the field's middle."""
    if np.hypot(x, y) <= most:
        return []
    return [
        f"the centre of light is {np.hypot(x, y):.0f} arcsec off the field's middle: distance and mass come out too "
        "small, and not those of the cluster's centre; move the field by --center"
    ]


def centre_of_light(flux: Map, x: Map, y: Map, reach: float) -> tuple[float, float]:
    """Centre of the root of the light, for giants hold most of the light itself, within a reach of that centre."""
    at, seen = np.zeros(2), np.isfinite(flux)
    for _ in range(STEPS if np.isfinite(reach) else 1):
        near = seen & (np.hypot(x - at[0], y - at[1]) <= reach)
        if not near.any():
            break
        light = np.maximum(flux[near] - np.quantile(flux[near], 0.1), 0.0) ** 0.5
        total = max(float(light.sum()), 1e-300)
        at = np.array([(light * x[near]).sum(), (light * y[near]).sum()]) / total
    return float(at[0]), float(at[1])


def beyond_field(flux: Map, pixel: float) -> list[str]:
    """Of a cluster that reaches beyond the field; pixels in arcsec."""
    y, x = np.indices(flux.shape) - (len(flux) - 1) / 2
    radius = np.hypot(x, y) / (len(flux) / 2)
    ratio = flux[(radius > EDGE) & (radius < 1)].mean() / max(flux[radius < MIDDLE].mean(), 1e-300)
    if ratio < FILLS:
        return []
    if ratio > 1:
        return [
            "the field is brighter at its edge than in its middle: no cluster stands out there, or it is far wider "
            "than the field; distance and mass then mean little; look at the picture, and move the field by --center"
        ]
    field = len(flux) * pixel
    return [
        f"the field's edge is {100 * ratio:.0f} % as bright as its middle: the cluster reaches beyond it, and mass and "
        f"luminosity are those of {field:g} x {field:g} arcsec alone"
    ]
