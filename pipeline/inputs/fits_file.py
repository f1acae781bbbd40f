"""A FITS file as people hand it out: which of its images is the picture, where it has no value, how sure it is."""

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROLES = {  # what an extension is by the first word of its EXTNAME, or IMAGETYP, in small letters without numbers
    "science": ("sci", "image", "science"),
    "mask": ("dq", "mask", "msk", "dqm", "flags"),
    "error": ("err", "error", "errors", "uncert", "uncertainty", "stddev", "std", "sigma", "rms"),
    "variance": ("variance", "var"),
    "inverse variance": ("ivar", "invvar"),
    "weight": ("wht", "weight", "wgt"),
    "other": ("con", "ctx", "exp", "psf", "psfimage", "preview", "thumbnail", "kernel", "bkg", "background", "sky")
    + ("flat", "bias", "dark", "zero", "model", "chi2", "residual", "depth", "nimage", "maskbits"),
}
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
BAD_BITS = {
    "HST": 1 | 2 | 4 | 8 | 16 | 128 | 512 | 4096,
    "JWST": 1,
}  # the others leave a value: ACS Data Handbook, JWST
SATURATED_BITS = {"HST": 256 | 2048, "JWST": 2}


@dataclass
class SkyImage:
    """An image of the sky.

    Attributes:
        name: number and name of its extension.
        data: in the unit of the header, NaN where it has no value, (H, W).
        header: its own, and what it inherits from the primary one.
        wcs: celestial, 2-D; None where the header has none.
        uncertainty: standard deviation of ``data``, (H, W); None where the file does not tell it.
        saturated: what the file's mask calls so, (H, W); None where it does not tell.
        warnings: what was mended or left out.
    """

    name: str
    data: Array
    header: Any
    wcs: Any
    uncertainty: Array | None = None
    saturated: Mask | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plane:
    """An image extension, not yet read.

    Attributes:
        index: number of the extension.
        hdu: of astropy.
        role: a key of ``ROLES``; science where nothing tells otherwise.
        told: whether its name tells the role.
    """

    index: int
    hdu: Any
    role: str
    told: bool

    @classmethod
    def of(cls, index: int, hdu: Any) -> "Plane":
        """By its names."""
        names = [hdu.name, hdu.header.get("IMAGETYP", ""), hdu.header.get("HDUCLAS2", "")]
        words = [re.sub(r"[\d\s,_].*", "", str(name).strip().lower()) for name in names]
        told = [role for word in words for role, known in ROLES.items() if word in known]
        return cls(index, hdu, told[0] if told else "science", bool(told))

    @property
    def shape(self) -> tuple[int, ...]:
        """Without axes of length 1."""
        return tuple(n for n in self.hdu.shape if n > 1)

    @property
    def has_sky(self) -> bool:
        """Whether the header speaks of places on the sky."""
        return bool(re.match(r"RA--|DEC-|.LON|.LAT", str(self.hdu.header.get("CTYPE1", ""))))

    def __str__(self) -> str:
        """Number and name."""
        name = "" if self.hdu.name == "PRIMARY" else self.hdu.name
        return f"{self.index} {name}".strip()


def science_images(path: Path, ext: str | None) -> tuple[list[SkyImage], list[str]]:
    """The images of a FITS file that may be the picture, whatever their band.

    Args:
        path: plain, or compressed by gzip, bzip2 or tile by tile (.fz).
        ext: number or name (``SCI``, ``SCI,2``) of the extension that the user wants; None: all.

    Returns:
        The images, and what was left out.

    Raises:
        InputError: the file cannot be read, has no such extension, no flat image, or a card that cannot be read.
    """
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a cut file, which fails as its data are read
            with fits.open(path, memmap=False, uint=False) as hdus:  # unsigned whole numbers would lose BLANK
                planes = [Plane.of(i, hdu) for i, hdu in enumerate(hdus) if hdu.is_image and hdu.shape]
                chosen = chosen_planes(planes, ext)
                images = [sky_image(plane, planes, hdus) for plane in chosen]
    except InputError:
        raise
    except (OSError, ValueError, TypeError, fits.VerifyError) as error:
        raise InputError("not a readable FITS file; give a FITS image") from error
    return images, left_out(planes, chosen)


