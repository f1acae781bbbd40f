"""One band of a picture: its sky, the width of its stars and its noise, brought to the grid of the training maps."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import InputError
from pipeline.inputs import background, checks
from pipeline.inputs.missing import zero_blocks
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.photometry import smoothed
from pipeline.inputs.sky_grid import Place, on_grid, pixel_side
from pipeline.inputs.training_maps import TrainingMaps

if TYPE_CHECKING:
    from astropy.wcs import WCS

    from pipeline.inputs.calibration import CalibratedImage

TO_FWHM = 2 * (2 * np.log(2)) ** 0.5  # of the sigma of a Gaussian
MARGIN = 5.0  # arcsec around the field, for the smoothing
REACH = 300.0  # arcsec around the field, in which a sky is looked for


@dataclass
class Band:
    """An image in the pixels of the training maps.

    Attributes:
        image: on the grid, without uncertainty and saturated pixels.
        sky: flux in a pixel of the grid of an even light that is left; None where none was found.
        noise: standard deviation of the white noise in a pixel of the grid; 0 where none is known.
        warnings: in plain words.
    """

    image: "CalibratedImage"
    sky: float | None
    noise: float
    warnings: list[str]


def on_training_grid(
    path: Path,
    image: "CalibratedImage",
    target: "WCS",
    psf_arcsec: float,
    maps: TrainingMaps,
    options: FitsOptions,
    number: int = 0,
) -> Band:
    """An image on the grid of the training maps, its stars as wide as is wanted where they were sharper.

    Args:
        path: of its file, for messages.
        image: as it was taken.
        target: coordinates of the grid.
        psf_arcsec: sigma of the stars that is wanted.
        maps: what the network was trained on.
        options: what the user says.
        number: of the band.

    Raises:
        InputError: it does not cover the grid, or a sky shall be subtracted that cannot be measured or is none.
    """
    wide = cut(path, image, target, REACH)
    wide.flux[zero_blocks(wide.flux)] = np.nan
    place = Place.of(path, wide.wcs, wide.flux.shape, target)
    inside = cut(path, wide, target, 0.0)
    warnings = [*image.warnings, *checks.saturation(inside.flux, inside.saturated)]
    warnings += star_width(image, maps) + checks.coarse_pixels(place.area**0.5, psf_arcsec * TO_FWHM)
    level, left = 0.0, None
    if image.finished and options.sky == "subtract":
        raise InputError(f"{path}: --sky subtract: a map in Lsun/kpc2 is finished; leave the option out")
    if not image.finished:
        sky = background.sky(wide.flux, place.distance(), place.half)
        level, told = background.sky_to_subtract(path, sky, inside.flux, place.area, options.sky)
        left = sky.level - level if sky.found else None
        warnings += told + checks.offset_around(wide.flux, *place.offsets())
    near = cut(path, wide, target, MARGIN)
    flux, side = near.flux - level, pixel_side(target)
    smoothing = max(psf_arcsec**2 - star_sigma(image, maps) ** 2, 0.0) ** 0.5
    if smoothing:
        flux = smoothed(flux, smoothing / place.scale[::-1])
    coarseness = place.area**0.5 / side
    noise = pixel_noise(wide) / coarseness
    flux = on_grid(flux, near.wcs, target, place.area)
    flux = flux + background.noise_put_back(noise, smoothing / side, coarseness, len(flux), number)
    return Band(
        image=replace(image, flux=flux, wcs=target, uncertainty=None, saturated=None),
        sky=None if left is None else left / coarseness**2,
        noise=noise,
        warnings=warnings,
    )


def cut(path: Path, image: "CalibratedImage", target: "WCS", reach: float) -> "CalibratedImage":
    """A copy of the part of an image that holds a grid and ``reach`` arcsec around it.

    Raises:
        InputError: the image does not cover the grid.
    """
    part = Place.of(path, image.wcs, image.flux.shape, target).part(reach)
    return replace(
        image,
        flux=image.flux[part].copy(),
        uncertainty=None if image.uncertainty is None else image.uncertainty[part],
        saturated=None if image.saturated is None else image.saturated[part],
        wcs=image.wcs[part],
    )


def star_sigma(image: "CalibratedImage", maps: TrainingMaps) -> float:
    """Sigma of the stars of an image, arcsec; where nothing tells it, that of the clean training maps."""
    return maps.psf_arcsec if image.psf_fwhm is None else image.psf_fwhm / TO_FWHM


def wanted_sigma(images: list["CalibratedImage"], maps: TrainingMaps) -> float:
    """Sigma of the stars on the grid, arcsec: of the least sharp image, and not below the narrowest of training.

    Training saw maps without noise behind one telescope alone.
    """
    clean = all(image.finished and image.uncertainty is None for image in images)
    narrowest = maps.psf_arcsec if clean else maps.psf_range[0] * maps.pixel_arcsec
    return max(narrowest, *(star_sigma(image, maps) for image in images))


def star_width(image: "CalibratedImage", maps: TrainingMaps) -> list[str]:
    """What is told of the width of its stars."""
    if image.psf_fwhm is not None:
        return checks.wide_stars(image.psf_fwhm, maps.psf_range[1] * maps.pixel_arcsec * TO_FWHM)
    if image.finished:
        return []
    return [
        f"the width of a star is unknown and was taken to be {maps.psf_arcsec * TO_FWHM:.2f} arcsec: wider ones make "
        "distance and mass too large, narrower too small; give --fwhm"
    ]


def pixel_noise(image: "CalibratedImage") -> float:
    """Standard deviation of the background of a pixel: the file's own, else its scatter; 0 where none is known.

    A finished map has none but its own.
    """
    if image.uncertainty is not None:
        dark = image.flux <= np.nanmedian(image.flux)
        known = image.uncertainty[dark & np.isfinite(image.uncertainty)]
        return float(np.median(known)) if len(known) else 0.0
    return 0.0 if image.finished else background.pixel_noise(image.flux) or 0.0
