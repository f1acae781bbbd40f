"""An astronomer's picture of a cluster, FITS or NPY, brought to the maps that a network was trained on.

That is log10 F/(Lsun kpc⁻²) in the pixels of the training maps, where F = L_V / (4π D²), behind their point-spread
function. What a FITS file must say stands in ``pipeline.inputs.calibration``.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.inputs import checks
from pipeline.inputs.band import DRAWS, Band, on_training_grid
from pipeline.inputs.missing import filled, zero_blocks
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.photometry import visual
from pipeline.inputs.sky_grid import Map, sky_position, target_grid
from pipeline.inputs.training_maps import TrainingMaps

if TYPE_CHECKING:
    from pipeline.inputs.calibration import CalibratedImage

ZERO_POINT_SEED = 2  # of its draws


@dataclass
class Observation:
    """A map as the networks take it, and what is known of it.

    Attributes:
        log_flux: log10 F/(Lsun kpc⁻²), (pixels, pixels).
        mask: pixels that had no value and took their nearest neighbour's, (pixels, pixels).
        wcs: astropy's WCS of these pixels; None for an NPY map.
        psf_sigma: of the stars on this map, pixels; None where nothing tells it.
        sky: F in a pixel of an even light that is still in the map, Lsun kpc⁻²; None: none was found, or no room to.
        draws: log10 F of maps that noise and calibration might have made of this one, (draws, pixels, pixels); None
            where neither is known.
        warnings: what was mended, assumed or looks odd, in plain words.
    """

    log_flux: Map
    mask: NDArray[np.bool_]
    wcs: Any = None
    psf_sigma: float | None = None
    sky: float | None = None
    draws: Map | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def possible(self) -> Map:
        """Log10 F of the draws, or of the one map where there are none, (n, pixels, pixels)."""
        return self.log_flux[None] if self.draws is None else self.draws


def read_observation(path: Path, maps: TrainingMaps, options: FitsOptions = FitsOptions()) -> Observation:  # noqa: B008
    """Read a FITS or NPY map.

    Args:
        path: the file; of two files, one a band, that of g.
        maps: what the network was trained on.
        options: what the user says beside a FITS file.

    Raises:
        InputError: the file is no map, a FITS file lacks units, filter, zero point or WCS, the
            map covers less than the field, is empty, or has no value in more than 5 % of its pixels.
    """
    if path.suffix.lower() == ".npy":
        seen = read_npy(path, maps)
        if options != FitsOptions():
            seen.warnings.append("a .npy map is taken as it is: what was said of FITS pictures was not used")
    else:
        seen = read_fits(path, maps, options)
    if np.ptp(seen.log_flux) == 0:
        raise InputError(f"{path}: all pixels of the field are equal; the map is empty or saturated, give another")
    flux = 10**seen.log_flux - (seen.sky or 0.0)
    seen.warnings += checks.offset(flux, maps.pixel_arcsec) + checks.beyond_field(flux, maps.pixel_arcsec)
    seen.warnings = list(dict.fromkeys(seen.warnings))  # two bands may say the same
    return seen


def read_npy(path: Path, maps: TrainingMaps) -> Observation:
    """The map of an NPY file of log10 F/(Lsun kpc⁻²), (pixels, pixels).

    Raises:
        InputError: it is another kind of file or shape, or lacks too many values.
    """
    try:
        log_flux = np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not an NPY array of numbers; give a map of log10 F/(Lsun kpc-2)") from error
    if log_flux.shape != (maps.pixels, maps.pixels):
        wanted = f"{maps.pixels} x {maps.pixels} pixels of {maps.pixel_arcsec:g} arcsec"
        raise InputError(f"{path}: shape {log_flux.shape}; give a map of {wanted}")
    with np.errstate(over="ignore"):
        missing = ~np.isfinite(10.0**log_flux) | zero_blocks(10.0**log_flux) | zero_blocks(log_flux)
    warnings = checks.saturation(np.where(missing, np.nan, log_flux))
    log_flux = filled(path, log_flux, missing, warnings)
    return Observation(np.maximum(log_flux, maps.log_flux_floor), missing, warnings=warnings)


def read_fits(path: Path, maps: TrainingMaps, options: FitsOptions) -> Observation:
    """The field of a FITS file's V image, or of its images in other bands, on the grid of the training maps.

    Raises:
        InputError: see ``read_observation``.
    """
    images = calibrated_images(path, options)
    (first, image), *_ = images
    center = None if options.center is None else sky_position(options.center)
    target = target_grid(first, image.wcs, image.flux.shape, center, maps.pixels, maps.pixel_arcsec)
    bands = [on_training_grid(file, image, target, maps, options, k) for k, (file, image) in enumerate(images)]
    try:
        flux, zero_point_mag, warnings = visual([band.image for band in bands])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    missing = ~np.isfinite(flux)
    warnings = [text for band in bands for text in band.warnings] + warnings + checks.negative(flux)
    flux = filled(path, flux, missing, warnings)
    draws = visual_draws(bands, flux)
    if draws is not None or zero_point_mag:
        draws = (flux[None] if draws is None else draws) * zero_point_factors(zero_point_mag)
    widths = [band.psf_arcsec for band in bands if band.psf_arcsec is not None]
    skies = [band.sky for band in bands if band.sky is not None]
    return Observation(
        log_flux=log(flux, maps),
        mask=missing,
        wcs=target,
        psf_sigma=max(widths) / maps.pixel_arcsec if widths else None,
        sky=float(np.mean(skies)) if skies else None,
        draws=None if draws is None else log(draws, maps),
        warnings=warnings,
    )


def calibrated_images(path: Path, options: FitsOptions) -> list[tuple[Path, "CalibratedImage"]]:
    """The images of a file, or of two files of a band each, with the file that each is from.

    Raises:
        InputError: a file holds no usable image, or none of its band.
    """
    from pipeline.inputs.calibration import read_images

    if (options.g is None) != (options.r is None):
        raise InputError(f"{options.g or options.r}: one band of two; give both g and r")
    if options.g is None or options.r is None:
        return [(path, image) for image in read_images(path, options)]
    return [(options.g, image_in("g", options.g, options)), (options.r, image_in("r", options.r, options))]


def image_in(band: str, path: Path, options: FitsOptions) -> "CalibratedImage":
    """The image of a file in g or r, by its header, or where that names no filter.

    Raises:
        InputError: the header names another filter.
    """
    from pipeline.inputs.calibration import read_images

    try:
        images = read_images(path, options)
    except InputError:
        images = read_images(path, replace(options, band=band))
    found = [image for image in images if image.filter.band == band]
    if not found:
        names = " and ".join(image.filter.band for image in images)
        raise InputError(f"{path}: a picture in {names}, given as --{band}; give that in {band}")
    return found[0]


def visual_draws(bands: list[Band], flux: Map) -> Map | None:
    """Flux in V as noise might have made it, (DRAWS, pixels, pixels); None where no band tells its noise.

    Args:
        bands: the images that V was made of.
        flux: in V, all pixels with a value, (pixels, pixels).
    """
    noises = [np.zeros((DRAWS, 1, 1)) if band.noise is None else np.nan_to_num(band.noise) for band in bands]
    if not any(noise.any() for noise in noises):
        return None
    draws = []
    for each in zip(*noises, strict=True):
        images = [replace(band.image, flux=band.image.flux + n) for band, n in zip(bands, each, strict=True)]
        v = visual(images)[0]
        draws.append(np.where(np.isfinite(v), v, flux))
    return np.stack(draws)


def zero_point_factors(mag: float) -> Map:
    """By which a zero point with a standard deviation in magnitudes may change all flux, (DRAWS, 1, 1)."""
    errors = np.random.default_rng(ZERO_POINT_SEED).standard_normal((DRAWS, 1, 1))
    return np.asarray(10 ** (0.4 * mag * errors))


def log(flux: Map, maps: TrainingMaps) -> Map:
    """Log10 of a flux, not below the darkest of the training maps."""
    return np.log10(np.maximum(flux, 10.0**maps.log_flux_floor))
