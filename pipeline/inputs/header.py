"""What the header of an astronomer's FITS file says: unit, filter, zero point, extinction, width of the stars, sky."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError

CARDS = """\
Cards that are read of a FITS file; what they leave open is told as a warning:
  BUNIT      log10(Lsun/kpc2) or Lsun/kpc2, a finished V map; mag/arcsec2; mag of a pixel; or counts such as adu
  CTYPE1 ... the world coordinates: they tell the size of a pixel; any size will do, the field must be 40 arcsec
  MAGZPT     of counts: the magnitude of one count; stacks of Pan-STARRS 1 have cards of their own instead
  FILTER     V, or g and r of Pan-STARRS 1 in two images of one file; a finished map needs none
  A_V, EBV   extinction in V, or reddening E(B-V), still to be corrected
  PSFFWHM    width of a star (full width at half maximum), arcsec
"""
BANDS = ("V", "g", "r")
FINISHED = ("log10(Lsun/kpc2)", "Lsun/kpc2")
MAGNITUDES = ("mag/arcsec2", "mag")
COUNTS = ("adu", "ct", "count", "counts", "DN", "electron", "electrons", "adu/s", "ct/s", "count/s", "electron/s")
R_V = 3.1  # A_V / E(B-V)


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

    Args:
        path: of the file, for the message.
        header: of the image.
        band: the filter where the header has none.

    Raises:
        InputError: another filter, or none named.
    """
    cards = [str(header[card]) for card in ("FILTER", "BAND", "FPA.FILTER", "FPA.FILTERID") if card in header]
    default = "V" if unit_of(path, header) in FINISHED else ""
    name = (cards[0] if cards else band or default).strip().split(".")[0]
    if name not in BANDS:
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
        InputError: the header does not tell it.
    """
    for card in ("MAGZPT", "MAGZERO", "PHOTZP"):
        if card in header:
            return number(path, header, card)
    if "FPA.ZP" in header and "EXPTIME" in header:  # of Pan-STARRS 1: Waters et al. (2020), zero point of a second
        return number(path, header, "FPA.ZP") + 2.5 * float(np.log10(number(path, header, "EXPTIME")))
    raise InputError(f"{path}: counts without a zero point; add the card MAGZPT, the magnitude of one count")


def extinction(path: Path, header: Any) -> float | None:
    """A_V in magnitudes; None where the header has neither it nor the reddening."""
    if "A_V" in header:
        return number(path, header, "A_V")
    if "EBV" in header:
        return R_V * number(path, header, "EBV")
    return None


def psf_fwhm(path: Path, header: Any, otherwise: float | None) -> float | None:
    """Full width at half maximum of a star in arcsec; ``otherwise`` where the header does not tell it."""
    return number(path, header, "PSFFWHM") if "PSFFWHM" in header else otherwise
