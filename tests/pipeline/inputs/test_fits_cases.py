"""One mock map through the files of many programs: each must be read as the whole map is, or refused with the cause."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from pipeline.errors import InputError
from pipeline.inputs.observation import Observation, read_observation
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.training_maps import TrainingMaps

MAPS = TrainingMaps(4.0, 0.25, -8.0, psf_range=(2.4, 6.0), noise_range=(-7.5, -5.0))


def read(path: Path, **options) -> Observation:
    return read_observation(path, MAPS, FitsOptions(**options))


@pytest.fixture(scope="module")
def whole(cases: Path) -> Observation:
    """The map read whole, from a plain header."""
    return read(cases / "B03/base_cd.fits")


SAME = {  # file: words of its warnings, and what is said beside it
    "B01/wcs3.fits": ([], {}),
    "B01/wcs4.fits": ([], {}),
    "B03/base_cd.fits": ([], {}),
    "B07/hst_drz.fits": (["WHT", "CTX", "extinction", "width of a star"], {}),
    "B07/lsst.fits": (["MASK", "VARIANCE"], {}),
    "B07/preview.fits": (["PREVIEW"], {}),
    "B07/psf_ext.fits": (["PSF"], {}),
    "B07/two_v.fits": (["WHT"], {}),
    "B08/filter_blank.fits": ([], {"band": "V"}),
    "B08/inherit.fits": (["extinction", "width of a star"], {}),
    "B09/mag_3.fits": ([], {}),
    "B09/unit_01.fits": ([], {}),
    "B09/unit_04.fits": ([], {}),
    "B09/unit_07.fits": ([], {}),
    "B12/100$_and_$5.npy": ([], {}),
    "B12/m13_$final_$.npy": ([], {}),
}


@pytest.mark.parametrize("name", SAME)
def test_read_as_the_whole_map_is(cases: Path, whole: Observation, name: str) -> None:
    words, options = SAME[name]
    found = read(cases / name, **options)
    np.testing.assert_allclose(found.log_flux, whole.log_flux, atol=1e-6)
    text = " ".join(found.warnings)
    assert all(word in text for word in words)
    assert bool(found.warnings) == bool(words)


def test_blank_pixels_are_missing(cases: Path, whole: Observation) -> None:
    """720 of 240 x 240 pixels are BLANK, 480 of them in the field."""
    found = read(cases / "B04/blank_i2.fits")
    assert found.mask.sum() == 480
    np.testing.assert_allclose(found.log_flux[~found.mask], whole.log_flux[~found.mask], atol=0.3)  # 16 bits
    bright = ~found.mask & (whole.log_flux > -5)
    np.testing.assert_allclose(found.log_flux[bright], whole.log_flux[bright], atol=5e-3)
    assert "1.9 % of the field has no value" in " ".join(found.warnings)


def test_a_nanomaggy_is_22_5_magnitudes_whatever_another_card_says(cases: Path, whole: Observation) -> None:
    """Dimmed by 7.5 mag it is the map; in V, magnitudes are 0.02 fainter than on the scale of AB."""
    found = read(cases / "B09/unit_12.fits")
    assert "MAGZPT" in " ".join(found.warnings)
    shift = (found.log_flux - whole.log_flux)[whole.log_flux > -6]
    assert shift == pytest.approx(0.4 * 7.5, abs=0.02)


REFUSED = {  # file: the cause, in words
    "B03/nan_padded.fits": r"43\.8 % of the field has no value",
    "B03/zero_padded.fits": r"43\.8 % of the field has no value",
    "B04/blank_u2.fits": r"30\.2 % of the field has no value",
    "B08/filter_blank.fits": "the header names no filter.*--band",
    "B11/singular.fits": "size of a pixel is 0.*singular",
    "B11/nocdelt.fits": "no size of a pixel.*CDELT1",
    "B11/ps1_exptime0.fits": "EXPTIME is 0",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_cause(cases: Path, name: str) -> None:
    with pytest.raises(InputError, match=REFUSED[name]) as mistake:
        read(cases / name)
    assert str(cases / name) in str(mistake.value) and "\n" not in str(mistake.value)


@pytest.mark.parametrize("strength", ["1em6", "3em6", "1em5"])
def test_a_far_reference_pixel_with_distortion(cases: Path, tmp_path: Path, strength: str) -> None:
    """The same pixels under the straight coordinates that fit best around the middle are the oracle."""
    path = cases / f"B06/sip_corner_{strength}.fits"
    with fits.open(path) as hdus:
        data, header = hdus[0].data, hdus[0].header
    wcs = WCS(header)
    x = y = (data.shape[0] - 1) / 2
    middle, right, up = (wcs.pixel_to_world(x + dx, y + dy) for dx, dy in ((0, 0), (1, 0), (0, 1)))
    cd = np.array([[step.deg for step in middle.spherical_offsets_to(to)] for to in (right, up)]).T
    straight = {"CRPIX1": x + 1, "CRPIX2": y + 1, "CRVAL1": middle.ra.deg, "CRVAL2": middle.dec.deg}
    straight |= {f"CD{i + 1}_{j + 1}": cd[i, j] for i in (0, 1) for j in (0, 1)}
    for card in [c for c in header if c[:2] in ("A_", "B_") and c != "A_V"]:
        del header[card]
    header.update(straight | {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    fits.writeto(tmp_path / "straight.fits", data, header)
    found, expected = read(path), read(tmp_path / "straight.fits")
    assert found.wcs.pixel_to_world(79.5, 79.5).separation(middle).arcsec < 0.01
    assert not found.mask.any()
    light, true = (10.0**seen.log_flux for seen in (found, expected))
    assert light.sum() == pytest.approx(true.sum(), rel=0.01)
    assert np.abs(light - true).sum() < 0.05 * true.sum()  # the distortion is not quite straight


def test_left_over_distortion_without_its_name(cases: Path, whole: Observation) -> None:
    found = read(cases / "B06/sipleft_corner_1em5.fits")
    assert "SIP cards were not used" in " ".join(found.warnings)
    light, true = (10.0**seen.log_flux for seen in (found, whole))
    assert np.abs(light - true).sum() < 0.01 * true.sum()  # drawn with pixels of 0.2 arcsec


# --- cases without a file -----------------------------------------------------------------------------


@pytest.fixture
def base(cases: Path) -> fits.PrimaryHDU:
    with fits.open(cases / "B03/base_cd.fits") as hdus:
        return fits.PrimaryHDU(hdus[0].data.copy(), hdus[0].header.copy())


def test_99_magnitudes_are_missing(base: fits.PrimaryHDU, whole: Observation, tmp_path: Path) -> None:
    counts = base.data.copy()
    base.data = 30 - 2.5 * np.log10(counts)
    base.data[100:110, 50:70], base.data[100:110, 70:80] = 99.0, -99.0  # 1.2 % of the field
    base.header["BUNIT"] = "mag"
    base.writeto(tmp_path / "mag.fits")
    found = read(tmp_path / "mag.fits")
    assert found.mask.sum() == 300
    np.testing.assert_allclose(found.log_flux[~found.mask], whole.log_flux[~found.mask], atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "words"), [("'adu     '", "adu       ", "BUNIT"), ("199.11", "199,11", "CRVAL1")]
)
def test_a_card_that_is_no_fits_is_named(base: fits.PrimaryHDU, tmp_path: Path, old: str, new: str, words: str) -> None:
    base.writeto(tmp_path / "whole.fits")
    content = (tmp_path / "whole.fits").read_bytes()
    assert content.count(old.encode()) == 1
    (tmp_path / "odd.fits").write_bytes(content.replace(old.encode(), new.encode()))
    with pytest.raises(InputError, match=words):
        read(tmp_path / "odd.fits")


def bands(base: fits.PrimaryHDU, folder: Path, arcsec: float) -> tuple[Path, Path]:
    """The map as g and, at ``arcsec`` to the north in the sky, as r."""
    for name, shift in (("g", 0.0), ("r", arcsec)):
        image = base.copy()
        image.header.update({"FILTER": name, "CRVAL2": base.header["CRVAL2"] + shift / 3600})
        image.writeto(folder / f"{name}.fits")
    return folder / "g.fits", folder / "r.fits"


def test_two_bands_that_point_elsewhere(base: fits.PrimaryHDU, tmp_path: Path) -> None:
    g, r = bands(base, tmp_path, 600.0)
    with pytest.raises(InputError, match=r"r\.fits: points elsewhere.*600 arcsec"):
        read(g, g=g, r=r)


def test_two_bands_five_arcsec_apart_are_laid_on_one_another(base: fits.PrimaryHDU, tmp_path: Path) -> None:
    """r, that points 5 arcsec (20 pixels) further north, shows the same stars 20 pixels further down."""
    g, r = bands(base, tmp_path, 5.0)
    shifted = fits.open(r)
    shifted[0].data = np.roll(shifted[0].data, -20, 0)
    shifted.writeto(tmp_path / "moved.fits")
    alone, both = read(g), read(g, g=g, r=tmp_path / "moved.fits")
    inside = np.s_[10:120, 10:150]  # what was rolled around stays out
    difference = (alone.log_flux - both.log_flux)[inside][alone.log_flux[inside] > -6]
    assert np.ptp(difference) < 1e-6  # one colour everywhere: no star was set beside another


def test_two_bands_in_one_another_s_place(base: fits.PrimaryHDU, tmp_path: Path) -> None:
    g, r = bands(base, tmp_path, 0.0)
    with pytest.raises(InputError, match=r"r\.fits: a picture in r, given as --g"):
        read(r, g=r, r=g)


def test_two_bands_whose_headers_name_no_filter(base: fits.PrimaryHDU, tmp_path: Path) -> None:
    """Given as --g and --r, they are what they are given as."""
    g, r = bands(base, tmp_path, 0.0)
    named = read(g, g=g, r=r).log_flux
    for path in (g, r):
        with fits.open(path, mode="update") as file:
            del file[0].header["FILTER"]
    np.testing.assert_array_equal(read(g, g=g, r=r).log_flux, named)
