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
from pipeline.inputs.filters import TAKEN, Filter, V, named, system_of
from pipeline.inputs.fits_file import SkyImage, number, science_images
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.surveys import filter_name, filter_of, refuse_plate, system_of_header, unit_without_bunit
from pipeline.inputs.units import Unit, unit_named

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
ZERO_POINTS = ("MAGZPT", "MAGZERO", "PHOTZP", "MAGZP", "ZEROPT", "ZP")
AB_ZERO_POINTS = ("ABMAG", "ABZPT")
ZERO_POINT_SCATTER = 0.02  # mag: of surveys, and of AB and Vega against each other
HUBBLE_FWHM = 0.1  # arcsec, in V
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
    try:
        images, remarks = science_images(path, options.ext)
        for image in images:
            refuse_plate(image.header)
        images = [image for image in images if image.wcs is not None]
        if not images:
            raise InputError("no celestial WCS in the header (CTYPE, CRVAL, CRPIX, CD); add it")
        seen = [calibrated(image, band, options) for image, band in in_filters(images, options, remarks)]
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    seen[0].warnings[:0] = remarks
    return seen


def in_filters(images: list[SkyImage], options: FitsOptions, remarks: list[str]) -> list[tuple[SkyImage, Filter]]:
    """The images in known filters, one a filter.

    Raises:
        InputError: there is none, or there are several of a filter.
    """
    pairs = [(image, filter_of(image.header)) for image in images]
    if options.band:
        wanted = named(options.band)
        if wanted is None:
            raise InputError(f"--band {options.band!r} is not taken; give {TAKEN}")
        told = [(image, band) for image, band in pairs if band and band.band == wanted.band]
        pairs = told or [(image, named(options.band, system_of_header(image.header))) for image in images]
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

    remarks = list(image.warnings)
    if band.band in ("g", "r") and system_of_header(image.header) is None and not system_of(filter_name(image.header)):
        remarks.append(f"{band.band} was taken as that of {band.system}: the header does not say whose it is")
    unit = unit_of(image, options, remarks)
    data, slope = linear(image, unit)
    factor = (
        1.0 if unit.kind == "finished" else float(flux_of_magnitude(zero_point(image, unit, band, options, remarks)))
    )
    if unit.area is not None:
        factor *= pixel_area(image.wcs, unit.area)
    factor *= 10 ** (0.4 * extinction(image.header, band, options, unit, remarks))
    uncertainty = None if image.uncertainty is None else np.abs(slope * factor) * image.uncertainty
    finished = unit.kind == "finished"
    return CalibratedImage(
        flux=data * factor,
        uncertainty=uncertainty,
        saturated=image.saturated,
        wcs=image.wcs,
        filter=band,
        psf_fwhm=star_width(image, options),
        finished=finished,
        calibration_mag=0.0 if finished else ZERO_POINT_SCATTER,
        warnings=remarks,
    )


def unit_of(image: SkyImage, options: FitsOptions, remarks: list[str]) -> Unit:
    """The unit of an image: of BUNIT, of what the survey writes without it, or counts where a zero point is told.

    Raises:
        InputError: no known unit.
    """
    name = str(image.header.get("BUNIT", "")).strip()
    unit = unit_without_bunit(image.header) if not name or "BSOFTEN" in image.header else unit_named(name)
    if unit is not None:
        return unit
    if name:
        known = "adu, electron/s, nanomaggy, Jy, MJy/sr, mag, mag/arcsec2, Lsun/kpc2 or log10(Lsun/kpc2)"
        raise InputError(f"BUNIT is {name!r}; set it to a unit such as {known}")
    if options.zeropoint is None and not any(
        card in image.header for card in (*ZERO_POINTS, *AB_ZERO_POINTS, "PHOTFLAM")
    ):
        raise InputError(
            "no unit and no zero point; add the cards BUNIT and MAGZPT, or --zeropoint, the magnitude of one count"
        )
    remarks.append("taken as counts: the header has no BUNIT")
    return unit_named("adu")


def linear(image: SkyImage, unit: Unit) -> tuple[Array, Array | float]:
    """Numbers that are linear in light, and their slope against those of the file."""
    data = image.data
    if "BSOFTEN" in image.header:
        offset, softening = (number(image.header, card) for card in ("BOFFSET", "BSOFTEN"))
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


def zero_point(image: SkyImage, unit: Unit, band: Filter, options: FitsOptions, remarks: list[str]) -> float:
    """The magnitude of one unit, on the scale of the filter.

    Raises:
        InputError: nothing tells it.
    """
    from astropy import units as u

    if options.zeropoint is not None and unit.kind != "magnitude":
        return options.zeropoint
    if unit.kind == "magnitude":
        return -of_scale(unit.scale, band) if unit.scale else 0.0
    if unit.kind == "flux":
        maggies = [(u.mgy, u.AB, lambda x: x, lambda x: x)]
        ab = -2.5 * np.log10((1 * unit.size).to_value(u.AB, u.spectral_density(band.pivot * u.nm) + maggies))
        ignored = [card for card in ZERO_POINTS if card in image.header]
        remarks += [f"card {card} was not used: BUNIT tells the zero point" for card in ignored]
        return float(ab) - band.ab_offset
    return zero_point_of_counts(image.header, unit, band)


