"""An image of the sky brought to the field and the pixels of the training maps."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

Map = NDArray[np.float64]

LARGEST_PIXEL = 20.0  # arcsec; a larger one has lost its scale: half a field
DEGREE = 3600.0  # arcsec


def pixel_matrix(path: Path, wcs: "WCS", x: float, y: float) -> Map:
    """Arcsec to the east and to the north (rows) of a step along x and y (columns), at a pixel of an image.

    Raises:
        InputError: a pixel has no size there.
    """
    with np.errstate(all="ignore"):
        try:
            here, right, up = (wcs.pixel_to_world(x + dx, y + dy).icrs for dx, dy in ((0, 0), (1, 0), (0, 1)))
        except (ValueError, np.linalg.LinAlgError) as error:
            raise InputError(f"{path}: its WCS cannot be used ({error}); mend CD or CDELT and PC") from error
        matrix = np.array([[step.arcsec for step in here.spherical_offsets_to(to)] for to in (right, up)]).T
    scale = np.sqrt(abs(np.linalg.det(matrix))) if np.isfinite(matrix).all() else 0.0
    if not 1e-3 < scale:
        raise InputError(f"{path}: a pixel has no size on the sky: CD, or CDELT with PC, is zero or singular; mend it")
    if scale > LARGEST_PIXEL:
        raise InputError(f"{path}: a pixel of {scale:g} arcsec; CD or CDELT is missing, or not in degrees: add it")
    return matrix


def sky_position(center: str) -> "SkyCoord":
    """The position "RA DEC", in degrees or sexagesimal (hours and degrees).

    Raises:
        InputError: it is no position.
    """
    from astropy import units
    from astropy.coordinates import SkyCoord

    hours = any(mark in center for mark in (":", "h")) or len(center.split()) > 2
    try:
        return SkyCoord(center, unit=(units.hourangle if hours else units.deg, units.deg))
    except ValueError as error:
        raise InputError(f'"{center}" is no position; give "RA DEC", such as "250.42 36.46"') from error


def target_grid(
    path: Path, wcs: "WCS", shape: tuple[int, ...], center: "SkyCoord | None", pixels: int, pixel: float
) -> "WCS":
    """TAN coordinates of ``pixels`` x ``pixels`` of ``pixel`` arcsec around a position, turned like the image there.

    Where the image has pixels of that size, those of the grid fall on them.

    Args:
        path: of the file, for the message.
        wcs: of the image.
        shape: of the image.
        center: the middle of the grid; None: that of the image.
        pixels: of a side.
        pixel: side of a pixel, arcsec.

    Raises:
        InputError: a pixel of the image has no size.
    """
    from astropy.wcs import WCS

    x, y = (np.array(shape[::-1]) - 1) / 2 if center is None else pixel_of(path, wcs, shape, center)
    matrix = pixel_matrix(path, wcs, x, y)
    u, _, v = np.linalg.svd(matrix)
    if np.allclose(matrix, pixel * u @ v, atol=1e-3 * pixel):
        x, y = (np.round(k - (pixels - 1) / 2) + (pixels - 1) / 2 for k in (x, y))
    middle = wcs.pixel_to_world(x, y).icrs
    target = WCS(naxis=2)
    target.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    target.wcs.crval = [middle.ra.deg, middle.dec.deg]
    target.wcs.crpix = [(pixels + 1) / 2] * 2
    target.wcs.cd = u @ v * pixel / DEGREE
    target.wcs.radesys = "ICRS"
    target.pixel_shape = (pixels, pixels)
    target.wcs.set()
    return target


def pixel_of(path: Path, wcs: "WCS", shape: tuple[int, ...], position: "SkyCoord") -> Map:
    """The pixel (x, y) of an image at a position.

    Raises:
        InputError: it lies outside the image.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = np.array(wcs.world_to_pixel(position), dtype=float)
        except ValueError:  # NoConvergence: far from where a distortion holds
            found = np.full(2, np.nan)
    size = np.array(shape[::-1])
    if not ((found > -0.5) & (found < size - 0.5)).all():
        middle = wcs.pixel_to_world(*(size - 1) / 2).icrs
        away = middle.separation(position)
        distance = f"{away.arcsec:.0f} arcsec" if away.deg < 1 else f"{away.deg:.1f} degrees"
        raise InputError(
            f"{path}: points elsewhere: the field's middle, {position.icrs.to_string('decimal')}, is not on it, "
            f"but {distance} from its own, {middle.to_string('decimal')}; correct --center, or give another file"
        )
    return found


