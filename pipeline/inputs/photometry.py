"""Light in V of images in other filters, and images smoothed to another width of the stars."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.inputs.filters import ASSUMED, RELATIONS

if TYPE_CHECKING:
    from pipeline.inputs.calibration import CalibratedImage

Array = NDArray[np.float64]


def visual(images: list["CalibratedImage"]) -> tuple[Array, float, list[str]]:
    """Light in V of images on one grid.

    Of V itself where there is such an image; else of g and r; else of F555W or F606W, or of g or r alone, with the
    colour of an old cluster.

    Returns:
        Flux (Lsun kpc⁻²), (H, W); the standard deviation of its zero point, mag; and what was assumed.

    Raises:
        InputError: g and r are of two surveys.
    """
    bands = {image.filter.band: image for image in images}
    if "V" in bands:
        return bands["V"].flux, bands["V"].calibration_mag, []
    if "g" in bands and "r" in bands:
        return of_two(bands["g"], bands["r"])
    return of_one(next(bands[band] for band in ("F555W", "F606W", "g", "r") if band in bands))


def of_two(g: "CalibratedImage", r: "CalibratedImage") -> tuple[Array, float, list[str]]:
    """The same of g and r, pixel by pixel; a pixel in which either is not positive takes the colour of the whole.

    Raises:
        InputError: they are of two surveys, or the whole is not positive.
    """
    system = r.filter.system
    if g.filter.system != system:
        raise InputError(f"{g.filter} and {r.filter}: give both of one survey")
    relation = RELATIONS[system]
    both = np.isfinite(g.flux) & np.isfinite(r.flux)
    sums = g.flux[both].sum(), r.flux[both].sum()
    if min(sums) <= 0:
        raise InputError("the sum of g or r over the field is not positive; is more than the sky subtracted?")
    whole = -2.5 * np.log10(sums[0] / sums[1])
    positive = (g.flux > 0) & (r.flux > 0)
    colour = np.where(positive, -2.5 * np.log10(np.where(positive, g.flux, 1) / np.where(positive, r.flux, 1)), whole)
    flux = np.where(np.isfinite(g.flux), r.flux * 10 ** (-0.4 * relation.difference(colour)), np.nan)
    slope = relation.slope(whole)  # V = r + slope (g - r)
    errors = slope * g.calibration_mag, (1 - slope) * r.calibration_mag, relation.scatter
    remark = f"V was made of g and r of {system}: {relation.source}, good to {relation.scatter:g} mag"
    return flux, float(np.linalg.norm(errors)), [remark]


def of_one(image: "CalibratedImage") -> tuple[Array, float, list[str]]:
    """The same of one image, all of whose light is taken to have the colour of an old cluster."""
    band, system = image.filter.band, image.filter.system
    relation = RELATIONS[system if band in ("g", "r") else band]
    colour, spread = ASSUMED[relation.colour]
    less_colour = 1.0 if band == "g" else 0.0  # the relations are of r
    difference = float(relation.difference(colour)) - less_colour * colour
    error = float(np.hypot((relation.slope(colour) - less_colour) * spread, relation.scatter))
    remark = (
        f"V was made of {image.filter} alone, with {relation.colour} = {colour:g} of an old cluster without dust "
        f"({relation.source}): its zero point is good to {error:.2f} mag"
    )
    return image.flux * 10 ** (-0.4 * difference), float(np.hypot(error, image.calibration_mag)), [remark]


def smoothed(flux: Array, sigma: Array) -> Array:
    """Convolve with a Gaussian of sigma (y, x) in pixels; pixels without a value stay so and give none."""
    from scipy.ndimage import gaussian_filter

    seen = np.isfinite(flux)
    total = gaussian_filter(np.where(seen, flux, 0.0), sigma, mode="nearest")
    weight = gaussian_filter(seen.astype(np.float64), sigma, mode="nearest")
    return np.where(seen, total / np.maximum(weight, 1e-12), np.nan)
