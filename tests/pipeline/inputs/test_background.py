"""The sky and the noise of images whose sky and noise are known."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.inputs.background import Sky, level, pixel_noise, sky, sky_to_subtract

FILE = Path("mine.fits")
SIDE, HALF = 400, 80.0  # pixels of an image, and of half the field


def distance(side: int = SIDE) -> np.ndarray:
    y, x = np.abs(np.indices((side, side)) - (side - 1) / 2)
    return np.maximum(x, y)


def image(sky: float, noise: float, width: float = 30.0, side: int = SIDE) -> np.ndarray:
    """A smooth cluster of total light 1e6, 300 stars beyond it, sky and noise."""
    rng = np.random.default_rng(3)
    y, x = np.indices((side, side)) - (side - 1) / 2
    cluster = np.exp(-0.5 * (x**2 + y**2) / width**2)
    stars = np.zeros((side, side))
    for u, v, light in zip(*rng.integers(0, side, (2, 300)), rng.pareto(1.5, 300), strict=True):
        stars += 100 * light * np.exp(-0.5 * ((np.arange(side) - u) ** 2 + (np.arange(side)[:, None] - v) ** 2) / 4)
    return 1e6 * cluster / cluster.sum() + stars + sky + rng.normal(0, noise, (side, side))


@pytest.mark.parametrize("true", [0.0, 5.0, 80.0])
def test_a_sky_beyond_the_field_is_measured_among_stars(true: float) -> None:
    found = sky(image(true, 3.0), distance(), HALF)
    assert found.measured
    assert found.level == pytest.approx(true, abs=0.5)
    assert found.found or true == 0


def test_a_halo_that_falls_off_is_no_sky() -> None:
    found = sky(image(0.0, 0.1, width=90.0), distance(), HALF)
    assert not found.measured and not found.found


def test_no_room_gives_the_most_that_the_sky_can_be() -> None:
    flux = image(20.0, 0.5, side=160)
    found = sky(flux, distance(160), HALF)
    assert not found.measured
    assert 18 < found.level < 30
    told = sky_to_subtract(FILE, found, flux, 0.0625, "keep")[1]
    assert len(told) == 1 and "cannot be told" in told[0] and "up to" in told[0]
    with pytest.raises(InputError, match=r"mine\.fits: --sky subtract"):
        sky_to_subtract(FILE, found, flux, 0.0625, "subtract")


def test_what_is_told_of_a_sky_is_its_share_and_brightness() -> None:
    """A third of the light; V = 21.9 in a square arcsec is 10^-5.14 Lsun kpc⁻² arcsec⁻² in pixels of 0.25 arcsec."""
    per_pixel = 10.0**-5.14
    field = np.full((10, 10), 3 * per_pixel)
    found = Sky(per_pixel, 0.01 * per_pixel, measured=True)
    subtracted, told = sky_to_subtract(FILE, found, field, 0.0625, "keep")
    assert subtracted == 0.0 and "21.9 mag/arcsec2" in told[0] and "33 %" in told[0]
    subtracted, told = sky_to_subtract(FILE, found, field, 0.0625, "subtract")
    assert subtracted == per_pixel and "was subtracted" in told[0]
    faint = Sky(0.02 * per_pixel, 1e-4 * per_pixel, measured=True)
    assert sky_to_subtract(FILE, faint, field, 0.0625, "keep") == (0.0, [])
    below = Sky(-per_pixel, 1e-2 * per_pixel, measured=True)
    assert "too much sky" in sky_to_subtract(FILE, below, field, 0.0625, "keep")[1][0]


def test_the_error_of_a_level_is_its_scatter_over_images() -> None:
    rng = np.random.default_rng(5)
    found, errors = np.array([level(rng.normal(7.0, 2.0, 2000)) for _ in range(200)]).T
    assert found.mean() == pytest.approx(7.0, abs=0.02)
    assert 0.5 < found.std() / errors.mean() < 1.5


@pytest.mark.parametrize("true", [0.5, 3.0])
def test_noise_is_told_from_stars(true: float) -> None:
    flux = image(40.0, true)
    flux[:30] = np.nan
    assert pixel_noise(flux) == pytest.approx(true, rel=0.1)


def test_an_even_image_has_no_noise() -> None:
    assert pixel_noise(np.full((60, 60), 3.0)) is None
    assert pixel_noise(np.full((60, 60), np.nan)) is None
