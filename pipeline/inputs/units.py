"""What the BUNIT of an image means: the spellings that people use, read by astropy."""

import re
import warnings
from dataclasses import dataclass
from typing import Any, Literal

SPELLINGS = (  # as people write it, in any case; and as astropy does
    (r"\be(lectrons?)?-?(?=[\s/*.^]|$)", "electron"),
    (r"\b(counts?|cts?)(?=\W|$)", "ct"),
    (r"\badus?\b", "adu"),
    (r"\bdns?\b", "DN"),
    (r"\b(nano-?(maggies|maggys?|mgys?)|n(maggys?|mgys?))\b", "nmgy"),
    (r"\b(maggies|maggys?|mgys?)\b", "mgy"),
    (r"\bjanskys?\b", "Jy"),
    (r"\b(square|sq\.?)\s*(arc-?sec(ond)?s?|asec)\b", "arcsec2"),
    (r"\b(arc-?sec(ond)?s?|asec)(?=\d|\W|$)", "arcsec"),
    (r"\b(l_?sun|l_?sol|sollum|l⊙)(?=\W|$)", "Lsun"),
    (r"\b(seconds?|secs?|s)(?=-?\d|\W|$)", "s"),
    (r"\b[uµμ]jy\b", "uJy"),
    (r"\bnjy\b", "nJy"),
    (r"\bsr\b", "sr"),
    (r"\bergs?\b", "erg"),
    (r"(?<=[/\s])(A|Ang|Angstroms?|Å)(?=-?\d|\W|$)", "Angstrom"),
    (r"\s*\bper\s+", "/"),
    (r"\s*(/\s*pix(els?)?\b|\bpix(els?)?\s*\^?-1\b)", ""),
)
MAGNITUDE = re.compile(r"(?P<before>AB|ST|Vega)?[\s_]*mag(nitude)?s?[\s_(]*(?P<after>AB|ST|Vega)?\s*\)?", re.I)
COUNTS = ("ct", "adu", "DN", "electron")


@dataclass(frozen=True)
class Unit:
    """What the numbers of an image are.

    Attributes:
        kind: counts of a camera; a flux density; a magnitude; finished: Lsun/kpc2.
        size: astropy's unit of a pixel: the solid angle is taken out of it.
        area: the solid angle that it is per; None: per pixel.
        logarithm: whether the numbers are log10 of it.
        scale: of magnitudes: AB, ST or Vega where the name says it.
    """

    kind: Literal["counts", "flux", "magnitude", "finished"]
    size: Any
    area: Any = None
    logarithm: bool = False
    scale: str | None = None

    @property
    def per_second(self) -> bool:
        """Whether it is a rate."""
        from astropy import units as u

        return bool(u.s in self.size.bases)


def unit_named(name: str) -> Unit | None:
    """The unit of a BUNIT such as ``ELECTRONS/S``, ``mag arcsec-2`` or ``log10(Lsun/kpc2)``; None: an unknown one."""
    from astropy import units as u

    text = name.strip()
    if log := re.fullmatch(r"\[?(log10|log|lg|dex)\b\s*[(\[]?(.*?)[)\]]*", text, re.I):
        inner = unit_named(log.group(2))
        return Unit("finished", inner.size, logarithm=True) if inner and inner.kind == "finished" else None
    if (magnitude := MAGNITUDE.match(text)) and (rest := parsed(f"mag {text[magnitude.end() :]}")):
        scale = magnitude["before"] or magnitude["after"]
        area = None if rest == u.mag else u.mag / rest
        solid = area is None or area.is_equivalent(u.sr)
        return Unit("magnitude", u.mag, area, scale=scale and scale.upper().replace("VEGA", "Vega")) if solid else None
    unit = parsed(text)
    if unit is None:
        return None
    for area in (None, u.arcsec**2, u.sr, u.deg**2, u.arcmin**2):
        if kind := kind_of(size := unit * (area or u.dimensionless_unscaled)):
            return Unit(kind, size, area)
    return None


def parsed(text: str) -> Any:
    """Astropy's unit of a spelling; None where it has none."""
    from astropy import units as u

    for pattern, right in SPELLINGS:
        text = re.sub(pattern, right, text, flags=re.I)
    text = text.replace("JY", "Jy")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)
            return u.Unit(text) if text.strip() else None
    except ValueError:
        return None


def kind_of(size: Any) -> Any:
    """The kind of a unit of a pixel; None where it is no brightness."""
    from astropy import units as u

    if size == u.Lsun / u.kpc**2:  # not any power over area: Lsun/pc2 is a surface brightness at the source
        return "finished"
    if any(size in (u.Unit(name), u.Unit(name) / u.s) for name in COUNTS):
        return "counts"
    flux = (u.mgy, u.Jy, u.erg / u.s / u.cm**2 / u.AA)
    return "flux" if any(size.is_equivalent(f) for f in flux) else None
