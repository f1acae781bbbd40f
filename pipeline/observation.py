"""An astronomer's map of a cluster, FITS or NPY, brought to the kind that the networks were trained on.

That is log10 F/(Lsun kpc⁻²) in 160 x 160 pixels of 0.25 arcsec, where F = L_V / (4π D²).
"""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Map = NDArray[np.float64]

SIDE = 160  # pixels
PIXEL = 0.25  # arcsec
LOG_FLOOR = -8.0  # log10 Lsun kpc⁻², the darkest pixel of a training map
MASKED = 0.05  # largest share of pixels without a value
SATURATED = 0.005  # smallest share of pixels at the highest value that looks like saturation
UNITS = ("log10(Lsun/kpc2)", "Lsun/kpc2")


@dataclass
class Observation:
    """A map as the networks take it.

    Attributes:
        log_flux: log10 F/(Lsun kpc⁻²), (160, 160).
        wcs: astropy's WCS of these pixels; None for an NPY map.
        warnings: what was mended or looks odd, in plain words.
    """

    log_flux: Map
    wcs: Any = None
    warnings: list[str] = field(default_factory=list)


def read_observation(path: Path) -> Observation:
    """Read a FITS or NPY map.

    Raises:
        InputError: the file is no map, a FITS file lacks units or WCS, the map covers less than
            40 arcsec, is empty, or lacks values in more than 5 % of its pixels.
    """
    log_flux, wcs, remarks = (read_npy if path.suffix.lower() == ".npy" else read_fits)(path)
    log_flux = np.maximum(log_flux, LOG_FLOOR)
    empty = ~np.isfinite(log_flux)
    if empty.mean() > MASKED:
        raise InputError(f"{path}: {100 * empty.mean():.1f} % of the pixels have no value; at most 5 % may be masked")
    if empty.any():
        from scipy.ndimage import distance_transform_edt

        nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
        log_flux = log_flux[tuple(nearest)]
        remarks.append(f"{100 * empty.mean():.1f} % of the pixels had no value and took their nearest neighbour's")
    if np.ptp(log_flux) == 0:
        raise InputError(f"{path}: all pixels are equal; the map is empty or saturated, give another")
    highest = (log_flux == log_flux.max()).mean()
    if highest > SATURATED:
        remarks.append(f"{100 * highest:.1f} % of the pixels share the highest value: the picture looks saturated")
    return Observation(log_flux, wcs, remarks)


def read_npy(path: Path) -> tuple[Map, None, list[str]]:
    """Log10 flux of an NPY file of 160 x 160 pixels.

    Raises:
        InputError: it is another kind of file or shape.
    """
    try:
        log_flux = np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not an NPY array of numbers; give a map of log10 F/(Lsun kpc-2)") from error
    if log_flux.shape != (SIDE, SIDE):
        raise InputError(f"{path}: shape {log_flux.shape}; give a map of {SIDE} x {SIDE} pixels of {PIXEL} arcsec")
    return log_flux, None, []


def read_fits(path: Path) -> tuple[Map, Any, list[str]]:
    """Log10 flux, WCS and remarks of the central 40 arcsec of the first image in a FITS file.

    Raises:
        InputError: it is no FITS image, lacks units or WCS, or covers less.
    """
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a cut file, which fails as its data are read
            with fits.open(path, memmap=False) as hdus:
                image = next(hdu for hdu in hdus if hdu.is_image and hdu.data is not None)
                data, header = image.data, image.header
    except StopIteration as error:
        raise InputError(f"{path}: holds no image; give a FITS image") from error
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a readable FITS file; give a FITS image") from error
    if data.ndim != 2:
        raise InputError(f"{path}: the image has {data.ndim} axes; give one of two, a single band")
    unit = str(header.get("BUNIT", "")).replace(" ", "")
    if unit not in UNITS:
        raise InputError(f"{path}: BUNIT is {unit!r}; set it to one of {', '.join(UNITS)}")
    data = data.astype(np.float64)
    flux, wcs = central_field(path, 10.0**data if unit == UNITS[0] else data, celestial_wcs(path, header))
    negative = (flux < 0).mean()
    remarks = [f"{100 * negative:.1f} % of the pixels were negative and set to the darkest flux"] if negative else []
    with np.errstate(divide="ignore"):
        return np.log10(np.maximum(flux, 0.0)), wcs, remarks


def celestial_wcs(path: Path, header: Any) -> Any:
    """The sky coordinates of a FITS header.

    Raises:
        InputError: it has none.
    """
    from astropy.wcs import WCS, FITSFixedWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            wcs = WCS(header)
    except ValueError as error:  # astropy's WcsError among them
        raise InputError(f"{path}: its WCS cannot be read ({error}); mend the header") from error
    if not wcs.has_celestial:
        raise InputError(f"{path}: no celestial WCS in the header (CTYPE, CRVAL, CRPIX, CD); add it")
    return wcs


def central_field(path: Path, flux: Map, wcs: Any) -> tuple[Map, Any]:
    """The central 40 arcsec in pixels of 0.25 arcsec, with its WCS.

    An image of that pixel size is cut; another is resampled in its own projection and orientation,
    each new pixel taking what it overlaps, so that the flux is conserved.

    Raises:
        InputError: the image covers less.
    """
    from astropy.wcs.utils import proj_plane_pixel_scales
    from reproject import reproject_exact

    scale = 3600 * proj_plane_pixel_scales(wcs)  # arcsec a pixel, along x and y
    size = np.array(flux.shape[::-1])
    if (size * scale < 0.999 * SIDE * PIXEL).any():
        width, height = size * scale
        raise InputError(f"{path}: covers {width:.1f} x {height:.1f} arcsec; give at least 40 x 40")
    if np.allclose(scale, PIXEL, rtol=1e-3):
        x, y = (size - SIDE) // 2
        window = np.s_[y : y + SIDE, x : x + SIDE]
        return flux[window], wcs[window]
    target = wcs.deepcopy()
    target.sip = None
    zoom = PIXEL / scale
    target.wcs.crpix = (wcs.wcs.crpix - (size + 1) / 2) / zoom + (SIDE + 1) / 2
    if wcs.wcs.has_cd():
        target.wcs.cd = wcs.wcs.cd * zoom
    else:
        target.wcs.pc = wcs.wcs.get_pc() * zoom
    resampled, _ = reproject_exact((flux / np.prod(scale), wcs), target, shape_out=(SIDE, SIDE))
    return resampled * PIXEL**2, target
