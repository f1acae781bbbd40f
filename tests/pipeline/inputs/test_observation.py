from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.wcs import WCS

from lit_modules.networks.maps.statistics import map_statistics
from pipeline.errors import InputError
from pipeline.inputs.observation import Observation, read_observation
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.training_maps import TrainingMaps

MAPS = TrainingMaps(4.0, 0.25, -8.0, psf_range=(2.4, 6.0), noise_range=(-7.5, -5.0))
SIDE, LOG_FLOOR = MAPS.pixels, MAPS.log_flux_floor
COUNT = 10 ** (0.4 * (4.81 + 10 - 27)) / (4 * np.pi)  # Lsun/kpc2 of a count, of magnitude 27


def read(path: Path, **options) -> Observation:
    return read_observation(path, MAPS, FitsOptions(**options))


def header(shape: tuple[int, int], pixel: float = 0.25, angle: float = 0.0, cd: bool = False) -> fits.Header:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [199.11, 17.70]
    wcs.wcs.crpix = [shape[1] / 2 + 7, shape[0] / 2 - 3]
    c, s = np.cos(angle), np.sin(angle)
    matrix = pixel / 3600 * np.array([[-c, s], [s, c]])
    if cd:
        wcs.wcs.cd = matrix
    else:
        wcs.wcs.cdelt = [pixel / 3600] * 2
        wcs.wcs.pc = matrix / (pixel / 3600)
    return wcs.to_header()


def write(path: Path, data: np.ndarray, unit: str | None = "log10(Lsun/kpc2)", geometry: dict = {}, **cards) -> Path:  # noqa: B006
    fits.writeto(path, data, labelled(data, unit, geometry, cards))
    return path


def labelled(data: np.ndarray, unit: str | None, geometry: dict, cards: dict) -> fits.Header:
    full = header(data.shape, **geometry)
    full.update(cards)
    if unit:
        full["BUNIT"] = unit
    return full


def log_map(side: int = SIDE) -> np.ndarray:
    y, x = np.indices((side, side)) - (side - 1) / 2
    return (-4 - np.hypot(x, y) / 40 + 0.1 * np.sin(x / 5)).astype(np.float32)


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
    }
    np.save(tmp_path / "11.npy", np.zeros((8, 8)))
    (tmp_path / "12.npy").write_text("no array")
    np.save(tmp_path / "13.npy", np.where(np.isnan(half_empty), -np.inf, half_empty))
    for name, (path, words) in cases.items():
        with pytest.raises(InputError, match=words) as mistake:
            read(path)
        assert str(path) in str(mistake.value), name


# --- photometry ---------------------------------------------------------------------------------


def middle_pixel(path: Path, **options) -> float:
    return float(np.median(read(path, **options).log_flux))


def flat(value: float, side: int = 220) -> np.ndarray:
    """Nearly flat, for a map without any structure is refused."""
    return value + 1e-6 * np.random.default_rng(1).normal(size=(side, side))


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


@pytest.mark.parametrize(
    ("noise", "fwhm", "expected"),
    [(1e-7, 1.0, 0.6), (1e-7, 2.0, 2.0 / 2.3548), (None, 1.0, 1.0), (None, 3.0, 3.0 / 2.3548)],
)
def test_sharp_stars_are_widened_to_the_sharpest_of_training(
    tmp_path: Path, noise: float | None, fwhm: float, expected: float
) -> None:
    """With all their flux; to those of the clean look where there is no noise; others stay as they are."""
    side = 240
    y, x = 0.25 * (np.indices((side, side)) - side / 2)
    sigma = fwhm / 2.3548
    star = np.exp(-(x**2 + y**2) / (2 * sigma**2)) * 10 + 1e-14
    header = labelled(star, "Lsun/kpc2", {}, {"PSFFWHM": fwhm})
    images = [fits.ImageHDU(star, header, name="SCI")]
    if noise:
        images.append(fits.ImageHDU(np.full(star.shape, noise), header, name="ERR"))
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "star.fits")
    seen = read(tmp_path / "star.fits")
    v, u = 0.25 * (np.indices(seen.flux.shape) - SIDE / 2)
    width = np.sqrt((seen.flux * (u**2 + v**2)).sum() / seen.flux.sum() / 2)
    assert seen.flux.sum() == pytest.approx(star.sum(), rel=1e-3)
    assert width == pytest.approx(expected, rel=0.01)
    assert seen.psf_sigma == pytest.approx(expected / 0.25, rel=1e-4)
    assert seen.noise == pytest.approx(noise or 0.0)


