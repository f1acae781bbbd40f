"""The telescope against scipy, closed forms and known magnitudes."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pipeline.simulation.clusters.stars import flux, flux_of_magnitude
from pipeline.simulation.clusters.telescope import (
    PIXEL,
    Camera,
    bin_stars,
    blur,
    foreground_stars,
    gaussian_psf,
    log_map,
    lupton,
    moffat_psf,
    random_shift,
    random_view,
    sky_position,
)


def test_view_is_orthonormal_and_isotropic() -> None:
    rng = np.random.default_rng(1)
    views = np.array([random_view(rng) for _ in range(3000)])
    np.testing.assert_allclose(views @ views.transpose(0, 2, 1), np.broadcast_to(np.eye(2), (3000, 2, 2)), atol=1e-12)
    for axis in views.transpose(1, 0, 2):
        np.testing.assert_allclose(axis.mean(0), 0, atol=0.04)
        np.testing.assert_allclose(axis.T @ axis / 3000, np.eye(3) / 3, atol=0.03)


def test_shift_fills_its_disc() -> None:
    rng = np.random.default_rng(2)
    radius = np.array([np.hypot(*random_shift(rng, 6.0)) for _ in range(4000)])
    assert radius.max() <= 6 and np.mean(radius < 3) == pytest.approx(0.25, abs=0.03)


def test_parsec_at_known_distance() -> None:
    """1 pc at 20.6265 kpc spans 10 arcsec, 40 pixels."""
    position = np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 5.0]])
    offset = sky_position(position, np.eye(3)[:2], 20.6264806, np.array([0.1, 0.1]))
    np.testing.assert_allclose(offset, [[0.1, 10.1], [0.1, 0.1]], atol=1e-9)
    image = bin_stars(offset, np.array([[1.0, 2.0]]), 100)[0]
    assert image[50, 50] == 1 and image[50, 90] == 2 and image.sum() == 3


def test_projection_conserves_light_and_mass() -> None:
    rng = np.random.default_rng(3)
    weight = rng.random((2, 5000))
    offset = sky_position(rng.standard_normal((3, 5000)), random_view(rng), 50.0, np.zeros(2))
    image = bin_stars(offset, weight, 300)
    assert np.abs(offset).max() < 300 * PIXEL / 2
    np.testing.assert_allclose(image.sum((1, 2)), weight.sum(1), rtol=1e-5)
    seen = blur(np.pad(image[0], 40), gaussian_psf(4.0), 340)
    assert seen.sum() == pytest.approx(weight[0].sum(), rel=1e-5)


@pytest.mark.parametrize("sigma", [1.0, 3.3, 4.0])
def test_psf_is_a_unit_gaussian(sigma: float) -> None:
    kernel = gaussian_psf(sigma).astype(float)
    x = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert (kernel * x**2).sum() == pytest.approx(sigma**2, rel=3e-3)
    image = np.random.default_rng(4).random((208, 208))
    expected = gaussian_filter(image, sigma, truncate=np.ceil(4 * sigma) / sigma, mode="constant")[24:184, 24:184]
    np.testing.assert_allclose(blur(image, gaussian_psf(sigma), 160), expected, rtol=1e-5)


def test_known_flux() -> None:
    """One Lsun at 10 kpc is V = 4.81 + 15; V = 22 in a pixel is -3.98, a sky of 21.9 a square arcsec -5.14."""
    assert np.log10(flux(1.0, 10.0)) == pytest.approx(-2 - np.log10(4 * np.pi), abs=1e-12)
    assert flux_of_magnitude(19.81) == pytest.approx(flux(1.0, 10.0), rel=1e-9)
    assert np.log10(flux_of_magnitude(22.0)) == pytest.approx(-3.98, abs=0.01)
    assert np.log10(flux_of_magnitude(21.9) * PIXEL**2) == pytest.approx(-5.14, abs=0.01)


def test_clean_map_of_one_star() -> None:
    raw = np.zeros((208, 208))
    raw[104, 104] = 50.0
    image = blur(flux(raw, 20.0), gaussian_psf(4.0), 160)
    assert image.sum() == pytest.approx(50 / (4 * np.pi * 400), rel=1e-4)
    assert image[80, 80] == image.max() == pytest.approx(image.sum() / (2 * np.pi * 16), rel=5e-3)
    assert log_map(image, -8.0).min() == -8 and log_map(image, -8.0).dtype == np.float16
    assert Camera(21.9, None, 5.0).expose(np.random.default_rng(5), image) is image


def test_noise_is_that_of_counted_photons() -> None:
    clean = float(flux(1e-3, 20.0))
    camera = Camera(sky=21.9, one_electron=29.3, read_noise=5.0)
    image = camera.expose(np.random.default_rng(6), np.full((160, 160), clean))
    unit, sky = flux_of_magnitude(29.3), flux_of_magnitude(21.9) * PIXEL**2
    electrons = (clean + sky) / unit
    assert image.mean() / unit == pytest.approx(clean / unit, rel=0.05)
    assert image.var() / unit**2 == pytest.approx(electrons + 25, rel=0.03)


def test_foreground_stars_are_as_many_as_asked() -> None:
    rng = np.random.default_rng(7)
    light = np.array([foreground_stars(rng, 208, 100.0).sum() for _ in range(100)])
    counts = 100 * (208 * PIXEL / 60) ** 2
    fraction = np.random.default_rng(8).uniform(1e-3, 1, 200_000)
    one = flux_of_magnitude(24 + np.log10(fraction) / 0.3)
    error = np.sqrt(counts * (one**2).mean() / len(light))
    assert light.mean() == pytest.approx(counts * one.mean(), abs=3 * error)
    assert error < 0.2 * light.mean()


def test_narrow_image_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves no 160"):
        blur(np.zeros((180, 180), np.float32), gaussian_psf(4.0), 160)


def test_seeing_has_its_width() -> None:
    kernel = moffat_psf(6.0, 3.0, 40)
    assert kernel.sum() == pytest.approx(1)
    assert kernel[40, 43] == pytest.approx(kernel[40, 40] / 2, rel=1e-9)


def test_stretch_keeps_colour_and_order() -> None:
    scale = np.geomspace(1, 300, 20)
    picture = lupton(np.array([1.2, 1.0, 0.6])[:, None, None] * scale[None, None], soft=10.0, white=1000.0)[0].astype(
        float
    )
    assert (np.diff(picture.sum(1)) > 0).all()
    np.testing.assert_allclose(picture[5:, 0] / picture[5:, 2], 2.0, rtol=0.08)
    assert (lupton(np.full((3, 1, 1), 1e5), soft=10.0, white=1000.0) == 255).all()