@dataclass(frozen=True)
class Place:
    """Where a grid lies on an image.

    Attributes:
        middle: pixel (x, y) of the image in the middle of the grid.
        scale: sides (x, y) of a pixel of the image there, arcsec.
        area: of that pixel, square arcsec.
        half: side of the grid over two, arcsec.
        shape: of the image.
    """

    middle: Map
    scale: Map
    area: float
    half: float
    shape: tuple[int, ...]

    @classmethod
    def of(cls, path: Path, wcs: "WCS", shape: tuple[int, ...], target: "WCS") -> "Place":
        """Of the grid ``target`` on an image.

        Raises:
            InputError: the image does not cover the grid.
        """
        pixels = np.array(target.pixel_shape)
        middle = pixel_of(path, wcs, shape, target.pixel_to_world(*(pixels - 1) / 2))
        matrix = pixel_matrix(path, wcs, *middle)
        scale, half = np.hypot(*matrix), pixels[0] / 2 * pixel_side(target)
        nearest = np.minimum(middle + 0.5, np.array(shape[::-1]) - 0.5 - middle) * scale  # edges, arcsec
        if (nearest < 0.998 * half - 0.5 * scale).any():
            width, height = 2 * nearest
            raise InputError(
                f"{path}: covers {width:.1f} x {height:.1f} arcsec around the field's middle; "
                f"give at least {2 * half:g} x {2 * half:g}, or another --center"
            )
        return cls(middle, scale, float(abs(np.linalg.det(matrix))), half, shape)

    def part(self, reach: float) -> tuple[slice, slice]:
        """Rows and columns of the image that hold the grid and, where there are any, ``reach`` arcsec around it."""
        pixels = (self.half + reach) / self.scale
        first = np.maximum(np.floor(self.middle - pixels + 0.5), 0).astype(int)
        last = np.minimum(np.ceil(self.middle + pixels + 0.5), self.shape[::-1]).astype(int)
        return slice(first[1], last[1]), slice(first[0], last[0])

    def offsets(self) -> tuple[Map, Map]:
        """Of each pixel from the grid's middle along x and along y, arcsec, (H, W) each."""
        y, x = np.indices(self.shape)
        return (x - self.middle[0]) * self.scale[0], (y - self.middle[1]) * self.scale[1]

    def distance(self) -> Map:
        """Of each pixel from the grid's middle along x or y, whichever is more, arcsec, (H, W)."""
        x, y = self.offsets()
        return np.maximum(np.abs(x), np.abs(y))


def pixel_side(target: "WCS") -> float:
    """Of a grid of square pixels, arcsec."""
    return float(abs(np.linalg.det(target.wcs.cd)) ** 0.5 * DEGREE)


def on_grid(flux: Map, wcs: "WCS", target: "WCS", area: float) -> Map:
    """An image on the pixels of a grid.

    Where those are the image's own they are cut. Where they are larger, each takes what it overlaps, so that flux is
    conserved. Where they are smaller, a cubic spline goes between the image's: squares of even light look like sharp
    stars to a network.

    Args:
        flux: in a pixel of the image, (H, W); NaN: no value.
        wcs: of the image.
        target: of the grid, whose pixels are square.
        area: of a pixel of the image, square arcsec.
    """
    from reproject import reproject_exact

    pixels, side = target.pixel_shape[0], pixel_side(target)
    corners = np.array([[0.0, pixels - 1, 0.0], [0.0, 0.0, pixels - 1]])
    offset = np.array(wcs.world_to_pixel(target.pixel_to_world(*corners))) - corners
    x, y = np.round(offset[:, 0]).astype(int)
    inside = 0 <= x <= flux.shape[1] - pixels and 0 <= y <= flux.shape[0] - pixels
    if inside and np.abs(offset - [[x], [y]]).max() < 0.05:
        return flux[y : y + pixels, x : x + pixels]
    if area > side**2:
        return between(flux / area, wcs, target) * side**2
    return reproject_exact((flux / area, wcs), target, shape_out=(pixels, pixels), return_footprint=False) * side**2


def between(brightness: Map, wcs: "WCS", target: "WCS") -> Map:
    """Brightness at the pixels of a grid by a cubic spline; NaN where the nearest pixel of the image has none."""
    from reproject import reproject_interp
    from scipy.ndimage import distance_transform_edt

    missing = ~np.isfinite(brightness)
    if missing.all():
        return np.full(target.pixel_shape, np.nan)
    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    whole = brightness[tuple(nearest)]
    smooth = reproject_interp((whole, wcs), target, target.pixel_shape, order="bicubic", return_footprint=False)
    holes = reproject_interp((missing * 1.0, wcs), target, target.pixel_shape, order=0, return_footprint=False)
    return np.where(holes == 0, smooth, np.nan)