def test_stars_wider_than_any_of_training_are_told(tmp_path: Path) -> None:
    cards = {"unit": "Lsun/kpc2", "PSFFWHM": 4.0}
    seen = read(write(tmp_path / "wide.fits", 10.0 ** log_map(), **cards))
    assert "the stars are wider (4.00 arcsec) than the widest of training (3.53)" in seen.warnings[0]
    assert "give a sharper picture" in seen.warnings[0]
    assert seen.psf_sigma == pytest.approx(4.0 / 2.3548 / 0.25, rel=1e-4)


def test_stars_of_unknown_width_are_taken_to_be_those_of_the_clean_training_maps(tmp_path: Path) -> None:
    seen = read(write(tmp_path / "v.fits", flat(22.0), unit="mag", FILTER="V", A_V=0.0))
    assert seen.psf_sigma == 4.0 and "give --fwhm" in " ".join(seen.warnings)


def test_two_bands_come_to_the_width_of_the_less_sharp_one(tmp_path: Path) -> None:
    y, x = 0.25 * (np.indices((240, 240)) - 120)
    for name, sigma in (("g", 0.9), ("r", 0.7)):
        star = np.exp(-(x**2 + y**2) / (2 * sigma**2)) / sigma**2 + 1e-9
        counts(tmp_path / f"{name}.fits", star, FILTER=f"SDSS {name}", PSFFWHM=sigma * 2.3548)
    seen = read(tmp_path / "g.fits", g=tmp_path / "g.fits", r=tmp_path / "r.fits")
    assert seen.psf_sigma == pytest.approx(3.6, rel=1e-4)
    v, u = 0.25 * (np.indices(seen.flux.shape) - SIDE / 2)
    near = np.hypot(u, v) < 4
    width = np.sqrt((seen.flux * (u**2 + v**2))[near].sum() / seen.flux[near].sum() / 2)
    assert width == pytest.approx(0.9, rel=0.02)


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


# --- noise, sky and two files -----------------------------------------------------------------------


def counts(path: Path, values: np.ndarray, pixel: float = 0.25, **cards) -> Path:
    known = {"FILTER": "V", "A_V": 0.0, "PSFFWHM": 2.3548, "MAGZPT": 27.0}
    return write(path, values, unit="adu", geometry={"pixel": pixel, "angle": 0.4}, **(known | cards))


def cluster(side: int, pixel: float, sky: float = 0.0, noise: float = 0.0) -> np.ndarray:
    """Counts of a round cluster in pixels of any size, with its sky and the noise of a pixel."""
    y, x = pixel * (np.indices((side, side)) - (side - 1) / 2)
    light = 100 * pixel**2 / 0.25**2 * np.exp(-(x**2 + y**2) / 2 / 6**2)
    return light + sky + np.random.default_rng(4).normal(0, noise, light.shape)


@pytest.mark.parametrize(
    ("pixel", "fwhm"), [(0.25, 2.3548), (0.25, 1.0), (0.125, 2.3548), (0.125, 1.0), (0.4, 2.3548), (0.4, 1.0), (0.8, 2)]
)
def test_noise_is_white_again_after_smoothing_and_resampling(tmp_path: Path, pixel: float, fwhm: float) -> None:
    """Of an empty image: its standard deviation, and its power at low and at high frequencies."""
    side = round(100 / pixel)
    empty = 1000 + np.random.default_rng(7).normal(0, 5.0, (side, side))
    seen = read(counts(tmp_path / "noisy.fits", empty, pixel, PSFFWHM=fwhm))
    expected = 5.0 * 0.25 / pixel * COUNT
    assert seen.noise == pytest.approx(expected, rel=0.05)
    power = np.abs(np.fft.fft2(seen.flux - seen.flux.mean())) ** 2 / SIDE**2
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    for low, high in ((0.0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.5)):
        assert power[(k > low) & (k < high)].mean() == pytest.approx(expected**2, rel=0.15)
    assert (read(tmp_path / "noisy.fits").flux == seen.flux).all()  # the same every time


