"""The magnitude of one unit of an image: of a physical unit, or of counts by what the header or the user says."""

from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.inputs.filters import Filter
from pipeline.inputs.fits_header import number
from pipeline.inputs.units import Unit

CARDS = ("MAGZPT", "MAGZERO", "PHOTZP", "MAGZP", "ZEROPT", "ZP")  # on the scale of the filter
SCALED = {"ABMAG": "AB", "STMAG": "ST"}  # on a scale that they name
UNCERTAINTY = 0.02  # mag: of surveys, and of AB and Vega against each other


def zero_point(header: Any, unit: Unit, band: Filter, told: float | None = None) -> float:
    """The magnitude of one unit (of one a second where the unit is that), on the scale of the filter.

    Args:
        header: of the image.
        unit: its unit.
        band: its filter.
        told: what the user says.

    Raises:
        InputError: nothing tells it.
    """
    from astropy import units as u

    if unit.kind == "magnitude":
        return -scale_difference(unit.scale or band.scale, band)
    if told is not None:
        return told
    if unit.kind == "flux":
        maggies = [(u.mgy, u.AB, lambda x: x, lambda x: x)]
        light = (1 * unit.size).to_value(u.AB, u.spectral_density(band.pivot * u.nm) + maggies)
        return float(-2.5 * np.log10(light)) - band.ab_offset
    return zero_point_of_counts(header, unit, band)


def scale_difference(scale: str, band: Filter) -> float:
    """Magnitude on a scale (AB, ST or Vega) less that on the scale of the filter.

    Raises:
        InputError: Vega magnitudes of a filter whose magnitudes are AB.
    """
    if scale == band.scale:
        return 0.0
    if scale == "Vega":
        raise InputError(f"magnitudes of {band} on the scale of Vega; give AB magnitudes")
    return band.ab_offset if scale == "AB" else band.ab_offset - ab_less_st(10 * band.pivot)


def ab_less_st(wavelength: float) -> float:
    """AB less ST magnitude at a wavelength in Angstrom (ACS Data Handbook)."""
    return 18.692 - 5 * float(np.log10(wavelength))


def zero_point_of_counts(header: Any, unit: Unit, band: Filter) -> float:
    """The same of counts.

    Raises:
        InputError: no card tells it, two disagree, or it needs an exposure time that is not there.
    """
    told = {card: number(header, card) for card in CARDS if card in header}
    if told and max(told.values()) - min(told.values()) > UNCERTAINTY:
        cards = ", ".join(f"{card} {value:g}" for card, value in told.items())
        raise InputError(f"zero points disagree ({cards}); say by --zeropoint which is the magnitude of one count")
    if told:
        return next(iter(told.values()))
    for card, scale in SCALED.items():
        if card in header:
            return number(header, card) - scale_difference(scale, band)
    if "FPA.ZP" in header:  # of Pan-STARRS 1, of one count a second: Waters et al. (2020)
        return number(header, "FPA.ZP") + exposure(header)
    if "PHOTFLAM" in header:  # of Hubble, of one count a second: ACS Data Handbook
        st = -2.5 * float(np.log10(positive(header, "PHOTFLAM"))) - 21.10
        ab = st + ab_less_st(positive(header, "PHOTPLAM"))
        return ab - band.ab_offset + (0.0 if unit.per_second else exposure(header))
    if "FLUXMAG0" in header:  # of LSST and HSC: counts of AB magnitude 0
        return 2.5 * float(np.log10(positive(header, "FLUXMAG0"))) - band.ab_offset
    raise InputError("counts without a zero point; add the card MAGZPT, or --zeropoint, the magnitude of one count")


def exposure(header: Any) -> float:
    """2.5 log10 of the exposure time in seconds.

    Raises:
        InputError: it is missing or 0.
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
