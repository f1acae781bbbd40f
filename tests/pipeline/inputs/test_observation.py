"""Pictures read as the maps that networks know: light, place, calibration, and what is told of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from pipeline.errors import InputError
from pipeline.inputs.observation import read_observation
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.training_maps import TrainingMaps
from tests.pipeline.inputs.map_files import (
    COUNT,
    LOG_FLOOR,
    SIDE,
    cluster,
    counts,
    flat,
    header,
    labelled,
    log_map,
    read,
    write,
)


def test_npy_and_fits_in_both_units_agree(tmp_path: Path) -> None:
    log_flux = log_map()
    np.save(tmp_path / "a.npy", log_flux)
    write(tmp_path / "b.fits", log_flux)
    write(tmp_path / "c.fits", 10.0**log_flux, unit="Lsun / kpc2")
    for name in ("a.npy", "b.fits", "c.fits"):
        observation = read(tmp_path / name)
        np.testing.assert_allclose(observation.log_flux, log_flux, atol=1e-5)
        assert observation.warnings == []


def test_larger_image_is_cut_and_keeps_the_sky(tmp_path: Path) -> None:
    big = log_map(300)
    path = write(tmp_path / "big.fits", big, geometry={"angle": 0.3})
    observation = read(path)
    np.testing.assert_allclose(observation.log_flux, big[70:230, 70:230], atol=1e-5)
    sky = WCS(fits.getheader(path)).pixel_to_world(80, 90)
    x, y = observation.wcs.world_to_pixel(sky)
    assert (x, y) == (pytest.approx(10, abs=1e-6), pytest.approx(20, abs=1e-6))


@pytest.mark.parametrize("cd", [True, False])
@pytest.mark.parametrize("pixel", [0.125, 0.4])
def test_other_pixels_are_resampled_with_flux_conserved(tmp_path: Path, pixel: float, cd: bool) -> None:
    """A Gaussian source off the centre keeps its flux and its place on the sky."""
    side = round(60 / pixel)
    y, x = np.indices((side, side))
    star = (side / 2 + 10 / pixel, side / 2 - 8 / pixel)
    flux = 1e-3 * np.exp(-((x - star[0]) ** 2 + (y - star[1]) ** 2) / (2 * (1.0 / pixel) ** 2)) + 1e-12
    path = write(tmp_path / "star.fits", flux, unit="Lsun/kpc2", geometry={"pixel": pixel, "angle": 0.5, "cd": cd})
    observation = read(path)
    resampled = 10**observation.log_flux - 10**LOG_FLOOR
    assert resampled.sum() == pytest.approx(flux.sum(), rel=2e-3)
    v, u = np.indices((SIDE, SIDE))
    found = observation.wcs.pixel_to_world(
        (u * resampled).sum() / resampled.sum(), (v * resampled).sum() / resampled.sum()
    )
    true = WCS(fits.getheader(path)).pixel_to_world(*star)
    assert found.separation(true).arcsec < 0.02


def test_missing_pixels_take_their_neighbours_value(tmp_path: Path) -> None:
    log_flux = log_map()
    holed = log_flux.copy()
    holed[40:60, 40:60] = np.nan  # 1.6 %
    holed[0, 0] = np.inf
    observation = read(write(tmp_path / "holed.fits", holed))
    assert np.isfinite(observation.log_flux).all()
    assert np.abs(observation.log_flux - log_flux).max() < 0.5
    assert (observation.mask == ~np.isfinite(holed)).all()
    assert observation.warnings == [
        "1.6 % of the field has no value and took that of the nearest pixel: the mass there is a guess"
    ]


def test_dark_and_negative_pixels_are_the_floor(tmp_path: Path) -> None:
    flux = 10.0 ** log_map().astype(np.float64)
    flux[:7] = 0.0  # of eight rows they would be missing
    flux[8:16] *= -1
    observation = read(write(tmp_path / "dark.fits", flux, unit="Lsun/kpc2"))
    assert (observation.log_flux[[*range(7), *range(8, 16)]] == LOG_FLOOR).all()
    assert len(observation.warnings) == 1 and observation.warnings[0].startswith("5.0 % of the field is negative")


def test_saturation_is_a_warning(tmp_path: Path) -> None:
    observation = read(write(tmp_path / "bright.fits", np.minimum(log_map(), -4.3)))
    assert "saturated" in observation.warnings[0]


def test_scaled_integers_are_read(tmp_path: Path) -> None:
    image = fits.ImageHDU(log_map(), header(log_map().shape))
    image.header["BUNIT"] = "log10(Lsun/kpc2)"
    image.scale("int16", bzero=-5, bscale=1e-3)
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(tmp_path / "int.fits")
    np.testing.assert_allclose(read(tmp_path / "int.fits").log_flux, log_map(), atol=1e-3)


def test_mistakes_are_named_in_one_line(tmp_path: Path) -> None:
    log_flux = log_map()
    half_empty = log_flux.copy()
    half_empty[:10] = np.nan  # 6.2 %
    cases = {
        "small": (write(tmp_path / "3.fits", log_flux[:150]), "covers 40.0 x 37.5 arcsec"),
        "empty": (write(tmp_path / "4.fits", np.zeros((SIDE, SIDE)), unit="Lsun/kpc2"), "100.0 % of the field has no"),
        "even": (write(tmp_path / "2.fits", np.ones((SIDE, SIDE)), unit="Lsun/kpc2"), "pixels of the field are equal"),
        "masked": (write(tmp_path / "5.fits", half_empty), "6.2 % of the field"),
        "shape": (tmp_path / "11.npy", r"shape \(8, 8\)"),
        "no array": (tmp_path / "12.npy", "not an NPY array"),
        "masked array": (tmp_path / "13.npy", "6.2 % of the field"),
        "more than memory": (tmp_path / "14.npy", "not an NPY array"),
    }
    np.save(tmp_path / "11.npy", np.zeros((8, 8)))
    (tmp_path / "12.npy").write_text("no array")
    with (tmp_path / "14.npy").open("wb") as claim:
        np.lib.format.write_array_header_1_0(claim, {"descr": "<f8", "fortran_order": False, "shape": (10**8, 10**6)})
    np.save(tmp_path / "13.npy", np.where(np.isnan(half_empty), -np.inf, half_empty))
    for name, (path, words) in cases.items():
        with pytest.raises(InputError, match=words) as mistake:
            read(path)
        assert str(path) in str(mistake.value), name


# --- photometry ---------------------------------------------------------------------------------


def middle_pixel(path: Path, **options) -> float:
    return float(np.median(read(path, **options).log_flux))


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [(22.0, "mag", -3.98), (21.9, "mag / arcsec**2", -5.14), (10 ** (-0.4 * (22 - 27)), "adu", -3.98)],
)
def test_magnitudes_become_known_fluxes(tmp_path: Path, value: float, unit: str, expected: float) -> None:
    """A pixel of V = 22, and a dark sky of 21.9 in a square arcsec, as worked out in the notes on the method."""
    path = write(tmp_path / "v.fits", flat(value), unit=unit, FILTER="V", A_V=0.0, PSFFWHM=2.355, MAGZPT=27.0)
    assert middle_pixel(path) == pytest.approx(expected, abs=6e-3)
    assert "extinction" not in " ".join(read(path).warnings)


def test_what_a_header_leaves_open_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "v.fits", flat(22.0), unit="mag")
    warnings = " ".join(read(path, band="V").warnings)
    assert "no extinction was corrected" in warnings and "the width of a star is unknown" in warnings
    assert "extinction" not in " ".join(read(path, band="V", ebv=0.0).warnings)
    assert "width of a star" not in " ".join(read(path, band="V", fwhm=2.0).warnings)


def test_extinction_brightens(tmp_path: Path) -> None:
    cards = {"FILTER": "V", "PSFFWHM": 2.355}
    clear = middle_pixel(write(tmp_path / "0.fits", flat(22.0), unit="mag", A_V=0.0, **cards))
    direct = middle_pixel(write(tmp_path / "1.fits", flat(22.0), unit="mag", A_V=0.5, **cards))
    reddened = middle_pixel(write(tmp_path / "2.fits", flat(22.0), unit="mag", EBV=0.5 / 2.742, **cards))
    assert direct - clear == pytest.approx(0.4 * 0.5, abs=1e-5)
    assert reddened == pytest.approx(direct, abs=1e-5)


def test_g_and_r_of_two_images_become_v(tmp_path: Path) -> None:
    """g = 22, r = 21.5: V = 21.5 + 0.005 + 0.462 x 0.5 + 0.013 x 0.25 = 21.73925 by Tonry et al. (2012)."""
    images = [fits.PrimaryHDU()]
    for name, magnitude in (("g", 22.0), ("r", 21.5)):
        data = flat(magnitude)
        cards = {"FILTER": f"{name}.00000", "A_V": 0.0, "PSFFWHM": 2.355}
        images.append(fits.ImageHDU(data, labelled(data, "mag", {}, cards)))
    fits.HDUList(images).writeto(tmp_path / "gr.fits")
    v = write(tmp_path / "v.fits", flat(21.73925), unit="mag", FILTER="V", A_V=0.0, PSFFWHM=2.355)
    assert middle_pixel(tmp_path / "gr.fits") == pytest.approx(middle_pixel(v), abs=1e-5)


def test_pan_starrs_stack_is_known_by_its_cards(tmp_path: Path) -> None:
    """asinh-scaled counts with the zero point 25 + 2.5 log10(exposure time)."""
    exposure, softening, offset = 600.0, 2.2, 3.6
    counts = exposure * 10 ** (-0.4 * (flat(22.0) - 25))
    stored = 2.5 / np.log(10) * np.arcsinh((counts - offset) / (2 * softening))
    cards = {"BSOFTEN": softening, "BOFFSET": offset, "HIERARCH FPA.ZP": 25.0, "EXPTIME": exposure}
    path = write(tmp_path / "ps1.fits", stored, unit=None, **cards, A_V=0.0, PSFFWHM=2.355)
    assert middle_pixel(path, band="V") == pytest.approx(-3.975, abs=1e-3)


def test_options_say_what_the_header_does_not(tmp_path: Path) -> None:
    cards = {"A_V": 0.0}
    told = write(tmp_path / "told.fits", flat(22.0), unit="mag", FILTER="V", PSFFWHM=1.2, **cards)
    silent = write(tmp_path / "silent.fits", flat(22.0), unit="mag", **cards)
    expected, found = read(told), read(silent, band="V", fwhm=1.2)
    np.testing.assert_allclose(found.log_flux, expected.log_flux, atol=1e-6)
    assert expected.warnings == found.warnings


def test_the_field_and_the_stars_are_those_of_the_training(tmp_path: Path) -> None:
    """Maps of 80 pixels of half an arcsec with stars of sigma 1.5 pixels: the same field, other stars."""
    y, x = 0.25 * (np.indices((SIDE, SIDE)) - (SIDE - 1) / 2)
    star = np.exp(-(x**2 + y**2) / 2 / 0.5**2) + 1e-12
    path = write(tmp_path / "star.fits", star, unit="Lsun/kpc2", PSFFWHM=0.5 * 2.3548)
    found = read_observation(path, TrainingMaps(1.5, 0.5, -9.0, (1.5, 3.0), (-7.5, -5.0), pixels=80))
    flux = 10**found.log_flux
    v, u = 0.5 * (np.indices(flux.shape) - (80 - 1) / 2)
    assert flux.shape == (80, 80) and flux.sum() == pytest.approx(star.sum(), rel=1e-3)
    assert np.sqrt((flux * (u**2 + v**2)).sum() / flux.sum() / 2) == pytest.approx(0.75, rel=0.03)
    assert found.psf_sigma == 1.5


# --- sky, options and place -------------------------------------------------------------------------


def test_a_sky_is_told_and_subtracted(tmp_path: Path) -> None:
    clean = read(counts(tmp_path / "clean.fits", cluster(400, 0.25, noise=0.5)))
    path = counts(tmp_path / "sky.fits", cluster(400, 0.25, sky=10.0, noise=0.5))
    kept, taken = read(path), read(path, sky="subtract")
    assert kept.sky == pytest.approx(10 * COUNT, rel=0.02) and "an even light" in " ".join(kept.warnings)
    assert clean.sky is None or abs(clean.sky) < 0.1 * COUNT
    assert (10**taken.log_flux).sum() == pytest.approx((10**clean.log_flux).sum(), rel=0.01)
    with pytest.raises(InputError, match="finished"):
        read(write(tmp_path / "map.fits", log_map()), sky="subtract")


def test_options_do_not_change_an_npy_map_in_silence(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", log_map())
    assert "not used" in " ".join(read(tmp_path / "a.npy", ebv=0.1).warnings)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"sky": "remove"}, "sky"),
        ({"center": (250.4, 36.5)}, "center"),
        ({"ebv": -1.0}, "ebv"),
        ({"fwhm": "1"}, "fwhm"),
    ],
)
def test_python_may_not_say_what_the_command_line_refuses(option: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=rf"^{words} is .*; give"):
        FitsOptions(**option)


@pytest.mark.parametrize(("shift", "told"), [(3.0, False), (12.0, True)])
def test_a_cluster_off_the_middle_is_told(tmp_path: Path, shift: float, told: bool) -> None:
    y, x = 0.25 * (np.indices((SIDE, SIDE)) - (SIDE - 1) / 2)
    light = np.exp(-((x - shift) ** 2 + y**2) / 2 / 3**2) * 1e-3 + 1e-9
    warnings = " ".join(read(write(tmp_path / "off.fits", light, unit="Lsun/kpc2")).warnings)
    assert ("off the field's middle" in warnings) == told


def test_coarse_pixels_are_told(tmp_path: Path) -> None:
    coarse = read(counts(tmp_path / "coarse.fits", cluster(60, 2.0), 2.0))
    fine = read(counts(tmp_path / "fine.fits", cluster(150, 0.8), 0.8))
    assert "pixels of 2.00 arcsec are too coarse" in " ".join(coarse.warnings)
    assert "coarse" not in " ".join(fine.warnings)
    true = cluster(160, 0.25)
    np.testing.assert_allclose(10 ** coarse.log_flux[40:120, 40:120] / COUNT, true[40:120, 40:120], rtol=0.06)
