"""From what a FITS file counts to light: units, zero points, surveys that do not say their unit, extinction.

Imports nothing heavy but numpy: the command line reads ``CARDS``.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.inputs import zero_points
from pipeline.inputs.filters import TAKEN, Filter, V, named, system_of
from pipeline.inputs.fits_file import SkyImage, science_images
from pipeline.inputs.fits_header import number
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.surveys import (
    filter_name,
    filter_of,
    refuse_plate,
    star_width,
    system_of_header,
    unit_without_bunit,
)
from pipeline.inputs.units import Unit, unit_named
from pipeline.inputs.unpacked import check_unpacked
from pipeline.inputs.zero_points import zero_point

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

CARDS = f"""\
What is read of the header of a FITS file; what it leaves open is an option, or told as a warning:
  BUNIT      a unit as astropy spells it, or much like it: counts (adu, DN, electron/s ...), nanomaggy, Jy, MJy/sr,
             mag of a pixel, mag/arcsec2; Lsun/kpc2 or log10(Lsun/kpc2): a finished map of V
  MAGZPT     of counts: the magnitude of one of them; or PHOTFLAM and PHOTPLAM of Hubble (--zeropoint)
  FILTER     {TAKEN} (--band)
  A_V, EBV   extinction in V, or E(B-V) of Schlegel et al. (1998), still to be corrected (--ebv)
  PSFFWHM    width of a star (full width at half maximum), arcsec (--fwhm)
  CTYPE1 ... the world coordinates: they tell the size of a pixel; any size will do, the field must be 40 arcsec