def chosen_planes(planes: list[Plane], ext: str | None) -> list[Plane]:
    """The extensions that may be the picture: flat, of the sky, and nothing else by their names.

    Raises:
        InputError: there is none.
    """
    if not planes:
        raise InputError("holds no image; give a FITS image")
    if ext is not None:
        planes = [p for p in planes if is_named(p, ext)]
    if not planes:
        raise InputError(f"no image extension is {ext!r}; --ext takes a number or name of fits.info()")
    flat = [p for p in planes if len(p.shape) == 2]
    if not flat:
        axes = len(planes[0].shape)
        raise InputError(f"the image has {axes} axes longer than 1; give one of two, a single band")
    if ext is not None:
        return flat
    for wanted in (lambda p: p.role == "science", lambda p: p.told, lambda p: p.has_sky):
        flat = [p for p in flat if wanted(p)] or flat
    return flat


def is_named(plane: Plane, ext: str) -> bool:
    """Whether a user means this extension by ``1``, ``SCI`` or ``SCI,1``."""
    name, _, version = ext.strip().lower().partition(",")
    if name.isdigit():
        return plane.index == int(name)
    return plane.hdu.name.lower() == name and (not version or str(plane.hdu.ver) == version.strip())


def left_out(planes: list[Plane], chosen: list[Plane]) -> list[str]:
    """What is told of the extensions that are not the picture."""
    others = [f"{p} ({len(p.shape)}-D)" if len(p.shape) != 2 else f"{p} ({p.role})" for p in planes if p not in chosen]
    return [f"not taken as the picture: extension {', '.join(others)}"] if others else []


def sky_image(plane: Plane, planes: list[Plane], hdus: Any) -> SkyImage:
    """Read an extension with its mask and its uncertainty.

    Raises:
        InputError: a card cannot be read.
    """
    header, remarks = whole_header(plane, hdus)
    data = pixels(plane)
    image = SkyImage(str(plane), data, header, celestial_wcs(header, hdus, remarks), warnings=remarks)
    for other in planes:
        if not belongs(other, plane):
            continue
        if other.role == "mask":
            bad, image.saturated = flagged(pixels(other).astype(np.int64), other.hdu.header, header)
            image.data[bad] = np.nan
        elif other.role == "weight":
            image.data[pixels(other) == 0] = np.nan
        elif other.role == "error":
            image.uncertainty = standard_deviation(pixels(other), other.hdu.header.get("UTYPE", "std"))
        else:
            image.uncertainty = standard_deviation(pixels(other), other.role)
    return image


def belongs(other: Plane, plane: Plane) -> bool:
    """Whether a mask, weight or uncertainty is that of an image."""
    if other is plane or other.role in ("science", "other") or other.shape != plane.shape:
        return False
    same = [
        other.hdu.header.get(card) == plane.hdu.header.get(card)
        for card in ("BAND", "FILTER")
        if card in other.hdu.header
    ]
    return all(same) and (other.hdu.ver == plane.hdu.ver)


def pixels(plane: Plane) -> Array:
    """The values of an image extension, (H, W)."""
    return np.array(plane.hdu.data, dtype=np.float64).reshape(plane.shape)


def standard_deviation(values: Array, kind: str) -> Array:
    """Of an uncertainty in one of its kinds: that of ROLES, or UTYPE of astropy's CCDData."""
    kind = kind.lower()
    with np.errstate(divide="ignore", invalid="ignore"):
        if "inverse" in kind:
            return 1 / np.sqrt(values)
        return np.sqrt(values) if "var" in kind else values


