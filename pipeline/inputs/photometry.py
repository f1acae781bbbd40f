"""Light in V of images in other filters, and images smoothed to another width of the stars."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.inputs.filters import ASSUMED, RELATIONS

if TYPE_CHECKING:
    from pipeline.inputs.calibration import CalibratedImage

Array = NDArray[np.float64]

CLEAR = 5.0  # standard deviations of the noise, above which a pixel has a colour of its own


@dataclass(frozen=True)
class Visual:
    """Light in V.

    Attributes:
        flux: Lsun kpc⁻², (H, W).
        noise: standard deviation of the background of ``flux``.
        zero_point_mag: standard deviation of its zero point, mag.
        warnings: what was assumed.
    """

    flux: Array
    noise: float
    zero_point_mag: float
    warnings: list[str]


def visual(images: list["CalibratedImage"], noises: list[float]) -> Visual:
    """Light in V of images on one grid.

    Of V itself where there is such an image; else of g and r; else of F555W or F606W, or of g or r alone, with the
    colour of an old cluster.

    Args:
        images: one a filter.
        noises: standard deviation of the background of each.

    Raises:
        InputError: g and r are of two surveys.
    """
    bands = {image.filter.band: (image, noise) for image, noise in zip(images, noises, strict=True)}
    if "V" in bands:
        image, noise = bands["V"]
        return Visual(image.flux, noise, image.calibration_mag, [])
    if "g" in bands and "r" in bands:
        return of_two(*bands["g"], *bands["r"])
    return of_one(*next(bands[band] for band in ("F555W", "F606W", "g", "r") if band in bands))


def of_two(g: "CalibratedImage", g_noise: float, r: "CalibratedImage", r_noise: float) -> Visual:
    """The same of g and r: pixel by pixel where both stand out of the noise, else in first order about the whole.

    Raises:
        InputError: they are of two surveys, or the whole is not positive.
    """
    system = r.filter.system
    if g.filter.system != system:
        raise InputError(f"{g.filter} and {r.filter}: give both of one survey")
    relation = RELATIONS[system]
    both = np.isfinite(g.flux) & np.isfinite(r.flux)
    whole_g, whole_r = g.flux[both].sum(), r.flux[both].sum()
    if min(whole_g, whole_r) <= 0:
        raise InputError("the sum of g or r over the field is not positive; is more than the sky subtracted?")
    colour = -2.5 * np.log10(whole_g / whole_r)
    slope = relation.slope(colour)  # V = r + slope (g - r)
    whole = whole_r * 10 ** (-0.4 * relation.difference(colour))
    by_g, by_r = slope * whole / whole_g, (1 - slope) * whole / whole_r
    clear = (g.flux > CLEAR * g_noise) & (r.flux > CLEAR * r_noise)
    ratio = np.divide(g.flux, r.flux, out=np.ones_like(r.flux), where=clear)
    flux = np.where(
        clear, r.flux * 10 ** (-0.4 * relation.difference(-2.5 * np.log10(ratio))), by_g * g.flux + by_r * r.flux
    )
    errors = slope * g.calibration_mag, (1 - slope) * r.calibration_mag, relation.scatter
    remark = f"V was made of g and r of {system}: {relation.source}, good to {relation.scatter:g} mag"
    return Visual(flux, float(np.hypot(by_g * g_noise, by_r * r_noise)), float(np.linalg.norm(errors)), [remark])


def of_one(image: "CalibratedImage", noise: float) -> Visual:
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
    factor = 10 ** (-0.4 * difference)
    return Visual(image.flux * factor, noise * factor, float(np.hypot(error, image.calibration_mag)), [remark])


def smoothed(flux: Array, sigma: Array) -> Array:
    """Convolve with a Gaussian of sigma (y, x) in pixels; pixels without a value stay so and give none."""
    from scipy.ndimage import gaussian_filter

    seen = np.isfinite(flux)
    total = gaussian_filter(np.where(seen, flux, 0.0), sigma, mode="nearest")
    weight = gaussian_filter(seen.astype(np.float64), sigma, mode="nearest")
    return np.where(seen, total / np.maximum(weight, 1e-12), np.nan)
