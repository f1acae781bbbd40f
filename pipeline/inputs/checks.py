"""What looks odd in a map of a cluster, in plain words, with what it does to the answers.

The directions were measured on test maps to which the same was done. A distance that is too large makes the mass too
large, by its square.
"""

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]
Mask = NDArray[np.bool_]

SATURATED = 9  # pixels that share the highest value
OFF = 6.0  # arcsec from the middle: no training map's centre of light lies further out
EDGE, MIDDLE = 0.85, 0.25  # of half the field: what counts as its edge and its middle
FILLS = 0.3  # brightness of the edge over that of the middle
WIDE = 1.1  # width of a star over that of the training maps
NEGATIVE = 0.01  # share of the field


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
    what = (
        f"{called} pixels of the field are marked saturated"
        if called
        else (f"{equal} pixels of the field share the highest value: it looks saturated")
    )
    return [f"{what}; bright stars are cut, so mass and age come out too low"]


def negative(flux: Map) -> list[str]:
    """Of flux on the grid of the networks."""
    share = float((flux < 0).mean())
    if share < NEGATIVE:
        return []
    return [
        f"{100 * share:.1f} % of the field is negative, as noise around a subtracted sky is, and was set to the "
        "darkest flux: the networks, trained without noise, take it for near stars, so distance and mass come out too "
        "small"
    ]


def coarse_pixels(pixel: float, fwhm: float) -> list[str]:
    """Of an image whose pixels have a side in arcsec, for networks trained on stars of a full width in arcsec."""
    if pixel <= fwhm / 2:
        return []
    return [
        f"pixels of {pixel:.2f} arcsec are too coarse: stars in training are {fwhm:.2f} arcsec wide, and at least two "
        "pixels should cover that; single stars are lost, and distance, age and mass come out too small"
    ]


def wide_stars(fwhm: float, trained: float) -> list[str]:
    """Of stars of a full width at half maximum (arcsec) that no smoothing can make narrower."""
    if fwhm <= WIDE * trained:
        return []
    return [
        f"the stars are wider ({fwhm:.2f} arcsec) than in training ({trained:.2f}): single stars melt "
        "together, so distance and mass come out too large"
    ]


def offset(flux: Map, pixel: float) -> list[str]:
    """Of a cluster whose centre of light is away from the field's middle; pixels in arcsec."""
    share = np.sqrt(np.maximum(flux, 0.0))
    axis = pixel * (np.arange(len(flux)) - (len(flux) - 1) / 2)
    total = max(share.sum(), 1e-300)
    x, y = share.sum(0) @ axis / total, share.sum(1) @ axis / total
    if np.hypot(x, y) <= OFF:
        return []
    return [
        f"the centre of light is {np.hypot(x, y):.0f} arcsec from the field's middle, further than in training: "
        "distance and mass come out too small, and the mass is that of a part off the centre; give --center"
    ]


def beyond_field(flux: Map, pixel: float) -> list[str]:
    """Of a cluster that reaches beyond the field; pixels in arcsec."""
    y, x = np.indices(flux.shape) - (len(flux) - 1) / 2
    radius = np.hypot(x, y) / (len(flux) / 2)
    ratio = flux[(radius > EDGE) & (radius < 1)].mean() / max(flux[radius < MIDDLE].mean(), 1e-300)
    if ratio < FILLS:
        return []
    field = len(flux) * pixel
    return [
        f"the light at the field's edge is {100 * ratio:.0f} % of that in its middle: if there is a cluster, it "
        f"reaches beyond the field; mass and luminosity are those of the {field:g} x {field:g} arcsec alone"
    ]