def of_scale(scale: str, band: Filter) -> float:
    """Magnitude of a star on a scale (AB, ST or Vega) less that on the scale of the filter.

    Raises:
        InputError: Vega magnitudes of a filter whose magnitudes are AB.
    """
    if scale == band.scale:
        return 0.0
    if scale == "Vega":
        raise InputError(f"magnitudes of Vega in {band}; give AB magnitudes")
    ab_less_st = 18.692 - 5 * np.log10(10 * band.pivot)  # ACS Data Handbook; wavelength in Angstrom
    return band.ab_offset - (ab_less_st if scale == "ST" else 0.0)


def zero_point_of_counts(header: Any, unit: Unit, band: Filter) -> float:
    """The magnitude of one count (of one a second where the unit is that), on the scale of the filter.

    Raises:
        InputError: no card tells it, or two that disagree, or it needs an exposure time that is not there.
    """
    told = {card: number(header, card) for card in ZERO_POINTS if card in header}
    if told:
        if max(told.values()) - min(told.values()) > ZERO_POINT_SCATTER:
            cards = ", ".join(f"{card} {value:g}" for card, value in told.items())
            raise InputError(
                f"zero points that disagree ({cards}); say by --zeropoint which is the magnitude of one count"
            )
        return next(iter(told.values()))
    if "FPA.ZP" in header:  # of Pan-STARRS 1: Waters et al. (2020), zero point of a second
        return number(header, "FPA.ZP") + exposure(header)
    seconds = 0.0 if unit.per_second else None
    if "PHOTFLAM" in header and "PHOTPLAM" in header:  # of Hubble, of one count a second: ACS Data Handbook
        st = -2.5 * np.log10(positive(header, "PHOTFLAM")) - 21.10
        ab = st - 5 * np.log10(positive(header, "PHOTPLAM")) + 18.692
        return float(ab) - band.ab_offset + (exposure(header) if seconds is None else seconds)
    if "FLUXMAG0" in header:  # of LSST and HSC: counts of magnitude 0
        return 2.5 * float(np.log10(positive(header, "FLUXMAG0"))) - band.ab_offset
    raise InputError("counts without a zero point; add the card MAGZPT, or --zeropoint, the magnitude of one count")


def exposure(header: Any) -> float:
    """2.5 log10 of the exposure time in seconds.

    Raises:
        InputError: it is 0 or missing.
    """
    return 2.5 * float(np.log10(positive(header, "EXPTIME")))


def positive(header: Any, card: str) -> float:
    """The value of a card.

    Raises:
        InputError: it is missing, or not above 0.
    """
    value = number(header, card) if card in header else 0.0
    if value <= 0:
        told = f"is {value:g}" if card in header else "is missing"
        raise InputError(f"card {card} {told}, and the zero point needs it; mend it, or give --zeropoint")
    return value


def extinction(header: Any, band: Filter, options: FitsOptions, unit: Unit, remarks: list[str]) -> float:
    """Magnitudes by which dust dims an image, still to be corrected.

    A reddening is taken on the scale of Schlegel et al. (1998), with the coefficients of Schlafly & Finkbeiner
    (2011), which hold their recalibration of it by 0.86; an A_V is taken as it is.

    Raises:
        InputError: a card is no number, or below 0.
    """
    if options.ebv is not None:
        return band.extinction * options.ebv
    for card, coefficient in (("A_V", band.extinction / V.extinction), ("EBV", band.extinction)):
        if card in header:
            value = number(header, card)
            if value < 0:
                raise InputError(f"card {card} is {value:g}; make it 0 or more")
            return coefficient * value
    if unit.kind != "finished":
        remarks.append("no extinction was corrected: the header has neither A_V nor EBV, and there was no --ebv")
    return 0.0


def star_width(image: SkyImage, options: FitsOptions) -> float | None:
    """Full width at half maximum of a star in arcsec; None where nothing tells it."""
    from astropy import units as u
    from astropy.wcs.utils import proj_plane_pixel_scales

    header = image.header
    if options.fwhm is not None:
        return options.fwhm
    if "PSFFWHM" in header:
        return number(header, "PSFFWHM")
    if "CHIP.SEEING" in header:  # of Pan-STARRS 1, pixels
        pixel = float(np.mean(proj_plane_pixel_scales(image.wcs))) * u.deg
        return number(header, "CHIP.SEEING") * pixel.to_value(u.arcsec)
    return HUBBLE_FWHM if str(header.get("TELESCOP", "")).strip() == "HST" else None
