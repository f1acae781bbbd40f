import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inputs.units import unit_named

SPELLINGS = [
    ("ELECTRONS/S", "counts", u.electron / u.s, None),
    ("electron/s", "counts", u.electron / u.s, None),
    ("electrons s^-1", "counts", u.electron / u.s, None),
    ("e-/s", "counts", u.electron / u.s, None),
    ("e-", "counts", u.electron, None),
    ("electron/s/pix", "counts", u.electron / u.s, None),
    ("counts/s", "counts", u.ct / u.s, None),
    ("count s-1", "counts", u.ct / u.s, None),
    ("counts per second", "counts", u.ct / u.s, None),
    ("COUNTS", "counts", u.ct, None),
    ("DN/s", "counts", u.DN / u.s, None),
    ("dn", "counts", u.DN, None),
    ("ADU", "counts", u.adu, None),
    ("adu / s", "counts", u.adu / u.s, None),
    ("nanomaggy", "flux", u.nmgy, None),
    ("nanomaggies", "flux", u.nmgy, None),
    ("nMgy", "flux", u.nmgy, None),
    ("nmgy/arcsec2", "flux", u.nmgy, u.arcsec**2),
    ("Jy", "flux", u.Jy, None),
    ("mJy", "flux", u.mJy, None),
    ("uJy", "flux", u.uJy, None),
    ("µJy", "flux", u.uJy, None),
    ("nJy", "flux", u.nJy, None),
    ("1e-9 Jy", "flux", u.nJy, None),
    ("MJy/sr", "flux", u.MJy / u.sr * u.arcsec**2, u.arcsec**2),
    ("MJY/SR", "flux", u.MJy / u.sr * u.arcsec**2, u.arcsec**2),
    ("erg/s/cm2/Angstrom", "flux", u.erg / u.s / u.cm**2 / u.AA, None),
    ("ergs/s/cm2/A", "flux", u.erg / u.s / u.cm**2 / u.AA, None),
    ("erg s-1 cm-2 Hz-1", "flux", u.erg / u.s / u.cm**2 / u.Hz, None),
    ("mag", "magnitude", u.mag, None),
    ("Magnitudes", "magnitude", u.mag, None),
    ("mag/arcsec2", "magnitude", u.mag, u.arcsec**2),
    ("mag arcsec-2", "magnitude", u.mag, u.arcsec**2),
    ("MAG/ARCSEC^2", "magnitude", u.mag, u.arcsec**2),
    ("mag / arcsec**2", "magnitude", u.mag, u.arcsec**2),
    ("mag/arcsec/arcsec", "magnitude", u.mag, u.arcsec**2),
    ("mag per square arcsec", "magnitude", u.mag, u.arcsec**2),
    ("mag/sq arcsec", "magnitude", u.mag, u.arcsec**2),
    ("Lsun/kpc2", "finished", u.Lsun / u.kpc**2, None),
    ("L_sun kpc^-2", "finished", u.Lsun / u.kpc**2, None),
    ("solLum / kpc**2", "finished", u.Lsun / u.kpc**2, None),
]


@pytest.mark.parametrize(("name", "kind", "size", "area"), SPELLINGS)
def test_units_are_read_in_all_spellings(name: str, kind: str, size: u.UnitBase, area: u.UnitBase | None) -> None:
    unit = unit_named(name)
    assert unit is not None
    assert (unit.kind, unit.size, unit.area, unit.logarithm) == (kind, size, area, False)


@pytest.mark.parametrize("name", ["log10(Lsun/kpc2)", "log(L_sun kpc^-2)", "dex(Lsun/kpc2)", "[log Lsun/kpc2]"])
def test_logarithms_of_finished_maps(name: str) -> None:
    unit = unit_named(name)
    assert unit is not None
    assert (unit.kind, unit.logarithm) == ("finished", True)


@pytest.mark.parametrize(
    ("name", "scale"),
    [("mag", None), ("mag(AB)", "AB"), ("ABmag", "AB"), ("AB mag/arcsec2", "AB"), ("STMAG", "ST"), ("VegaMag", "Vega")],
)
def test_magnitudes_may_name_their_scale(name: str, scale: str | None) -> None:
    unit = unit_named(name)
    assert unit is not None
    assert unit.scale == scale


@pytest.mark.parametrize(
    "name", ["", "banana", "K", "m/s", "Lsun/pc2", "erg/s/cm2", "mag/pc2", "log(adu)", "s", "ct/s2"]
)
def test_what_is_no_brightness_is_unknown(name: str) -> None:
    """Lsun/pc2 is a surface brightness where the stars are, not light that arrives."""
    assert unit_named(name) is None


@given(
    st.sampled_from([u.adu, u.ct, u.electron, u.DN, u.nmgy, u.Jy, u.mag]),
    st.sampled_from([u.dimensionless_unscaled, u.arcsec**2, u.deg**2]),
    st.sampled_from(["generic", "fits"]),
)
def test_what_astropy_writes_is_read(brightness: u.UnitBase, area: u.UnitBase, style: str) -> None:
    if brightness in (u.electron, u.DN, u.nmgy):  # no units of the FITS standard
        style = "generic"
    found = unit_named((brightness / area).to_string(style))
    assert found is not None
    assert found.size / (found.area or 1) == (brightness / area if brightness != u.mag else u.mag / (found.area or 1))
    assert (found.area is None) == (area == u.dimensionless_unscaled)
