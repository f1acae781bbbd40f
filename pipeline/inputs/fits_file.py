"""A FITS file as people hand it out: which of its images is the picture, where it has no value, how sure it is."""

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.inputs.fits_header import celestial_wcs, has_sky, whole_header

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROLES = {  # what an extension is by its EXTNAME, IMAGETYP or HDUCLAS2, in small letters without numbers
    "picture": ("sci", "image", "science"),
    "mask": ("dq", "mask", "msk", "dqm", "flags", "quality"),
    "error": ("err", "error", "errors", "uncert", "uncertainty", "stddev", "std", "sigma", "rms"),
    "variance": ("variance", "var"),
    "inverse variance": ("ivar", "invvar"),
    "weight": ("wht", "weight", "wgt"),
    "exposure or context": ("con", "ctx", "exp", "expmap", "nimage", "depth"),
    "point-spread function": ("psf", "psfimage", "kernel"),
    "preview": ("preview", "thumbnail"),
    "model": ("bkg", "background", "sky", "model", "residual", "chi2"),
    "calibration": ("flat", "bias", "dark", "zero", "flat field", "dark frame", "bias frame"),
}
MANY = 12
COMPANIONS = ("mask", "error", "variance", "inverse variance", "weight")
# Bits of DQ that leave no value, or mean saturation: ACS Data Handbook, table 3.2 of its DQ flags; JWST pipeline.
NO_VALUE_BITS = {"HST": 1 | 2 | 4 | 8 | 16 | 128 | 512 | 4096, "JWST": 1}
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
        role: a key of ``ROLES``; None where no name tells it.
        layer: of a cube, whose layers are filters.
    """

    index: int
    hdu: Any
    role: str | None
    layer: int | None = None

    @classmethod
    def of(cls, index: int, hdu: Any) -> "list[Plane]":
        """An image of an extension, or the layers of a cube of the Legacy Surveys (cards BAND0, BAND1 ...)."""
        names = (hdu.name, hdu.header.get("IMAGETYP", ""), hdu.header.get("HDUCLAS2", ""))
        words = [re.sub(r"[\s,_]*\d.*", "", str(name).strip().lower()) for name in names]
        first = [*words, words[0].split(" ")[0]]  # "FLAT V 5" is a flat
        role = next((role for word in first for role, known in ROLES.items() if word in known), None)
        if len(hdu.shape) == 3 and f"BAND{hdu.shape[0] - 1}" in hdu.header:
            return [cls(index, hdu, role, layer) for layer in range(hdu.shape[0])]
        return [cls(index, hdu, role)]

    @property
    def full_shape(self) -> tuple[int, ...]:
        """With axes of length 1."""
        return tuple(self.hdu.shape) if self.layer is None else (1, *self.hdu.shape[1:])

    @property
    def shape(self) -> tuple[int, ...]:
        """Without axes of length 1."""
        return tuple(n for n in self.full_shape if n > 1)

    def __str__(self) -> str:
        """Number and name."""
        name = "" if self.hdu.name == "PRIMARY" else self.hdu.name
        layer = "" if self.layer is None else f"layer {self.layer}"
        return " ".join(f"{self.index} {name} {layer}".split())

    def described(self) -> str:
        """The same with what it is."""
        return f"{self} ({self.role or 'image'})" if len(self.shape) == 2 else f"{self} ({len(self.shape)}-D)"

    def pixels(self) -> Array:
        """Its values, (H, W)."""
        data = self.hdu.data if self.layer is None else self.hdu.data[self.layer]
        return np.array(data, dtype=np.float64).reshape(self.shape)


def science_images(path: Path, ext: str | None = None) -> tuple[list[SkyImage], list[str]]:
    """The images of a FITS file that may be the picture, whatever their filter.

    Args:
        path: plain, or compressed by gzip, bzip2 or tile by tile (.fz).
        ext: number or name (``SCI``, ``SCI,2``) of the extension that the user wants; None: all.

    Returns:
        The images, and what else the file holds.

    Raises:
        InputError: the file cannot be read, has no such extension, no flat image, or a card that cannot be read.
    """
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a cut file, which fails as its data are read
            with fits.open(path, memmap=False, uint=False) as hdus:  # unsigned whole numbers would lose BLANK
                planes = [
                    plane for i, hdu in enumerate(hdus) if hdu.is_image and hdu.shape for plane in Plane.of(i, hdu)
                ]
                chosen = chosen_planes(planes, ext)
                images = [sky_image(plane, planes, hdus) for plane in chosen]
    except InputError:
        raise
    except Exception as error:  # on broken bytes astropy raises nearly anything
        raise InputError("not a readable FITS file; give a FITS image") from error
    companions = [other for other in planes if any(belongs(other, plane) for plane in chosen)]
    others = [plane for plane in planes if plane not in chosen and plane not in companions]
    remarks = {"used as mask or noise": companions, "not taken as the picture": others}
    return images, [
        f"{what}: extension {', '.join(map(Plane.described, them))}" for what, them in remarks.items() if them
    ]


def chosen_planes(planes: list[Plane], ext: str | None) -> list[Plane]:
    """The extensions that may be the picture: flat, nothing else by their names, and of the sky where one is.

    Raises:
        InputError: there is none.
    """
    if not planes:
        raise InputError("holds no image; give a FITS image")
    all_of_them = ", ".join(plane.described() for plane in planes)
    if ext is not None:
        planes = [plane for plane in planes if is_named(plane, ext)]
    if not planes:
        raise InputError(f"no image extension is {ext!r}; it has {all_of_them}")
    flat = [plane for plane in planes if len(plane.shape) == 2]
    if not flat:
        axes = len(planes[0].shape)
        raise InputError(f"the image has {axes} axes longer than 1; give one of two, a single band")
    if ext is not None:
        return flat
    pictures = [plane for plane in flat if plane.role in ("picture", None)]
    if not pictures:
        raise InputError(f"no extension is a picture by its name: {all_of_them}; choose one by --ext")
    named = [plane for plane in pictures if plane.role] or pictures
    found = [plane for plane in named if has_sky(plane.hdu.header)] or named
    if len(found) > MANY:  # chips of a mosaic, too many to read
        raise InputError(f"{len(found)} extensions could be meant, {found[0]} to {found[-1]}; choose one by --ext")
    return found


def is_named(plane: Plane, ext: str) -> bool:
    """Whether a user means this extension by ``1``, ``SCI`` or ``SCI,1``."""
    name, _, version = ext.strip().lower().partition(",")
    if name.isdigit():
        return plane.index == int(name)
    return plane.hdu.name.lower() == name and (not version or str(plane.hdu.ver) == version.strip())


def sky_image(plane: Plane, planes: list[Plane], hdus: Any) -> SkyImage:
    """Read an extension with its mask and its uncertainty.

    Raises:
        InputError: a card cannot be read.
    """
    header = whole_header(plane.hdu.header, hdus[0].header)
    if plane.layer is not None:
        header["BAND"] = header[f"BAND{plane.layer}"]
    if "BLANK" in header and header["BITPIX"] > 0 and not isinstance(header["BLANK"], int):
        raise InputError(f"card BLANK is {header['BLANK']!r}; make it a whole number")
    image = SkyImage(str(plane), plane.pixels(), header, None)
    image.wcs = celestial_wcs(header, plane.full_shape, hdus, image.warnings)
    for other in (other for other in planes if belongs(other, plane)):
        values, own = other.pixels(), other.hdu.header
        if other.role == "mask":
            bad, image.saturated = flagged(np.nan_to_num(values, nan=1.0).astype(np.int64), own, header)
            image.data[bad] = np.nan
        elif other.role == "weight":
            image.data[values == 0] = np.nan
        else:
            kind = own.get("UTYPE", "") if other.role == "error" else other.role
            image.uncertainty = standard_deviation(values, str(kind))
    return image


def belongs(other: Plane, plane: Plane) -> bool:
    """Whether a mask, weight or uncertainty is that of an image."""
    if other is plane or other.role not in COMPANIONS or other.shape != plane.shape or other.hdu.ver != plane.hdu.ver:
        return False
    both = [(other.hdu.header.get(card), plane.hdu.header.get(card)) for card in ("BAND", "FILTER")]
    return all(a == b for a, b in both if a and b)


def standard_deviation(values: Array, kind: str) -> Array:
    """Of a variance or its inverse, by a key of ``ROLES`` or UTYPE of astropy's CCDData; NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if "inverse" in kind.lower():
            return np.where(values > 0, values, np.nan) ** -0.5
        return np.sqrt(values) if "var" in kind.lower() else values


def flagged(mask: NDArray[np.int64], own: Any, header: Any) -> tuple[Mask, Mask | None]:
    """Pixels without a value, and saturated ones.

    Only some bits of HST, JWST and LSST (whose cards MP_ name them) mean that a pixel has no value; of other masks
    every pixel that is not 0 has none.
    """
    telescope = str(header.get("TELESCOP", "")).strip().upper()
    if telescope in NO_VALUE_BITS:
        return mask & NO_VALUE_BITS[telescope] != 0, mask & SATURATED_BITS[telescope] != 0
    bits = {card: 1 << int(own[card]) for card in ("MP_BAD", "MP_NO_DATA", "MP_SAT") if card in own}
    if bits:
        bad = bits.get("MP_BAD", 0) | bits.get("MP_NO_DATA", 0)
        return mask & bad != 0, mask & bits.get("MP_SAT", 0) != 0
    return mask != 0, None
