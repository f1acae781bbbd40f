"""An astronomer's picture of a cluster, FITS or NPY, brought to the maps that the networks were trained on.

That is log10 F/(Lsun kpc⁻²) in 160 x 160 pixels of 0.25 arcsec, where F = L_V / (4π D²), seen with a Gaussian
point-spread function of sigma 1 arcsec. Of a FITS file these cards are read; what they leave open is told as a warning.

BUNIT     log10(Lsun/kpc2) or Lsun/kpc2: a finished V map; mag/arcsec2, mag (of a pixel), or counts such as adu
MAGZPT    of counts: the magnitude of one count; stacks of Pan-STARRS 1 have cards of their own instead
FILTER    V, or g and r of Pan-STARRS 1 in two images of one file; a finished map needs none
A_V, EBV  extinction in V, or reddening E(B-V), still to be corrected
PSFFWHM   width of a star, arcsec
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.inputs.photometry import EXTINCTION, flux_of_magnitude, linear_counts, smoothed, visual_flux

Map = NDArray[np.float64]

SIDE = 160  # pixels
PIXEL = 0.25  # arcsec
PSF_SIGMA = 1.0  # arcsec, of the training maps: maps.psf_sigma in params.yaml, 4 pixels
MARGIN = 5.0  # arcsec around the field, for the smoothing
LOG_FLOOR = -8.0  # log10 Lsun kpc⁻², the darkest pixel of a training map
MASKED = 0.05  # largest share of pixels without a value
SATURATED = 0.005  # smallest share of pixels at the highest value that looks like saturation

FINISHED = ("log10(Lsun/kpc2)", "Lsun/kpc2")
MAGNITUDES = ("mag/arcsec2", "mag")
COUNTS = ("adu", "ct", "count", "counts", "DN", "electron", "electrons", "adu/s", "ct/s", "count/s", "electron/s")


@dataclass
class Observation:
    """A map as the networks take it.

    Attributes:
        log_flux: log10 F/(Lsun kpc⁻²), (160, 160).
        wcs: astropy's WCS of these pixels; None for an NPY map.
        warnings: what was mended, assumed or looks odd, in plain words.
    """

    log_flux: Map
    wcs: Any = None
    warnings: list[str] = field(default_factory=list)


def read_observation(path: Path, band: str | None = None) -> Observation:
    """Read a FITS or NPY map.

    Args:
        path: the file.
        band: the filter of a picture whose header has no card FILTER.

    Raises:
        InputError: the file is no map, a FITS file lacks units, filter, zero point or WCS, the
            map covers less than 40 arcsec, is empty, or has no value in more than 5 % of its pixels.
    """
    if path.suffix.lower() == ".npy":
        seen = Observation(read_npy(path))
    else:
        seen = read_fits(path, band)
    seen.log_flux = np.maximum(seen.log_flux, LOG_FLOOR)
    empty = ~np.isfinite(seen.log_flux)
    share = f"{100 * empty.mean():.1f} % of the pixels"
    if empty.mean() > MASKED:
        raise InputError(f"{path}: {share} have no value; at most 5 % may be masked")
    if empty.any():
        from scipy.ndimage import distance_transform_edt

        nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
        seen.log_flux = seen.log_flux[tuple(nearest)]
        seen.warnings.append(f"{share} had no value and took their nearest neighbour's")
    if np.ptp(seen.log_flux) == 0:
        raise InputError(f"{path}: all pixels are equal; the map is empty or saturated, give another")
    highest = (seen.log_flux == seen.log_flux.max()).mean()
    if highest > SATURATED:
        seen.warnings.append(f"{100 * highest:.1f} % of the pixels share the highest value: it looks saturated")
    return seen


def read_npy(path: Path) -> Map:
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
    return log_flux


def read_fits(path: Path, band: str | None) -> Observation:
    """The central 40 arcsec of a FITS file's V image, or of its g and r images.

    Raises:
        InputError: see ``read_observation``.
    """
    bands: dict[str, tuple[Map, Any]] = {}
    remarks: dict[str, None] = {}  # in the order told, each once
    for data, header in images(path):
        unit, name = unit_of(path, header), filter_of(path, header, band)
        picture, wcs = middle(path, data, celestial_wcs(path, header))
        flux = linear(path, picture, unit, header, wcs)
        if unit not in FINISHED:
            flux = flux * 10 ** (0.4 * EXTINCTION[name] * extinction(path, header, remarks))
        bands.setdefault(name, (sharpness_matched(path, flux, unit, header, wcs, remarks), wcs))
    if "V" in bands:
        flux, wcs = bands["V"]
    elif {"g", "r"} <= set(bands) and bands["g"][0].shape == bands["r"][0].shape:
        flux, wcs = visual_flux(bands["g"][0], bands["r"][0]), bands["r"][1]
        remarks["V was made of g and r taken as those of Pan-STARRS 1"] = None
    else:
        raise InputError(
            f"{path}: has {', '.join(bands)}; give V, or g and r of the same pixels as two images of a file"
        )
    flux, wcs = on_grid(flux, wcs)
    negative = (flux < 0).mean()
    if negative:
        remarks[f"{100 * negative:.1f} % of the pixels were negative and set to the darkest flux"] = None
    with np.errstate(divide="ignore"):
        return Observation(np.log10(np.maximum(flux, 0.0)), wcs, list(remarks))


# --- what the header says -----------------------------------------------------------------------


def images(path: Path) -> Iterator[tuple[Any, Any]]:
    """Data and header of the images of a FITS file.

    Raises:
        InputError: it has none, or one that is not flat.
    """
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a cut file, which fails as its data are read
            with fits.open(path, memmap=False) as hdus:
                found = [(hdu.data, hdu.header) for hdu in hdus if hdu.is_image and hdu.data is not None]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a readable FITS file; give a FITS image") from error
    if not found:
        raise InputError(f"{path}: holds no image; give a FITS image")
    for data, _ in found:
        if data.ndim != 2:
            raise InputError(f"{path}: the image has {data.ndim} axes; give one of two, a single band")
    yield from found


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


def unit_of(path: Path, header: Any) -> str:
    """The unit of an image; stacks of Pan-STARRS 1, known by BSOFTEN, count.

    Raises:
        InputError: no known unit.
    """
    unit = str(header.get("BUNIT", "")).replace(" ", "").replace("**", "")
    known = {u.lower(): u for u in (*FINISHED, *MAGNITUDES, *COUNTS)}
    if "BSOFTEN" in header:
        return COUNTS[0]
    if unit.lower() not in known:
        raise InputError(
            f"{path}: BUNIT is {unit!r}; set it to one of {', '.join((*FINISHED, *MAGNITUDES, COUNTS[0]))}"
        )
    return known[unit.lower()]


def filter_of(path: Path, header: Any, band: str | None) -> str:
    """V, g or r; a finished map without a card is V.

    Raises:
        InputError: another filter, or none named.
    """
    cards = [str(header[card]) for card in ("FILTER", "BAND", "FPA.FILTER", "FPA.FILTERID") if card in header]
    default = "V" if unit_of(path, header) in FINISHED else ""
    name = (cards[0] if cards else band or default).strip().split(".")[0]
    if name not in EXTINCTION:
        raise InputError(f"{path}: filter {name!r}; give V, or g and r (card FILTER, or --band where it is missing)")
    return name


def number(path: Path, header: Any, card: str) -> float:
    """The value of a card.

    Raises:
        InputError: it is no finite number.
    """
    try:
        value = float(header[card])
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"{path}: card {card} is {header[card]!r}; make it a number")
    return value


def zero_point(path: Path, header: Any) -> float:
    """The magnitude of one count.

    Raises:
        InputError: no card tells it.
    """
    for card in ("MAGZPT", "MAGZERO", "PHOTZP"):
        if card in header:
            return number(path, header, card)
    if "FPA.ZP" in header and "EXPTIME" in header:  # of Pan-STARRS 1: Waters et al. (2020), zero point of a second
        return number(path, header, "FPA.ZP") + 2.5 * float(np.log10(number(path, header, "EXPTIME")))
    raise InputError(f"{path}: counts without a zero point; add the card MAGZPT, the magnitude of one count")


def extinction(path: Path, header: Any, remarks: dict[str, None]) -> float:
    """A_V in magnitudes."""
    if "A_V" in header:
        return number(path, header, "A_V")
    if "EBV" in header:
        return 3.1 * number(path, header, "EBV")
    remarks["no extinction was corrected: the header has neither A_V nor EBV"] = None
    return 0.0


# --- pixels -------------------------------------------------------------------------------------


def linear(path: Path, picture: Map, unit: str, header: Any, wcs: Any) -> Map:
    """Flux of each pixel in Lsun kpc⁻² as if its filter were V.

    Raises:
        InputError: counts without a zero point.
    """
    if unit == FINISHED[0]:
        return 10.0**picture
    if unit == FINISHED[1]:
        return picture
    if unit == "mag":
        return flux_of_magnitude(picture)
    if unit == "mag/arcsec2":
        return flux_of_magnitude(picture) * np.prod(pixel_scale(wcs))
    if "BSOFTEN" in header:
        picture = linear_counts(picture, number(path, header, "BOFFSET"), number(path, header, "BSOFTEN"))
    return picture * flux_of_magnitude(zero_point(path, header))


def pixel_scale(wcs: Any) -> Map:
    """Sides of a pixel along x and y, arcsec."""
    from astropy.wcs.utils import proj_plane_pixel_scales

    return 3600 * np.asarray(proj_plane_pixel_scales(wcs))


def middle(path: Path, data: Any, wcs: Any) -> tuple[Map, Any]:
    """The middle of an image, the field of 40 arcsec and a margin where there is one, with its WCS.

    Raises:
        InputError: the image covers less than the field.
    """
    scale, size = pixel_scale(wcs), np.array(data.shape[::-1])
    if (size * scale < 0.999 * SIDE * PIXEL).any():
        width, height = size * scale
        raise InputError(f"{path}: covers {width:.1f} x {height:.1f} arcsec; give at least 40 x 40")
    wanted = np.ceil((SIDE * PIXEL + 2 * MARGIN) / scale).astype(int)
    wanted += (size - wanted) % 2  # the same middle
    window = window_of(size, np.minimum(size, wanted))
    return data[window].astype(np.float64), wcs[window]


def window_of(size: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[slice, slice]:
    """Slices (y, x) of the middle of an image of ``size`` (x, y)."""
    x, y = (size - wanted) // 2
    return np.s_[y : y + wanted[1], x : x + wanted[0]]


def sharpness_matched(path: Path, flux: Map, unit: str, header: Any, wcs: Any, remarks: dict[str, None]) -> Map:
    """Smooth a picture that is sharper than the training maps to their width of a star."""
    if "PSFFWHM" not in header:
        if unit not in FINISHED:
            remarks["the stars were taken to be as wide as in training: the header has no PSFFWHM"] = None
        return flux
    sigma = number(path, header, "PSFFWHM") / (8 * np.log(2)) ** 0.5
    if sigma > 1.1 * PSF_SIGMA:
        remarks[f"the stars are wider ({header['PSFFWHM']} arcsec) than in training (2.35): distances will be off"] = (
            None
        )
    if sigma >= PSF_SIGMA:
        return flux
    return smoothed(flux, (PSF_SIGMA**2 - sigma**2) ** 0.5 / pixel_scale(wcs)[::-1])


def on_grid(flux: Map, wcs: Any) -> tuple[Map, Any]:
    """The central 40 arcsec in pixels of 0.25 arcsec, with its WCS.

    An image of that pixel size is cut; another is resampled in its own projection and orientation,
    each new pixel taking what it overlaps, so that the flux is conserved.
    """
    from reproject import reproject_exact

    scale, size = pixel_scale(wcs), np.array(flux.shape[::-1])
    if np.allclose(scale, PIXEL, rtol=1e-3):
        window = window_of(size, np.array([SIDE, SIDE]))
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
