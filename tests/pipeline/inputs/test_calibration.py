from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from pipeline.errors import InputError
from pipeline.inputs.calibration import read_images
from pipeline.inputs.options import FitsOptions
from tests.pipeline.inputs.calibrated import AREA, CLEAR, NOTHING, image, magnitude, refusal
from tests.pipeline.inputs.fits_files import PIXEL, SIDE, extension, sky, written

# --- units -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (22.0, "mag", 22.0),
        (22.0, "mag/arcsec2", 22.0 - 2.5 * np.log10(AREA)),
        (1.0, "nanomaggy", 22.5),
        (1.0, "nmgy/arcsec2", 22.5 - 2.5 * np.log10(AREA)),
        (1.0, "Jy", 8.90),
        (1.0, "mJy", 16.40),
        (1.0, "uJy", 23.90),
        (1.0, "nJy", 31.40),
        (1.0, "MJy/sr", 8.90 - 2.5 * np.log10(1e6 * AREA / 206264.806**2)),
        (1.0, "erg s-1 cm-2 Hz-1", -48.60),
    ],
)
def test_physical_units(tmp_path: Path, value: float, unit: str, expected: float) -> None:
    """Of AB magnitudes, 3631 Jy is magnitude 0."""
    found = image(tmp_path, value, BUNIT=unit, FILTER="SDSS g", **CLEAR)
    assert magnitude(found) == pytest.approx(expected, abs=3e-3)


def test_light_per_wavelength(tmp_path: Path) -> None:
    """AB = -2.5 log10(f_lambda) - 21.10 - 5 log10(wavelength) + 18.692."""
    found = image(tmp_path, 1e-18, BUNIT="erg/s/cm2/A", FILTER="SDSS r", **CLEAR)
    assert magnitude(found) == pytest.approx(45 - 21.10 - 5 * np.log10(10 * found.filter.pivot) + 18.692, abs=3e-3)


@pytest.mark.parametrize("unit", ["adu", "ELECTRONS/S", "e-/s", "counts/s", "count s-1", "DN/s", "electron"])
def test_counts_take_the_zero_point(tmp_path: Path, unit: str) -> None:
    assert magnitude(image(tmp_path, 10.0, BUNIT=unit, FILTER="V", MAGZPT=25.0, **CLEAR)) == pytest.approx(22.5)
    told = image(tmp_path, 10.0, FitsOptions(zeropoint=26.0), BUNIT=unit, FILTER="V", MAGZPT=25.0, **CLEAR)
    assert magnitude(told) == pytest.approx(23.5)


@pytest.mark.parametrize(("unit", "value"), [("Lsun/kpc2", 1e-4), ("log10(Lsun/kpc2)", -4.0)])
def test_finished_maps(tmp_path: Path, unit: str, value: float) -> None:
    found = image(tmp_path, value, BUNIT=unit)
    assert found.flux[0, 0] == pytest.approx(1e-4)
    assert (found.finished, found.filter.band, found.calibration_mag, found.warnings) == (True, "V", 0.0, [])
    assert "is one in V" in refusal(tmp_path, BUNIT=unit, FILTER="g")


@pytest.mark.parametrize("no_value", [99.0, -99.0, 99.99, np.nan])
def test_magnitudes_of_no_value(tmp_path: Path, no_value: float) -> None:
    data = np.full((SIDE, SIDE), 22.0)
    data[2, 5] = no_value
    path = written(tmp_path / "a.fits", fits.PrimaryHDU(data, sky(BUNIT="mag", FILTER="V")))
    (found,) = read_images(path, NOTHING)
    assert np.argwhere(np.isnan(found.flux)).tolist() == [[2, 5]]


def test_ab_and_vega(tmp_path: Path) -> None:
    """V_AB = V - 0.02, so light of AB magnitude 20 has V = 20.02."""
    assert magnitude(image(tmp_path, 20.0, BUNIT="mag(AB)", FILTER="V", **CLEAR)) == pytest.approx(20.02)
    assert magnitude(image(tmp_path, 20.0, BUNIT="mag", FILTER="V", **CLEAR)) == pytest.approx(20.0)
    assert magnitude(image(tmp_path, 10.0, BUNIT="nanomaggy", FILTER="V", **CLEAR)) == pytest.approx(20.02, abs=1e-3)
    assert "scale of Vega" in refusal(tmp_path, BUNIT="Vega mag", FILTER="SDSS g")


