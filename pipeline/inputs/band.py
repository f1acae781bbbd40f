"""One band of a picture: its sky, the width of its stars and its noise, brought to the grid of the training maps."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import InputError
from pipeline.inputs import background, checks
from pipeline.inputs.missing import zero_blocks
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.photometry import smoothed
from pipeline.inputs.sky_grid import Map, Place, on_grid, pixel_side
from pipeline.inputs.training_maps import TrainingMaps

if TYPE_CHECKING:
    from astropy.wcs import WCS

    from pipeline.inputs.calibration import CalibratedImage

MARGIN = 5.0  # arcsec around the field, for the smoothing
REACH = 300.0  # arcsec around the field, in which a sky is looked for
DRAWS = 16  # of what noise and calibration leave open
SEED = 1  # of the draws


@dataclass
class Band:
    """An image in the pixels of the training maps.

    Attributes:
        image: on the grid, without uncertainty and saturated pixels.
        psf_arcsec: sigma of its stars; None where nothing tells it.
        sky: flux in a pixel of the grid of an even light that is left; None where none was found.
        noise: draws of the flux that the noise of its pixels adds, (DRAWS, pixels, pixels); None: not known.
        warnings: in plain words.
    """

    image: "CalibratedImage"
    psf_arcsec: float | None
    sky: float | None
    noise: Map | None
    warnings: list[str]


def on_training_grid(
    path: Path, image: "CalibratedImage", target: "WCS", maps: TrainingMaps, options: FitsOptions, number: int = 0
) -> Band:
    """An image on the grid of the training maps, its stars as wide as theirs where they were sharper.

    Args:
        path: of its file, for messages.
        image: as it was taken.
        target: coordinates of the grid.
        maps: what the network was trained on.
        options: what the user says.
        number: of the band, so that each has noise of its own.

    Raises:
        InputError: it does not cover the grid, or a sky shall be subtracted that cannot be measured or is none.
    """
    wide = cut(path, image, target, REACH)
    wide.flux[zero_blocks(wide.flux)] = np.nan
    place = Place.of(path, wide.wcs, wide.flux.shape, target)
    inside = cut(path, wide, target, 0.0)
    warnings = [*image.warnings, *checks.saturation(inside.flux, inside.saturated)]
    warnings += checks.coarse_pixels(place.area**0.5, maps.psf_fwhm)
    level, left = 0.0, None
    if image.finished and options.sky == "subtract":
        raise InputError(f"{path}: --sky subtract: a map in Lsun/kpc2 is finished; leave the option out")
    if not image.finished:
        sky = background.sky(wide.flux, place.distance(), place.half)
        level, told = background.sky_to_subtract(path, sky, inside.flux, place.area, options.sky)
        left = sky.level - level if sky.found else None
        warnings += told + checks.offset_around(wide.flux, *place.offsets())
    psf_arcsec, smoothing = sharpness(image, maps, warnings)
    near = cut(path, wide, target, MARGIN)

    def bring(values: Map) -> Map:
        blurred = smoothed(values, smoothing / place.scale[::-1]) if smoothing else values
        return on_grid(blurred, near.wcs, target, place.area)

    return Band(
        image=replace(image, flux=bring(near.flux - level), wcs=target, uncertainty=None, saturated=None),
        psf_arcsec=psf_arcsec,
        sky=None if left is None else left * pixel_side(target) ** 2 / place.area,
        noise=noise_draws(wide, near, bring, number),
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


def sharpness(image: "CalibratedImage", maps: TrainingMaps, warnings: list[str]) -> tuple[float | None, float]:
    """Sigma of the stars after, and of the Gaussian for, the smoothing to the width of training, arcsec.

    Args:
        image: as it was taken.
        maps: what the network was trained on.
        warnings: gets a line where the stars are wider, or of unknown width.

    Returns:
        The first is None where nothing tells the width; the second 0 where there is nothing to smooth.
    """
    from astropy.stats import gaussian_fwhm_to_sigma

    if image.psf_fwhm is None and image.finished:
        return maps.psf_arcsec, 0.0
    if image.psf_fwhm is None:
        warnings.append(
            f"the width of a star is unknown and was taken to be that of training, {maps.psf_fwhm:.2f} arcsec: wider "
            "ones make distance and mass too large, narrower too small; give --fwhm"
        )
        return None, 0.0
    warnings += checks.wide_stars(image.psf_fwhm, maps.psf_fwhm)
    sigma = image.psf_fwhm * gaussian_fwhm_to_sigma
    if sigma >= maps.psf_arcsec:
        return sigma, 0.0
    return maps.psf_arcsec, float((maps.psf_arcsec**2 - sigma**2) ** 0.5)


def noise_draws(
    wide: "CalibratedImage", near: "CalibratedImage", bring: Callable[[Map], Map], number: int
) -> Map | None:
    """Draws of the noise of the pixels of ``near``, brought to the grid like the image itself.

    Their standard deviation is the file's own, else the scatter of ``wide``. A finished map has none but its own.
    """
    if near.uncertainty is not None:
        sigma = np.nan_to_num(near.uncertainty, nan=0.0, posinf=0.0)
    elif not near.finished and (scatter := background.pixel_noise(wide.flux)):
        sigma = np.full(near.flux.shape, scatter)
    else:
        return None
    rng = np.random.default_rng([SEED, number])
    return np.stack([bring(sigma * rng.standard_normal(sigma.shape)) for _ in range(DRAWS)])
