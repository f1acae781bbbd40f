"""Units of star systems: from those of a table to the system in which G = 1, a length is 1 pc and a mass 1 Msun."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError

if TYPE_CHECKING:
    import polars as pl

NBODY = "nbody"  # nothing to convert
OURS = {"length_unit": "pc", "time_unit": "14.9 Myr, so that G = 1", "mass_unit": "Msun"}


@dataclass(frozen=True)
class StarUnits:
    """What one unit of a table is in our system.

    Attributes:
        name: as the user wrote it.
        length: in pc.
        mass: in Msun.
        time: in sqrt(pc^3 / (G Msun)), 14.9 Myr.
        speed: in sqrt(G Msun / pc), 0.0656 km/s.
        length_name: of the unit of length.
    """

    name: str = NBODY
    length: float = 1.0
    mass: float = 1.0
    time: float = 1.0
    speed: float = 1.0
    length_name: str = "N-body units"

    def to_ours(self, table: "pl.DataFrame") -> "pl.DataFrame":
        """A table with the columns of the contract, converted."""
        return self._scaled(table, inverse=False)

    def from_ours(self, table: "pl.DataFrame") -> "pl.DataFrame":
        """A table of our system, in the user's units again."""
        return self._scaled(table, inverse=True)

    def _scaled(self, table: "pl.DataFrame", *, inverse: bool) -> "pl.DataFrame":
        import polars as pl

        factors = dict.fromkeys("xyz", self.length) | dict.fromkeys(("vx", "vy", "vz"), self.speed)
        factors |= {"time_step": self.time, "mass": self.mass}
        power = -1 if inverse else 1
        present = {name: factor**power for name, factor in factors.items() if name in table.columns and factor != 1}
        return table.with_columns(pl.col(name) * factor for name, factor in present.items())


def read_units(text: str, where: str) -> StarUnits:
    """Units such as ``pc Msun Myr``, ``AU Msun yr``, ``pc Msun km/s`` or ``pc Msun Myr km/s``, in any order.

    Without a speed it is length over time; without a time that is length over speed.

    Args:
        text: names that astropy knows, or ``nbody``: G = 1 already.
        where: key or option, for messages.

    Raises:
        InputError: a unit is unknown, missing or there twice.
    """
    if text.strip().lower() in (NBODY, "n-body"):
        return StarUnits()
    import astropy.units as u
    from astropy.constants import G

    found: dict[str, Any] = {}
    for word in re.sub(r"\s*/\s*", "/", text.replace(",", " ")).split():
        kind, unit = _kind(word, text, where)
        if kind in found:
            raise InputError(f"{where} {text!r} names two units of {kind}; name one")
        found[kind] = unit
    if "length" not in found or "mass" not in found or not {"time", "speed"} & set(found):
        raise InputError(f"{where} {text!r}: name a length, a mass and a time or speed, such as pc Msun Myr")
    length, mass = found["length"], found["mass"]
    time = found.get("time") or length / found["speed"]
    speed = found.get("speed") or length / time
    unit_time = ((1 * u.pc) ** 3 / (G * u.Msun)) ** 0.5
    return StarUnits(
        " ".join(text.split()),
        length.to(u.pc),
        mass.to(u.Msun),
        float((1 * time / unit_time).to(u.one)),
        float((1 * speed * unit_time / u.pc).to(u.one)),
        length.to_string(),
    )


def _kind(word: str, text: str, where: str) -> tuple[str, Any]:
    """What a unit measures, and the unit."""
    import astropy.units as u

    try:
        unit = u.Unit(word)
    except ValueError as error:
        message = f"{where} {text!r}: {word} is no unit; name those of astropy, such as pc Msun Myr, AU Msun yr, km/s"
        raise InputError(message) from error
    for kind in ("length", "mass", "time", "speed"):
        if kind in unit.physical_type:
            return kind, unit
    raise InputError(f"{where} {text!r}: {word} is no length, mass, time or speed; name such units, as in pc Msun Myr")
