import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inputs.filters import FILTERS, RELATIONS, V, named, system_of


@pytest.mark.parametrize(
    "name",
    ["V", "V ", "Johnson V", "V Johnson", "johnson_V", "Bessell V", "BesselV", "V_BESS", "V band", "V Harris c6004"],
)
def test_names_of_v(name: str) -> None:
    assert named(name) == V


@pytest.mark.parametrize(
    ("name", "system", "expected"),
    [
        ("g", None, "g of Pan-STARRS 1"),
        ("r", "SDSS", "r of SDSS"),
        ("g.00000", "Pan-STARRS 1", "g of Pan-STARRS 1"),
        ("SDSS-g", None, "g of SDSS"),
        ("sdssr", None, "r of SDSS"),
        ("SDSS g'", None, "g of SDSS"),
        ("r'", "SDSS", "r of SDSS"),
        ("gp1", "Pan-STARRS 1", "g of Pan-STARRS 1"),
        ("g_PS1", None, None),
        ("PS1 g", None, "g of Pan-STARRS 1"),
        ("g DECam SDSS c0001 4720.0 1520.0", None, "g of DES"),
        ("r DECam SDSS c0002 6415.0 1480.0", "DES", "r of DES"),
        ("DES r", None, "r of DES"),
        ("F606W", "WFC3", "F606W of WFC3"),
        ("f555w", None, "F555W of ACS"),
        ("ACS/WFC F606W", None, "F606W of ACS"),
    ],
)
def test_names_of_other_filters(name: str, system: str | None, expected: str | None) -> None:
    expected = expected or "g of Pan-STARRS 1"
    assert str(named(name, system)) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "y.00000",
        "i",
        "z",
        "Ks",
        "Green",
        "R",
        "B",
        "v",
        "G",
        "Rc",
        "Gaia G",
        "gri",
        "F814W",
        "F606N",
        "red",
        "Vr",
        "none",
    ],
)
def test_other_light_is_not_taken(name: str) -> None:
    """R is that of Cousins, v that of Strömgren, G that of Gaia."""
    assert named(name) is None


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("SDSS-g", "SDSS"),
        ("DECaLS", "DES"),
        ("90prime", "DES"),
        ("DECam", "DES"),
        ("PS1", "Pan-STARRS 1"),
        ("WFC3", "WFC3"),
        ("ORIGIN DESY", None),
        ("a description", None),
        ("", None),
    ],
)
def test_whose_filters_a_text_speaks_of(text: str, system: str | None) -> None:
    assert system_of(text) == system


def test_extinction_is_that_of_the_table() -> None:
    """Schlafly & Finkbeiner (2011), table 6, R_V = 3.1; twelve per cent below 3.1 in V."""
    table = {"V of Johnson": 2.742, "g of SDSS": 3.303, "r of SDSS": 2.285, "g of Pan-STARRS 1": 3.172}
    table |= {"r of Pan-STARRS 1": 2.271, "g of DES": 3.237, "r of DES": 2.176, "F606W of ACS": 2.471}
    assert {str(f): f.extinction for f in FILTERS if str(f) in table} == table
    assert V.extinction / 3.1 == pytest.approx(0.88, abs=0.01)


@given(st.floats(-0.2, 1.2))
def test_v_of_sdss_agrees_with_other_authors(colour: float) -> None:
    """Jester et al. (2005): V = g - 0.59 (g - r) - 0.01, scatter 0.01."""
    ours = float(RELATIONS["SDSS"].difference(colour))
    assert ours == pytest.approx(colour - 0.59 * colour - 0.01, abs=0.025)


@given(st.floats(0.2, 1.2))
def test_v_of_pan_starrs_agrees_with_its_relation_of_g(colour: float) -> None:
    """Tonry et al. (2012), table 6: V = g + 0.005 - 0.536 (g - r) + 0.011 (g - r)²."""
    ours = float(RELATIONS["Pan-STARRS 1"].difference(colour)) - colour
    assert ours == pytest.approx(0.005 - 0.536 * colour + 0.011 * colour**2, abs=0.01)


@given(st.floats(0.45, 1.2))
def test_v_of_des_agrees_with_data_release_2(blue: float) -> None:
    """DES DR2: g = V + 0.493 (B - V) - 0.067; g - r of SDSS is 1.02 (B - V) - 0.22 (Jester et al. 2005)."""
    sdss = 1.02 * blue - 0.22
    colour = 0.998 * sdss - 0.00198
    v_less_g = float(RELATIONS["DES"].difference(colour)) - colour
    assert v_less_g == pytest.approx(-(0.493 * blue - 0.067), abs=0.035)


def test_relations_hold_at_their_ends_beyond_their_range() -> None:
    relation = RELATIONS["SDSS"]
    assert relation.difference(9.0) == relation.difference(1.5)
    np.testing.assert_allclose(relation.difference(np.array([0.0, 1.0])), [-0.0038, 0.4178])
    assert relation.slope(0.5) == pytest.approx(0.4216)


def test_hubble_is_fainter_or_brighter_than_v_as_expected() -> None:
    """F606W reaches to the red, so an old cluster is brighter in it than in V; F555W is V's nearest."""
    assert float(RELATIONS["F606W"].difference(1.0)) == pytest.approx(0.24, abs=0.06)
    assert float(RELATIONS["F555W"].difference(1.0)) == pytest.approx(-0.04, abs=0.02)
