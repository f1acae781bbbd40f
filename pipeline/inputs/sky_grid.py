"""An image of the sky brought to the field and the pixels of the training maps."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Map = NDArray[np.float64]

MARGIN = 5.0  # arcsec around the field, for the smoothing


def pixel_scale(wcs: Any) -> Map:
    """Sides of a pixel along x and y, arcsec."""
    from astropy import units
    from astropy.wcs.utils import proj_plane_pixel_scales

    return np.array([(side * units.deg).to_value(units.arcsec) for side in proj_plane_pixel_scales(wcs)])


def middle(path: Path, data: Any, wcs: Any, field: float) -> tuple[Map, Any]:
    """The middle of an image, the field and a margin where there is one, with its WCS.

    Args:
        path: of the file, for the message.
        data: the image.
        wcs: of the image.
        field: side of the field, arcsec.

    Raises:
        InputError: the image covers less than the field.
    """
    scale, size = pixel_scale(wcs), np.array(data.shape[::-1])
    if (size * scale < 0.999 * field).any():
        width, height = size * scale
        raise InputError(f"{path}: covers {width:.1f} x {height:.1f} arcsec; give at least {field:g} x {field:g}")
    wanted = np.ceil((field + 2 * MARGIN) / scale).astype(int)
    wanted += (size - wanted) % 2  # the same middle
    return cut(data, wcs, np.minimum(size, wanted))


def cut(data: Any, wcs: Any, size: NDArray[np.int64]) -> tuple[Map, Any]:
    """The middle ``size`` (x, y) pixels of an image, with its WCS."""
    from astropy.nddata import Cutout2D

    centre = (np.array(data.shape[::-1]) - 1) / 2
    part = Cutout2D(data, tuple(centre), tuple(size[::-1]), wcs=wcs)
    return part.data.astype(np.float64), part.wcs


def on_grid(flux: Map, wcs: Any, pixels: int, pixel: float) -> tuple[Map, Any]:
    """The middle of an image on a grid of ``pixels`` x ``pixels`` of ``pixel`` arcsec, with its WCS.

    An image of that pixel size is cut; another is resampled in its own projection and orientation,
    each new pixel taking what it overlaps, so that the flux is conserved.
    """
    from reproject import reproject_exact

    scale, size = pixel_scale(wcs), np.array(flux.shape[::-1])
    if np.allclose(scale, pixel, rtol=1e-3):
        return cut(flux, wcs, np.array([pixels, pixels]))
    target = wcs.deepcopy()
    target.sip = None
    zoom = pixel / scale
    target.wcs.crpix = (wcs.wcs.crpix - (size + 1) / 2) / zoom + (pixels + 1) / 2
    if wcs.wcs.has_cd():
        target.wcs.cd = wcs.wcs.cd * zoom
    else:
        target.wcs.pc = wcs.wcs.get_pc() * zoom
    resampled, _ = reproject_exact((flux / np.prod(scale), wcs), target, shape_out=(pixels, pixels))
    return resampled * pixel**2, target