SDSS, SkyView's SDSS, Pan-STARRS 1 and the Legacy Surveys are known by cards of their own. Mask and uncertainty
extensions (DQ, ERR, MASK, VARIANCE ...) are used; --ext names the picture where several could be meant.
"""
UNITS = "adu, electron/s, nanomaggy, Jy, MJy/sr, mag, mag/arcsec2, Lsun/kpc2 or log10(Lsun/kpc2)"
NO_VALUE = 50.0  # magnitudes, and powers of ten, beyond this are no light: 99, -99


@dataclass
class CalibratedImage:
    """An image in known units.

    Attributes:
        flux: 10**(-0.4 m) of its filter's magnitudes m in Lsun kpc⁻², as ``flux_of_magnitude`` has it, without dust,
            NaN where it has no value, (H, W).
        uncertainty: standard deviation of ``flux``, (H, W); None where the file does not tell it.
        saturated: what the file's mask calls so, (H, W); None where it does not tell.
        wcs: astropy's, celestial, 2-D.
        filter: what it was taken through.
        psf_fwhm: full width at half maximum of a star, arcsec; None where nothing tells it.
        finished: whether the file was a map in Lsun kpc⁻² already.
        calibration_mag: standard deviation of its zero point, mag.
        warnings: what was assumed, mended or left out, in plain words.
    """

    flux: Array
    uncertainty: Array | None
    saturated: Mask | None
    wcs: Any
    filter: Filter
    psf_fwhm: float | None
    finished: bool
    calibration_mag: float
    warnings: list[str] = field(default_factory=list)


def read_images(path: Path, options: FitsOptions) -> list[CalibratedImage]:
    """The images of the sky of a FITS file in V, or in filters that tell of it: one, or one a filter.

    Args:
        path: the file.
        options: what the user says; it wins over the header.

    Raises:
        InputError: the file is no image of the sky in a known filter and unit, or several images could be meant.
    """
    check_unpacked(path, "fits")
    try:
        images, remarks = science_images(path, options.ext)
        for image in images:
            refuse_plate(image.header)
        images = [image for image in images if image.wcs is not None]
        if not images:
            raise InputError("no celestial WCS in the header (CTYPE, CRVAL, CRPIX, CD); add it, as astrometry.net does")
        seen = [calibrated(image, band, options) for image, band in in_filters(images, options, remarks)]
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OverflowError as error:
        raise InputError(
            f"{path}: a zero point or extinction in its header is no magnitude of light; mend it"
        ) from error
    seen[0].warnings[:0] = remarks
    return seen


def in_filters(images: list[SkyImage], options: FitsOptions, remarks: list[str]) -> list[tuple[SkyImage, Filter]]:
    """The images in known filters, one a filter.

    Raises:
        InputError: there is none, or there are several of a filter.
    """
    pairs: list[tuple[SkyImage, Filter | None]] = [(image, filter_of(image.header)) for image in images]
    if options.band:
        wanted = named(options.band)
        if wanted is None:
            raise InputError(f"--band {options.band!r} is not taken; give {TAKEN}")
        said = wanted if system_of(options.band) else None
        told = [(image, said or band) for image, band in pairs if band and band.band == wanted.band]
        pairs = list(told) or [(image, named(options.band, system_of_header(image.header))) for image in images]
    elif len(images) == 1 and pairs[0][1] is None and is_finished(images[0]):
        pairs = [(images[0], V)]
    found = [(image, band) for image, band in pairs if band is not None]
    if not found:
        raise InputError(no_filter(images, options))
    chosen = [image.name for image, _ in found]
    others = [f"{i.name} ({filter_name(i.header) or 'unknown'})" for i in images if i.name not in chosen]
    if others:
        remarks.append(f"not used, being in another filter: extension {', '.join(others)}")
    for band, times in Counter(band.band for _, band in found).items():
        if times > 1:
            names = " and ".join(image.name for image, its in found if its.band == band)
            raise InputError(f"extensions {names} are both in {band}; choose one by --ext")
    return found


def no_filter(images: list[SkyImage], options: FitsOptions) -> str:
    """What is told of a file without an image in a known filter, and what else it lacks."""
    name = ", ".join(dict.fromkeys(filter_name(image.header) for image in images))
    text = f"filter {name!r} is not taken, for it says too little of V" if name else "the header names no filter"
    text += f"; taken are {TAKEN} (card FILTER, or --band where it is one of them)"
    try:
        calibrated(images[0], V, options)
    except InputError as more:
        text += f"; and {more}"
    return text


def is_finished(image: SkyImage) -> bool:
    """Whether it is a map in Lsun/kpc2."""
    unit = unit_named(str(image.header.get("BUNIT", "")))
    return unit is not None and unit.kind == "finished"


# --- light -----------------------------------------------------------------------------------------


def calibrated(image: SkyImage, band: Filter, options: FitsOptions) -> CalibratedImage:
    """An image in Lsun kpc⁻² of its filter's magnitudes, without dust.

    Raises:
        InputError: an unknown unit, counts without a zero point, or a card that is no number.
    """
    from pipeline.simulation.clusters.stars import flux_of_magnitude

    header, remarks = image.header, list(image.warnings)
    unit = unit_of(header, options, remarks)
    finished = unit.kind == "finished"
    if finished and band != V:
        raise InputError(f"a map in Lsun/kpc2 is one in V, not in {band}; mend the card FILTER")
    remarks += assumptions(header, unit, band, options)
    data, slope = linear(image.data, header, unit)
    factor = 1.0 if finished else float(flux_of_magnitude(zero_point(header, unit, band, options.zeropoint)))
    factor *= 1.0 if unit.area is None else pixel_area(image.wcs, unit.area)
    factor *= 10 ** (0.4 * extinction(header, band, options.ebv, finished, remarks))
    if options.fwhm is not None or finished:
        fwhm = options.fwhm or (number(header, "PSFFWHM") if "PSFFWHM" in header else None)
    else:
        fwhm = star_width(header, pixel_area(image.wcs, "arcsec2") ** 0.5, remarks)
    return CalibratedImage(
        flux=data * factor,
        uncertainty=None if image.uncertainty is None else np.abs(slope * factor) * image.uncertainty,
        saturated=image.saturated,
        wcs=image.wcs,
        filter=band,
        psf_fwhm=fwhm,
        finished=finished,
        calibration_mag=0.0 if finished else zero_points.UNCERTAINTY,
        warnings=remarks,
    )


def unit_of(header: Any, options: FitsOptions, remarks: list[str]) -> Unit:
    """The unit of an image: of BUNIT, of what the survey writes without it, or counts where a zero point is told.

    Raises:
        InputError: no known unit.
    """
    from astropy import units as u

    name = str(header.get("BUNIT", "")).strip()
    unit = unit_named(name) if name and "BSOFTEN" not in header else unit_without_bunit(header)
    if unit is not None:
        return unit
    if name:
        raise InputError(f"BUNIT is {name!r}; set it to a unit such as {UNITS}")
    told = (*zero_points.CARDS, *zero_points.SCALED, "PHOTFLAM", "FLUXMAG0")
    if options.zeropoint is None and not any(card in header for card in told):
        raise InputError("no unit (BUNIT) and no zero point (MAGZPT); add the cards, or --zeropoint of one count")
    remarks.append("taken as counts: the header has no BUNIT")
    return Unit("counts", u.adu)


def assumptions(header: Any, unit: Unit, band: Filter, options: FitsOptions) -> list[str]:
    """What is told of filter and zero point that the header does not say, or says otherwise."""
    remarks = []
    name, whose = filter_name(header), system_of_header(header)
    if options.band and name and named(name, whose) != band:
        remarks.append(f"taken as {band}, as --band says; the header says {name}")
    if band.band in ("g", "r") and not (whose or system_of(options.band or name)):
        remarks.append(f"{band.band} was taken as that of {band.system}: the header does not say whose it is")
    cards = [card for card in zero_points.CARDS if card in header]
    if cards and unit.kind == "flux" and options.zeropoint is None:
        remarks.append(f"card {cards[0]} was not used: the unit tells the zero point")
    if options.zeropoint is not None and unit.kind in ("magnitude", "finished"):
        remarks.append("--zeropoint was not used: the image does not count")
    if unit.kind == "counts" and band.band.startswith("F") and (cards or options.zeropoint is not None):
        remarks.append("the zero point was taken as one of Vega magnitudes")
    return remarks


def linear(data: Array, header: Any, unit: Unit) -> tuple[Array, Array | float]:
    """Numbers that are linear in light, and their slope against those of the file."""
    if "BSOFTEN" in header:
        offset, softening = (number(header, card) for card in ("BOFFSET", "BSOFTEN"))
        return linear_counts(data, offset, softening)
    if unit.kind == "magnitude" or unit.logarithm:
        data = np.where(np.abs(data) < NO_VALUE, data, np.where(np.isinf(data), data, np.nan))
        power = -0.4 if unit.kind == "magnitude" else 1.0
        light = 10.0 ** (power * data)
        return light, power * np.log(10) * light
    return data, 1.0


def linear_counts(values: Array, offset: float, softening: float) -> tuple[Array, Array]:
    """Counts of a Pan-STARRS 1 stack, which is stored as v = asinh, and their slope.

    Counts are BOFFSET + 2 BSOFTEN sinh(v ln(10) / 2.5) (Waters et al. 2020).
    """
    x = values * np.log(10) / 2.5
    return offset + 2 * softening * np.sinh(x), 2 * softening * np.cosh(x) * np.log(10) / 2.5


def pixel_area(wcs: Any, area: Any) -> float:
    """Solid angle of a pixel in units of ``area``."""
    from astropy import units as u
    from astropy.wcs.utils import proj_plane_pixel_area

    return float((proj_plane_pixel_area(wcs) * u.deg**2).to_value(area))


def extinction(header: Any, band: Filter, ebv: float | None, finished: bool, remarks: list[str]) -> float:
    """Magnitudes by which dust dims an image, still to be corrected.

    A reddening is taken on the scale of Schlegel et al. (1998), with the coefficients of Schlafly & Finkbeiner (2011),
    which hold their recalibration by 0.86; an A_V is taken as it is.

    Args:
        header: of the image.
        band: its filter.
        ebv: E(B-V), where the user says it.
        finished: whether it is a map without dust where nothing else is said.
        remarks: takes what was left out.

    Raises:
        InputError: a card is no number, or below 0.
    """
    if ebv is not None:
        return band.extinction * ebv
    for card, coefficient in (("A_V", band.extinction / V.extinction), ("EBV", band.extinction)):
        if card in header:
            value = number(header, card)
            if value < 0:
                raise InputError(f"card {card} is {value:g}; make it 0 or more")
            return coefficient * value
    if not finished:
        remarks.append("no extinction was corrected: the header has neither A_V nor EBV; --ebv gives it")
    return 0.0