def test_uncertainties_are_carried_over(tmp_path: Path) -> None:
    """A relative error of 1 % is 0.010857 mag and 0.0043429 dex."""
    for unit, value, error in (("adu", 5.0, 0.05), ("mag", 20.0, 0.010857), ("log10(Lsun/kpc2)", -4.0, 0.0043429)):
        data = np.full((SIDE, SIDE), value)
        cards = {"BUNIT": unit, "FILTER": "V", "MAGZPT": 25.0, "EBV": 0.3}
        hdus = extension("SCI", data, **cards), extension("ERR", 0 * data + error)
        (found,) = read_images(written(tmp_path / f"{value}.fits", *hdus), NOTHING)
        assert found.uncertainty is not None
        np.testing.assert_allclose(found.uncertainty / found.flux, 0.01, rtol=1e-3)


# --- zero points -----------------------------------------------------------------------------------

HUBBLE = {"TELESCOP": "HST", "INSTRUME": "ACS", **CLEAR}


@pytest.mark.parametrize(
    ("band", "vega", "ab", "st"), [("F606W", 26.398, 26.486, 26.655), ("F555W", 25.724, 25.718, 25.672)]
)
def test_hubble_zero_points(tmp_path: Path, band: str, vega: float, ab: float, st: float) -> None:
    """Sirianni et al. (2005), table 10: magnitudes of one electron a second in ACS/WFC."""
    flam, plam = 10 ** (-0.4 * (st + 21.10)), 10 ** (0.2 * (18.692 - (ab - st)))
    cards = {"FILTER1": "CLEAR1L", "FILTER2": band, "PHOTFLAM": flam, "PHOTPLAM": plam, **HUBBLE}
    found = image(tmp_path, 1.0, BUNIT="ELECTRONS/S", **cards)
    assert magnitude(found) == pytest.approx(vega, abs=2e-3)
    assert (str(found.filter), found.psf_fwhm) == (f"{band} of ACS", 0.1)
    long = image(tmp_path, 100.0, BUNIT="ELECTRONS", EXPTIME=100.0, **cards)
    assert magnitude(long) == pytest.approx(magnitude(found))


def test_hubble_without_exposure_time_is_refused(tmp_path: Path) -> None:
    cards = {"FILTER": "F606W", "PHOTFLAM": 1e-19, "PHOTPLAM": 5919.0, "BUNIT": "ELECTRONS", **HUBBLE}
    assert "card EXPTIME is missing" in refusal(tmp_path, **cards)
    assert "card PHOTFLAM is 0" in refusal(tmp_path, **{**cards, "PHOTFLAM": 0.0})


@pytest.mark.parametrize(("card", "value"), [("ABMAG", 26.486), ("STMAG", 26.655), ("FLUXMAG0", 10 ** (0.4 * 26.486))])
def test_zero_points_on_scales_that_they_name(tmp_path: Path, card: str, value: float) -> None:
    found = image(tmp_path, 1.0, BUNIT="electron/s", FILTER="F606W", **HUBBLE, **{card: value})
    assert magnitude(found) == pytest.approx(26.398, abs=5e-3)


def test_zero_points_that_disagree(tmp_path: Path) -> None:
    cards = {"BUNIT": "adu", "FILTER": "V", "MAGZPT": 25.0, "MAGZERO": 30.0}
    assert "MAGZPT 25, MAGZERO 30" in refusal(tmp_path, **cards)
    assert magnitude(image(tmp_path, 1.0, FitsOptions(zeropoint=30.0), **cards, **CLEAR)) == pytest.approx(30)


@pytest.mark.parametrize("value", ["25 mag", float("nan")])
def test_a_zero_point_is_a_number(tmp_path: Path, value: Any) -> None:
    cards = {"BUNIT": "adu", "FILTER": "V"}
    if isinstance(value, str):
        assert "card MAGZPT is '25 mag'" in refusal(tmp_path, **cards, MAGZPT=value)
    assert "without a zero point" in refusal(tmp_path, **cards)


# --- filters ---------------------------------------------------------------------------------------


def test_band_wins_over_the_header_and_says_so(tmp_path: Path) -> None:
    cards = {"BUNIT": "mag", **CLEAR}
    blank = image(tmp_path, 22.0, FitsOptions(band="V"), FILTER=" ", **cards)
    assert (blank.filter.band, blank.warnings) == ("V", [])
    other = image(tmp_path, 22.0, FitsOptions(band="V"), FILTER="Green", **cards)
    assert other.warnings == ["taken as V of Johnson, as --band says; the header says Green"]
    assumed = image(tmp_path, 22.0, FitsOptions(band="g"), **cards)
    assert assumed.warnings[0] == "g was taken as that of Pan-STARRS 1: the header does not say whose it is"
    named = image(tmp_path, 22.0, FitsOptions(band="SDSS g"), FILTER="g", **cards)
    assert str(named.filter) == "g of SDSS"
    assert "--band 'i' is not taken" in refusal(tmp_path, FitsOptions(band="i"), **cards)


