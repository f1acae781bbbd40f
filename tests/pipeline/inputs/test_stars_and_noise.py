"""The width of stars and the noise of a picture, as networks are told them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from astropy.io import fits

from lit_modules.networks.maps.statistics import map_statistics
from tests.pipeline.inputs.map_files import (
    COUNT,
    SIDE,
    cluster,
    counts,
    flat,
    labelled,
    log_map,
    read,
    write,
)


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