def test_noise_is_the_files_own_where_it_has_one(tmp_path: Path) -> None:
    light = 10.0 ** log_map()
    images = [
        fits.ImageHDU(data, labelled(data, "Lsun/kpc2", {}, {}), name=name)
        for name, data in (("SCI", light), ("ERR", np.full(light.shape, 3e-6)))
    ]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "own.fits")
    seen = read(tmp_path / "own.fits")
    assert seen.noise == pytest.approx(3e-6)
    np.testing.assert_allclose(seen.log_flux, np.log10(np.maximum(light, 3e-6)), atol=1e-5)
    np.testing.assert_allclose(seen.flux, light, rtol=1e-5)


def test_finished_maps_have_no_noise_and_a_zero_point_of_their_own(tmp_path: Path) -> None:
    np.save(tmp_path / "map.npy", log_map())
    for path in (write(tmp_path / "map.fits", log_map()), tmp_path / "map.npy"):
        seen = read(path)
        assert (seen.noise, seen.psf_sigma, seen.draws) == (0.0, 4.0, None)
        assert seen.possible.shape == (1, SIDE, SIDE) and (seen.possible[0] == seen.log_flux).all()


def test_more_noise_than_in_training_is_told(tmp_path: Path) -> None:
    noisy = " ".join(read(counts(tmp_path / "noisy.fits", cluster(400, 0.25, noise=60.0))).warnings)
    assert "10^-4.2 Lsun/kpc2, is more than in training (10^-5.0)" in noisy and "add up more exposures" in noisy
    quiet = " ".join(read(counts(tmp_path / "quiet.fits", cluster(400, 0.25, noise=5.0))).warnings)
    assert "noise" not in quiet


def test_a_negative_field_without_known_noise_is_told(tmp_path: Path) -> None:
    light = 10.0 ** log_map()
    light[:20] -= 1e-3
    assert "is negative, but no noise is known" in read(write(tmp_path / "b.fits", light, "Lsun/kpc2")).warnings[0]


def test_draws_are_of_the_zero_point_and_scale_flux_and_noise(tmp_path: Path) -> None:
    """0.02 mag; what a network is asked about."""
    seen = read(counts(tmp_path / "v.fits", cluster(400, 0.25, noise=1.0)))
    assert seen.draws is not None and seen.draws.shape == (16,)
    assert np.std(2.5 * np.log10(seen.draws)) == pytest.approx(0.02, rel=0.4)
    np.testing.assert_allclose(seen.possible[3], seen.log_flux + np.log10(seen.draws[3]))
    flux, psf_sigma, noise = seen.statistics(SimpleNamespace(device="cpu", statistics=lambda *given: given))
    np.testing.assert_allclose(flux, seen.flux * seen.draws[:, None, None, None], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(noise, seen.noise * seen.draws, rtol=1e-5)
    assert psf_sigma.tolist() == pytest.approx([seen.psf_sigma] * 16)


def test_a_resampled_noisy_picture_has_the_statistics_of_one_taken_so(tmp_path: Path) -> None:
    """Stars of sigma 0.35 arcsec in pixels of 0.2 arcsec, read; and seen by a telescope of sigma 0.6 in ours."""
    rng = np.random.default_rng(8)
    stars = rng.normal(0, 6, (2, 3000)), 0.3 * rng.pareto(1.3, 3000)

    def picture(side: int, pixel: float, sigma: float, seed: int) -> np.ndarray:
        axis = pixel * (np.arange(side) - (side - 1) / 2)
        gx, gy = (np.exp(-0.5 * ((axis - x[:, None]) / sigma) ** 2) for x in stars[0])
        light = (gy * stars[1][:, None]).T @ gx / (2 * np.pi * (sigma / pixel) ** 2)
        return light + np.random.default_rng(seed).normal(0, pixel / 0.25, light.shape)

    read_one = read(counts(tmp_path / "sharp.fits", picture(260, 0.2, 0.35, 1), 0.2, PSFFWHM=0.35 * 2.3548))
    taken = torch.from_numpy(np.stack([picture(SIDE, 0.25, 0.6, seed) for seed in range(2, 18)]) * COUNT)
    known = torch.full((16,), 2.4), torch.full((16,), COUNT)
    expected = map_statistics(taken, *known).numpy()
    found = map_statistics(torch.from_numpy(read_one.flux[None]), known[0][:1], torch.tensor([read_one.noise])).numpy()
    off = np.abs(found[0] - expected.mean(0)) / (expected.std(0) + 1e-3)
    assert np.median(off) < 1.5 and np.quantile(off, 0.95) < 5


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