def test_a_filter_that_is_not_taken_is_named_with_all_that_is_missing(tmp_path: Path) -> None:
    told = refusal(tmp_path, FILTER="Green")
    assert "filter 'Green' is not taken" in told and "MAGZPT" in told and "--zeropoint" in told
    assert "the header names no filter" in refusal(tmp_path, BUNIT="mag")
    assert "filter 'y.00000'" in refusal(tmp_path, BUNIT="mag", FILTER="y.00000")


def bands(tmp_path: Path, *names: str) -> Path:
    hdus = [extension("SCI", FILTER=name, BUNIT="mag") for name in names]
    for version, hdu in enumerate(hdus, 1):
        hdu.ver = version
    return written(tmp_path / f"{'-'.join(names)}.fits", *hdus)


def test_several_bands_of_a_file(tmp_path: Path) -> None:
    path = bands(tmp_path, "SDSS g", "SDSS r", "SDSS z")
    g, r = read_images(path, NOTHING)
    assert (g.filter.band, r.filter.band) == ("g", "r")
    assert g.warnings[0] == "not used, being in another filter: extension 3 SCI (SDSS z)"
    assert [found.filter.band for found in read_images(path, FitsOptions(band="r"))] == ["r"]
    assert [found.filter.band for found in read_images(path, FitsOptions(ext="SCI,2"))] == ["r"]


def test_several_images_of_a_band_are_named(tmp_path: Path) -> None:
    path = bands(tmp_path, "V", "V")
    with pytest.raises(InputError, match="extensions 1 SCI and 2 SCI are both in V; choose one by --ext"):
        read_images(path, NOTHING)
    assert len(read_images(path, FitsOptions(ext="2"))) == 1


# --- dust and stars --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cards", "ebv", "expected"),
    [
        ({"EBV": 0.02}, None, 0.05484),
        ({"A_V": 0.31}, None, 0.31),
        ({"EBV": 0.02}, 0.1, 0.2742),
        ({"A_V": 0.31}, 0.0, 0.0),
        ({}, 0.1, 0.2742),
    ],
)
@pytest.mark.parametrize("unit", ["mag", "log10(Lsun/kpc2)"])
def test_extinction(tmp_path: Path, unit: str, cards: dict[str, float], ebv: float | None, expected: float) -> None:
    """2.742 times the E(B-V) of the maps of Schlegel et al.; a finished map is corrected too."""
    value = 20.0 if unit == "mag" else -4.0
    found = image(tmp_path, value, FitsOptions(ebv=ebv), BUNIT=unit, FILTER="V", **cards)
    clear = image(tmp_path, value, BUNIT=unit, FILTER="V", **CLEAR)
    assert magnitude(clear) - magnitude(found) == pytest.approx(expected, abs=1e-9)
    assert found.warnings == []


def test_extinction_of_other_filters(tmp_path: Path) -> None:
    """A_g = 3.303/2.742 A_V for SDSS."""
    found = image(tmp_path, 20.0, BUNIT="mag", FILTER="SDSS g", A_V=1.0)
    assert 20.0 - magnitude(found) == pytest.approx(3.303 / 2.742)
    assert "no extinction" in image(tmp_path, 20.0, BUNIT="mag", FILTER="V").warnings[0]
    assert "card EBV is -1" in refusal(tmp_path, BUNIT="mag", FILTER="V", EBV=-1.0)


@pytest.mark.parametrize(
    ("cards", "fwhm", "expected"),
    [
        ({"PSFFWHM": 1.2}, None, 1.2),
        ({"PSFFWHM": 1.2}, 2.0, 2.0),
        ({"HIERARCH CHIP.SEEING": 3.0}, None, 3.0 * PIXEL),
        ({"ORIGIN": "SDSS"}, None, 1.3),
        ({}, None, None),
    ],
)
def test_width_of_a_star(tmp_path: Path, cards: dict[str, Any], fwhm: float | None, expected: float | None) -> None:
    found = image(tmp_path, 20.0, FitsOptions(fwhm=fwhm), BUNIT="mag", FILTER="V", **CLEAR, **cards)
    assert found.psf_fwhm == (None if expected is None else pytest.approx(expected, rel=1e-6))


# --- refused ---------------------------------------------------------------------------------------


def test_mistakes_are_named(tmp_path: Path) -> None:
    assert "BUNIT is 'banana'" in refusal(tmp_path, BUNIT="banana", FILTER="V")
    assert "no unit (BUNIT) and no zero point" in refusal(tmp_path, FILTER="V")
    assert "no celestial WCS" in refusal(tmp_path, BUNIT="mag", FILTER="V", CTYPE1="X", CTYPE2="Y")
    assert "without a zero point" in refusal(tmp_path, BUNIT=u.adu.to_string(), FILTER="V")
    assert image(tmp_path, 1.0, FILTER="V", MAGZPT=25.0, **CLEAR).warnings == [
        "taken as counts: the header has no BUNIT"
    ]