def flagged(mask: NDArray[np.int64], own: Any, header: Any) -> tuple[Mask, Mask | None]:
    """Pixels without a value, and saturated ones.

    Only some bits of HST, JWST and LSST (whose cards MP_ name them) mean that a pixel has no value; of other masks
    every pixel that is not 0 has none.
    """
    telescope = str(header.get("TELESCOP", "")).strip().upper()
    if telescope in BAD_BITS:
        return mask & BAD_BITS[telescope] != 0, mask & SATURATED_BITS[telescope] != 0
    bits = {card: 1 << int(own[card]) for card in ("MP_BAD", "MP_NO_DATA", "MP_SAT") if card in own}
    if bits:
        bad = bits.get("MP_BAD", 0) | bits.get("MP_NO_DATA", 0)
        return mask & bad != 0, mask & bits.get("MP_SAT", 0) != 0
    return mask != 0, None


# --- header ----------------------------------------------------------------------------------------


def whole_header(plane: Plane, hdus: Any) -> tuple[Any, list[str]]:
    """The header of an extension with what it inherits from the primary header.

    Raises:
        InputError: a card of the WCS or of the photometry cannot be read.
    """
    header = readable(plane.hdu.header)
    if plane.index == 0 or header.get("INHERIT") is False:
        return header, []
    for card in readable(hdus[0].header).cards:
        name = card.keyword
        told = str(header.get(name, "")).strip() != ""
        if told or name in ("", "COMMENT", "HISTORY") or STRUCTURE.fullmatch(name) or WCS_CARDS.fullmatch(name):
            continue
        header[name] = (card.value, card.comment)
    return header, []


def readable(header: Any) -> Any:
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
                text = " ".join(str(card).split())
                raise InputError(f"card {card.keyword} cannot be read ({text}); mend it") from error
            continue
        if isinstance(value, str) and NUMBERS.fullmatch(card.keyword):
            value = number({card.keyword: value}, card.keyword)
        copy.append(fits.Card(card.keyword, value, card.comment), end=True)
    return copy


PHOTOMETRY = re.compile(
    r"BUNIT|BLANK|FILTER\d?|BAND|MAGZPT|MAGZERO|PHOTZP|MAGZP|ZP|ZEROPT|EXPTIME|PHOTFLAM|PHOTPLAM|BSOFTEN|BOFFSET|FPA.*"
    r"|A_V|EBV|PSFFWHM|SEEING|SURVEY|NMGY|FLUXMAG0"
)


def number(header: Any, card: str) -> float:
    """The value of a card.

    Raises:
        InputError: it is no finite number.
    """
    try:
        value = float(header[card])
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"card {card} is {header[card]!r}; make it a number")
    return value


def celestial_wcs(header: Any, hdus: Any, remarks: list[str]) -> Any:
    """The sky coordinates of a header, of its two axes on the sky; None where it has none.

    SIP cards that CTYPE does not speak of are left over from another projection and not used, as the convention
    says (Shupe et al. 2005).

    Raises:
        InputError: they cannot be read, or tell no size of a pixel.
    """
    from astropy.wcs import WCS

    if not any(re.match(r"RA--|DEC-|.LON|.LAT", str(header.get(f"CTYPE{i}", ""))) for i in (1, 2, 3, 4)):
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
        wcs = WCS(header, fobj=hdus).celestial
        told = [[header.get(f"CD{i}_{j}", 0.0) for j in (1, 2)] for i in (1, 2)]  # all 0 is no CD to wcslib
        given = told if any(re.fullmatch(r"CD\d_\d", card) for card in header) else wcs.pixel_scale_matrix
        singular = wcs.naxis != 2 or not abs(np.linalg.det(given)) > 0
    except (ValueError, AssertionError, np.linalg.LinAlgError, MemoryError) as error:  # WcsError among them
        reason = " ".join(str(error).split())
        raise InputError(f"its WCS cannot be read ({reason}); mend the header") from error
    if singular:
        raise InputError("the size of a pixel is 0 (CD, or PC and CDELT, is singular); mend the header")
    return wcs
