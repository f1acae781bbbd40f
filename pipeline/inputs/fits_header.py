"""The header of a FITS image: cards that can be read, those inherited from the primary header, places on the sky."""

import re
from typing import Any

import numpy as np

from pipeline.errors import InputError, one_line

WCS_CARDS = re.compile(
    r"(WCSAXES|C(TYPE|RVAL|RPIX|DELT|UNIT|ROTA)\d+|CD\d+_\d+|PC\d+_\d+|PC\d{6}|P[VS]\d+_\d+"
    r"|(A|B|AP|BP)_(\d_\d|ORDER|DMAX)|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX)"
)
SIP_CARDS = re.compile(r"(A|B|AP|BP)_(\d_\d|ORDER|DMAX)")
NUMBERS = re.compile(r"C(RVAL|RPIX|DELT|ROTA)\d+|CD\d+_\d+|PC\d+_\d+|PC\d{6}|PV\d+_\d+|(A|B|AP|BP)_(\d_\d|ORDER)")
STRUCTURE = re.compile(  # cards that tell of one extension alone
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|[PG]COUNT|GROUPS|BZERO|BSCALE|BLANK|DATAM(IN|AX)|EXT(NAME|VER|LEVEL)"
    r"|CHECKSUM|DATASUM|INHERIT|UTYPE|IMAGETYP|Z(IMAGE|BITPIX|NAXIS\d*|CMPTYPE|NAME\d+|VAL\d+|TILE\d+|BLANK|QUANTIZ)"
)
PHOTOMETRY = re.compile(
    r"BUNIT|BLANK|FILTER\d?|BAND|MAGZPT|MAGZERO|PHOTZP|MAGZP|ZP|ZEROPT|EXPTIME|PHOTFLAM|PHOTPLAM|BSOFTEN|BOFFSET|FPA.*"
    r"|A_V|EBV|PSFFWHM|SEEING|SURVEY|NMGY|FLUXMAG0"
)


def whole_header(own: Any, primary: Any) -> Any:
    """The header of an extension with what it inherits from the primary header, by the convention of INHERIT.

    Raises:
        InputError: a card of the WCS or of the photometry cannot be read.
    """
    header = without_broken_cards(own)
    if own is primary or header.get("INHERIT") is False:
        return header
    for card in without_broken_cards(primary).cards:
        name = card.keyword
        told = str(header.get(name, "")).strip() != ""
        if told or name in ("", "COMMENT", "HISTORY") or STRUCTURE.fullmatch(name) or WCS_CARDS.fullmatch(name):
            continue
        header[name] = (card.value, card.comment)
    return header


def without_broken_cards(header: Any) -> Any:
    """A copy of a header without broken cards.

    Raises:
        InputError: a broken one is needed: of the WCS or of the photometry.
    """
    from astropy.io import fits

    needed = re.compile(rf"{WCS_CARDS.pattern}|{PHOTOMETRY.pattern}")
    copy = fits.Header()
    for card in header.cards:
        try:
            value = card.value
        except (fits.VerifyError, ValueError) as error:
            if needed.fullmatch(card.keyword):
                raise InputError(f"card {card.keyword} cannot be read ({one_line(card)}); mend it") from error
            continue
        if isinstance(value, str) and NUMBERS.fullmatch(card.keyword):
            value = number({card.keyword: value}, card.keyword)
        copy.append(fits.Card(card.keyword, value, card.comment), end=True)
    return copy


def number(header: Any, card: str) -> float:
    """The value of a card.

    Raises:
        InputError: it is no finite number.
    """
    try:
        value = float(header.get(card))
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"card {card} is {header.get(card)!r}; make it a number")
    return value


def has_sky(header: Any) -> bool:
    """Whether a header speaks of places on the sky."""
    return any(re.match(r"RA--|DEC-|.LON|.LAT", str(header.get(f"CTYPE{i}", ""))) for i in (1, 2, 3, 4))


def celestial_wcs(header: Any, shape: tuple[int, ...], hdus: Any, remarks: list[str]) -> Any:
    """The sky coordinates of a flat image; None where its header has none.

    Axes other than the two on the sky are left out. SIP cards that CTYPE does not speak of are left over from another
    projection and not used, as the convention says (Shupe et al. 2005).

    Args:
        header: of the image.
        shape: of its data, with axes of length 1.
        hdus: the file, for tables of distortion.
        remarks: takes what was left out.

    Raises:
        InputError: they cannot be read, or tell no size of a pixel.
    """
    from astropy.wcs import WCS

    if not has_sky(header):
        return None
    if not any(re.fullmatch(r"CDELT\d|CD\d_\d|PC\d_\d|PC\d{6}", card) for card in header):
        raise InputError("the header tells no size of a pixel; add CD1_1 ... CD2_2, or CDELT1 and CDELT2")
    left_over = [c for c in header if SIP_CARDS.fullmatch(c)] if "-SIP" not in header.get("CTYPE1", "") else []
    if left_over:
        header = header.copy()
        for card in left_over:
            header.remove(card, ignore_missing=True, remove_all=True)
        remarks.append(f"SIP cards were not used: CTYPE1 is {header['CTYPE1']}, without -SIP")
    try:
        full = WCS(header, fobj=hdus)
        wcs = full.celestial
        singular = wcs.naxis != 2 or not abs(np.linalg.det(matrix(header, wcs))) > 0
    except (ValueError, AssertionError, np.linalg.LinAlgError, MemoryError) as error:  # astropy's WcsError among them
        raise InputError(f"its WCS cannot be read ({one_line(error)}); mend the header") from error
    if singular:
        raise InputError("the size of a pixel is 0: CD, or PC and CDELT, is singular; mend the header")
    long = [i for i, n in enumerate(reversed(shape)) if n > 1]
    if long != sorted((full.wcs.lng, full.wcs.lat)):
        raise InputError("the axes of the image are not those of the sky (CTYPE1, CTYPE2); give a plain image")
    return wcs


def matrix(header: Any, wcs: Any) -> Any:
    """Degrees on the sky for a pixel, (2, 2); where all of CD is 0, wcslib would take 1."""
    if any(re.fullmatch(r"CD\d_\d", card) for card in header):
        return [[header.get(f"CD{i}_{j}", 0.0) for j in (1, 2)] for i in (1, 2)] if wcs.wcs.naxis == 2 else np.eye(2)
    return wcs.pixel_scale_matrix
