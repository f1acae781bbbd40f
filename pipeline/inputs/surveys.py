"""Surveys that do not say unit or filter in so many words: known by other cards of their headers."""

import re
from typing import Any

from pipeline.errors import InputError
from pipeline.inputs.filters import Filter, named, system_of
from pipeline.inputs.fits_header import number
from pipeline.inputs.units import Unit, unit_named

FILTER_CARDS = ("FILTER", "BAND", "FPA.FILTERID", "FPA.FILTER", "FILTNAM1", "FILTER1", "FILTER2")
SYSTEM_CARDS = ("SURVEY", "TELESCOP", "INSTRUME", "ORIGIN", "FPA.TELESCOPE", "FPA.INSTRUMENT", "PHOTSYS")
SDSS_PIXEL = 0.396  # arcsec
# Width of a star in g and r, arcsec: SDSS, Pan-STARRS 1 (Chambers et al. 2016), Legacy Surveys (Dey et al. 2019).
SEEING = {"SDSS": 1.3, "Pan-STARRS 1": 1.25, "DES": 1.25, "HST": 0.1}


def refuse_plate(header: Any) -> None:
    """Refuse a digitised photographic plate.

    Raises:
        InputError: it is one.
    """
    text = " ".join(str(header.get(card, "")) for card in ("SURVEY", "ORIGIN", "TELESCOP"))
    words = re.search(r"\b(DSS ?\d?|POSS|CASB)\b|^digiti[sz]ed sky|schmidt", text, re.I)
    credit = re.match("digiti[sz]ed sky survey", str(header.get("CPYRIGHT", "")), re.I)
    mosaic = re.search(r"From HiPS \S*/DSS", " ".join(map(str, header.get("HISTORY", []))))
    if "PLATEID" in header or words or credit or mosaic:
        raise InputError(
            "a digitised photographic plate (DSS), which is not linear: its numbers are densities of an "
            "emulsion, not light; give an image of a CCD, such as SDSS or Pan-STARRS 1"
        )


def is_skyview(header: Any) -> bool:
    """Whether SkyView made it."""
    return "skyview" in " ".join(map(str, header.get("COMMENT", []))).lower()


def system_of_header(header: Any) -> str | None:
    """Whose filter an image was taken through; None where nothing tells it."""
    if "FPA.ZP" in header or "FPA.FILTERID" in header:
        return "Pan-STARRS 1"
    if "BRICK" in header or "BRICKNAM" in header:
        return "DES"
    found = [system_of(str(header.get(card, ""))) for card in SYSTEM_CARDS]
    return next((system for system in found if system), None)


def filter_name(header: Any) -> str:
    """The filter as the header names it; empty where it does not."""
    cards = [str(header.get(card, "")).strip() for card in FILTER_CARDS]
    names = [name for name in cards if name and not name.upper().startswith("CLEAR")]
    if names:
        return names[0]
    return str(header.get("SURVEY", "")) if is_skyview(header) else ""


def filter_of(header: Any) -> Filter | None:
    """The filter of an image; None where it is none of those taken, or not named."""
    return named(filter_name(header), system_of_header(header))


def unit_without_bunit(header: Any) -> Unit | None:
    """The unit of an image whose header has no BUNIT; None where nothing tells it.

    Pan-STARRS 1 counts. SDSS and the Legacy Surveys are in nanomaggies. SkyView takes values of SDSS's own pixels
    into pixels of another size, so that its nanomaggies are those of 0.396 x 0.396 arcsec, but for its sampler Clip,
    which conserves flux.
    """
    from astropy import units as u

    if "BSOFTEN" in header or "FPA.ZP" in header:
        return unit_named("adu")
    if is_skyview(header) and system_of(str(header.get("SURVEY", ""))) == "SDSS":
        conserving = "ClipSampler" in " ".join(map(str, header.get("HISTORY", [])))
        return Unit("flux", u.nmgy, None if conserving else u.Unit(SDSS_PIXEL**2 * u.arcsec**2))
    if "NMGY" in header or "BRICK" in header or "BRICKNAM" in header:
        return unit_named("nanomaggy")
    return None


def star_width(header: Any, pixel: float, remarks: list[str]) -> float | None:
    """Full width at half maximum of a star in arcsec; None where nothing tells it.

    Args:
        header: of the image.
        pixel: its side, arcsec.
        remarks: takes what was assumed.
    """
    if "PSFFWHM" in header:
        return number(header, "PSFFWHM")
    if "CHIP.SEEING" in header:  # of Pan-STARRS 1, pixels
        return number(header, "CHIP.SEEING") * pixel
    if str(header.get("TELESCOP", "")).strip() == "HST":
        return SEEING["HST"]
    width = SEEING.get(system_of_header(header) or "")
    if width is not None:
        remarks.append(
            f"the stars were taken to be {width:g} arcsec wide, as is usual there: the header has no PSFFWHM"
        )
    return width
