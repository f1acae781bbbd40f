"""Units of star tables against astropy's constants."""

import astropy.units as u
import polars as pl
import pytest
from astropy.constants import G

from pipeline.errors import InputError
from pipeline.inputs.star_units import StarUnits, read_units


@pytest.mark.parametrize(
    ("text", "length", "mass", "time", "speed"),
    [
        ("pc Msun Myr", u.pc, u.Msun, u.Myr, u.pc / u.Myr),
        ("AU Msun yr", u.au, u.Msun, u.yr, u.au / u.yr),
        ("Msun, kpc, km/s", u.kpc, u.Msun, u.kpc / (u.km / u.s), u.km / u.s),
        ("pc Msun Myr km / s", u.pc, u.Msun, u.Myr, u.km / u.s),
        ("m kg s", u.m, u.kg, u.s, u.m / u.s),
    ],
)
def test_gravity_has_the_constant_one(text: str, length: u.Unit, mass: u.Unit, time: u.Unit, speed: u.Unit) -> None:
    """Two bodies: the acceleration G m / r^2 in SI is that of our numbers with G = 1."""
    units = read_units(text, "--units")
    si = (G * (3 * mass) / (2 * length) ** 2).to(u.m / u.s**2).value
    ours = 3 * units.mass / (2 * units.length) ** 2
    unit_of_acceleration = ((1 * length / units.length) / (1 * time / units.time) ** 2).to_value(u.m / u.s**2)
    assert ours * unit_of_acceleration == pytest.approx(si, rel=1e-12)
    per_time = float((1 * speed * time / length).to(u.one))
    assert units.speed == pytest.approx(units.length / units.time * per_time, rel=1e-12)


def test_the_system_is_pc_and_msun() -> None:
    units = read_units("pc Msun Myr", "--units")
    assert (units.length, units.mass) == (1, 1)
    assert 1 / units.time == pytest.approx(
        14.91, abs=0.01
    )  # Myr; Heggie & Hut 2003, table 1.1: 14.94 with old constants
    assert read_units("pc Msun km/s", "").speed == pytest.approx(1 / 0.06558, rel=1e-3)


def test_there_and_back() -> None:
    units = read_units("AU Msun day", "--units")
    table = pl.DataFrame({"time_step": [1.0], "x": [2.0], "vx": [3.0], "mass": [4.0], "N_sim": [5.0]})
    assert units.from_ours(units.to_ours(table)).row(0) == pytest.approx(table.row(0), rel=1e-14)
    assert StarUnits().to_ours(table).equals(table)
    assert read_units("nbody", "") == StarUnits()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pc Msun", "name a length, a mass and a time or speed"),
        ("pc Myr", "name a length, a mass"),
        ("pc Msun parsnip", "parsnip is no unit"),
        ("pc AU Msun yr", "two units of length"),
        ("pc Msun K", "K is no length, mass, time or speed"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_units(text, "nbody.units")
    assert str(error.value).startswith("nbody.units") and "\n" not in str(error.value)
