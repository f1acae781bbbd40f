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
from pipeline.inputs import checks, npy
from pipeline.inputs.band import on_training_grid, wanted_sigma
from pipeline.inputs.missing import filled, zero_blocks
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.photometry import visual
from pipeline.inputs.sky_grid import Map, sky_position, target_grid
from pipeline.inputs.training_maps import TrainingMaps

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.inputs.calibration import CalibratedImage

DRAWS, SEED = 16, 2  # of the zero point


@dataclass
class Observation:
    """A map as the networks take it, and what is known of it.

    Attributes:
        flux: F in Lsun kpc⁻², (pixels, pixels); noise may make it negative.
        log_flux: log10 of it, not below the floor of training and the noise, (pixels, pixels).
        psf_sigma: of the stars on this map, pixels; where nothing tells it, that of the clean training maps.
        noise: standard deviation of white noise in a pixel, Lsun kpc⁻²; 0: none is known.
        mask: pixels that had no value and took their nearest neighbour's, (pixels, pixels).
        wcs: astropy's WCS of these pixels; None for an NPY map.
        sky: F in a pixel of an even light that is still in the map, Lsun kpc⁻²; None: none was found, or no room to.
        draws: factors by which an error of the zero point may change all flux, (n,); None where it has none.
        warnings: what was mended, assumed or looks odd, in plain words.
    """

    flux: Map
    log_flux: Map
    psf_sigma: float
    noise: float
    mask: NDArray[np.bool_]
    wcs: Any = None
    sky: float | None = None
    draws: Map | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def factors(self) -> Map:
        """Of all flux, (n,): the draws, or 1 where there are none."""
        return np.ones(1) if self.draws is None else self.draws

    @property
    def possible(self) -> Map:
        """Log10 F with each of the factors, (n, pixels, pixels)."""
        return self.log_flux + np.log10(self.factors)[:, None, None]

    def statistics(self, model: Any) -> "Tensor":
        """What a network reads of the map with each of the factors, (n, statistics).

        Args:
            model: a ``MapReader``, on any device.
        """
        import torch

        factors = torch.from_numpy(self.factors).to(model.device, torch.float32)
        flux = torch.from_numpy(self.flux).to(factors) * factors[:, None, None, None]
        psf_sigma = torch.full_like(factors, self.psf_sigma)
        found: Tensor = model.statistics(flux, psf_sigma, self.noise * factors)
        return found


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
    seen.warnings += checks.noise(seen.flux, seen.noise, maps.noise_range)
    seen.warnings += checks.offset(flux, maps.pixel_arcsec) + checks.beyond_field(flux, maps.pixel_arcsec)
    seen.warnings = list(dict.fromkeys(seen.warnings))  # two bands may say the same
    return seen


def read_npy(path: Path, maps: TrainingMaps) -> Observation:
    """The map of an NPY file of log10 F/(Lsun kpc⁻²), (pixels, pixels).

    Raises:
        InputError: it is another kind of file or shape, or lacks too many values.
    """
    array = npy.read_npy(path, "a map of log10 F/(Lsun kpc-2)")
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: not an NPY array of numbers; give a map of log10 F/(Lsun kpc-2)")
    if array.shape != (maps.pixels, maps.pixels):
        wanted = f"{maps.pixels} x {maps.pixels} pixels of {maps.pixel_arcsec:g} arcsec"
        raise InputError(f"{path}: shape {array.shape}; give a map of {wanted}")
    log_flux = np.array(array, dtype=np.float64)
    with np.errstate(over="ignore"):
        missing = ~np.isfinite(10.0**log_flux) | zero_blocks(10.0**log_flux) | zero_blocks(log_flux)
    warnings = checks.saturation(np.where(missing, np.nan, log_flux))
    log_flux = filled(path, log_flux, missing, warnings)
    return observed(10**log_flux, maps.psf_sigma, 0.0, maps, mask=missing, warnings=warnings)


def read_fits(path: Path, maps: TrainingMaps, options: FitsOptions) -> Observation:
    """The field of a FITS file's V image, or of its images in other bands, on the grid of the training maps.

    Raises:
        InputError: see ``read_observation``.
    """
    images = calibrated_images(path, options)
    (first, image), *_ = images
    center = None if options.center is None else sky_position(options.center)
    target = target_grid(first, image.wcs, image.flux.shape, center, maps.pixels, maps.pixel_arcsec)
    psf_arcsec = wanted_sigma([image for _, image in images], maps)
    bands = [
        on_training_grid(file, image, target, psf_arcsec, maps, options, number)
        for number, (file, image) in enumerate(images)
    ]
    try:
        v = visual([band.image for band in bands], [band.noise for band in bands])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    missing = ~np.isfinite(v.flux)
    warnings = [text for band in bands for text in band.warnings] + v.warnings
    flux = filled(path, v.flux, missing, warnings)
    skies = [band.sky for band in bands if band.sky is not None]
    return observed(
        flux,
        psf_arcsec / maps.pixel_arcsec,
        v.noise,
        maps,
        mask=missing,
        wcs=target,
        sky=float(np.mean(skies)) if skies else None,
        draws=zero_point_factors(v.zero_point_mag) if v.zero_point_mag else None,
        warnings=warnings,
    )


def observed(flux: Map, psf_sigma: float, noise: float, maps: TrainingMaps, **known: Any) -> Observation:
    """An observation of a flux map; what is known besides is as in :class:`Observation`."""
    log_flux = np.log10(np.maximum(flux, max(10.0**maps.log_flux_floor, noise)))
    return Observation(flux, log_flux, psf_sigma, noise, **known)


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


def zero_point_factors(mag: float) -> Map:
    """By which a zero point with a standard deviation in magnitudes may change all flux, (DRAWS,)."""
    return np.asarray(10 ** (0.4 * mag * np.random.default_rng(SEED).standard_normal(DRAWS)))
