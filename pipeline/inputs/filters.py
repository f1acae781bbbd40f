"""Filters whose light tells of V: the names that files give them, the dust in front of them, the published way to V.

Imports nothing heavy but numpy: the command line reads ``TAKEN``.
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TAKEN = "V, F555W or F606W of Hubble, g and r of SDSS, Pan-STARRS 1, DES/DECam and the Legacy Surveys"


@dataclass(frozen=True)
class Filter:
    """A filter and its magnitudes.

    Attributes:
        band: V, g, r, F555W or F606W.
        system: whose filter it is.
        extinction: A/E(B-V), where E(B-V) is that of the maps of Schlegel et al. (1998) and R_V = 3.1:
            Schlafly & Finkbeiner (2011), table 6.
        scale: zero point of its magnitudes.
        ab_offset: AB magnitude less the magnitude on ``scale``.
        pivot: wavelength, nm.
    """

    band: str
    system: str
    extinction: float
    scale: Literal["AB", "Vega"]
    ab_offset: float
    pivot: float

    def __str__(self) -> str:
        """As people say it: ``g of SDSS``."""
        return f"{self.band} of {self.system}"


# V_AB - V: between 0.02 (Blanton & Roweis 2007) and -0.044 (Frei & Gunn 1995). Hubble: Vega's AB magnitude.
FILTERS = (
    Filter("V", "Johnson", 2.742, "Vega", -0.02, 551.0),
    Filter("g", "Pan-STARRS 1", 3.172, "AB", 0.0, 481.0),
    Filter("r", "Pan-STARRS 1", 2.271, "AB", 0.0, 617.0),
    Filter("g", "SDSS", 3.303, "AB", 0.0, 470.0),
    Filter("r", "SDSS", 2.285, "AB", 0.0, 617.5),
    Filter("g", "DES", 3.237, "AB", 0.0, 481.0),
    Filter("r", "DES", 2.176, "AB", 0.0, 644.0),
    Filter("F555W", "ACS", 2.792, "Vega", 0.0, 536.0),
    Filter("F606W", "ACS", 2.471, "Vega", 0.09, 592.0),
    Filter("F555W", "WFC3", 2.855, "Vega", -0.02, 531.0),
    Filter("F606W", "WFC3", 2.488, "Vega", 0.09, 589.0),
    Filter("F555W", "WFPC2", 2.755, "Vega", 0.0, 544.0),
    Filter("F606W", "WFPC2", 2.415, "Vega", 0.09, 600.0),
)
V = FILTERS[0]
SYSTEMS = {  # as headers and people write them, in small letters
    "Pan-STARRS 1": ("ps1", "panstarrs", "pan-starrs", "gpc1"),
    "SDSS": ("sdss", "sloan"),
    "DES": ("des", "decam", "decals", "dels", "legacysurvey", "bass", "90prime"),
    "ACS": ("acs",),
    "WFC3": ("wfc3", "uvis"),
    "WFPC2": ("wfpc2",),
}
JOHNSON = r"(johnson|bessell?|bess|landolt|cousins|harris|kron)"


def system_of(text: str) -> str | None:
    """Whose filters a text speaks of, one of ``SYSTEMS``; the first of two, as in ``g DECam SDSS c0001``."""
    words = {word: system for system, words in SYSTEMS.items() for word in words}
    found = re.search(rf"(?<![a-z])({'|'.join(words)})(?=[griz]?(\W|_|\d|$))", text.lower())
    return words[found.group(1)] if found else None


def named(name: str, system: str | None = None) -> Filter | None:
    """The filter of a name such as ``V``, ``Johnson V``, ``F606W``, ``g.00000``, ``SDSS r``, ``g DECam SDSS c0001``.

    Args:
        name: as the file or the user has it.
        system: whose filter it is, where the name does not say it; None: g and r of Pan-STARRS 1, or Hubble's ACS.

    Returns:
        None where it is none of ``TAKEN``. R is that of Cousins, and v that of Strömgren.
    """
    text = re.sub(r"[\s_.,:#/-]+", " ", name).strip()
    whose = system_of(name) or system
    if hubble := re.search(r"\bf(555|606)w\b", text, re.I):
        return known(hubble.group().upper(), whose) or known(hubble.group().upper(), "ACS")
    plain = re.sub(rf"\b{JOHNSON}(?=V?\b)", " ", text, flags=re.I)
    if re.fullmatch(r"V(\s+(band|filter|[a-z]\d+))*", plain.strip()):
        return V
    for word in SYSTEMS.get(whose or "", ()):
        text = re.sub(rf"(?<![a-z]){word.replace('-', ' ')}", " ", text, flags=re.I)
    letter = re.match(r"([gr])( ?'|prime|p1|p|mag| band| filter)?(?= |$)", text.strip())
    return known(letter.group(1), whose or "Pan-STARRS 1") if letter else None


def known(band: str, system: str | None) -> Filter | None:
    """The filter of that band and system."""
    return next((f for f in FILTERS if (f.band, f.system) == (band, system)), None)


# --- the way to V ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Relation:
    """V less a magnitude: a polynomial of a colour of stars without emission lines.

    Attributes:
        colour: g - r of the same system, or V - I.
        coefficients: of its powers 0, 1, ...
        valid: lowest and highest colour that it holds for; it is taken at its end beyond.
        scatter: of stars about it, mag.
        source: who found it.
    """

    colour: Literal["g - r", "V - I"]
    coefficients: tuple[float, ...]
    valid: tuple[float, float]
    scatter: float
    source: str

    def difference(self, colour: Array | float) -> Array:
        """V less the magnitude at a colour."""
        return np.polynomial.polynomial.polyval(np.clip(colour, *self.valid), self.coefficients)

    def slope(self, colour: float) -> float:
        """Its change with the colour."""
        return float(np.polynomial.Polynomial(self.coefficients).deriv()(np.clip(colour, *self.valid)))


# Of r: V = g - 0.5784 (g - r) - 0.0038 for SDSS; for DES this with g and r of SDSS from those of DES by
# g = g_SDSS - 0.104 (g - r)_SDSS + 0.01935 and r = r_SDSS - 0.102 (g - r)_SDSS + 0.02133 (Drlica-Wagner et al. 2015).
# Of Hubble: table 22 of Sirianni et al. (2005) for V - I > 0.4, less the Vega zero points of their table 11.
RELATIONS = {
    "Pan-STARRS 1": Relation("g - r", (0.005, 0.462, 0.013), (-0.5, 2.0), 0.012, "Tonry et al. 2012"),
    "SDSS": Relation("g - r", (-0.0038, 0.4216), (-0.5, 1.5), 0.01, "Lupton 2005"),
    "DES": Relation("g - r", (-0.0241, 0.5246), (-0.5, 1.5), 0.02, "Lupton 2005, Drlica-Wagner et al. 2015"),
    "F555W": Relation("V - I", (0.001, -0.088, 0.043), (0.4, 1.8), 0.03, "Sirianni et al. 2005"),
    "F606W": Relation("V - I", (-0.067, 0.340, -0.038), (0.4, 1.8), 0.05, "Sirianni et al. 2005"),
}
ASSUMED = {"g - r": (0.5, 0.1), "V - I": (0.95, 0.1)}  # of old clusters without dust, and their spread (Harris 1996)
