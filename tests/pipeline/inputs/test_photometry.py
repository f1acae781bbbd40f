import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.inputs.calibration import CalibratedImage
from pipeline.inputs.filters import named
from pipeline.inputs.photometry import smoothed, visual


def seen(name: str, *magnitudes: float) -> CalibratedImage:
    """An image of one row with these magnitudes, in units of magnitude 0."""
    flux = 10 ** (-0.4 * np.array([magnitudes]))
    band = named(name)
    assert band is not None
    return CalibratedImage(flux, None, None, None, band, None, False, 0.02, [])


def magnitudes(*images: CalibratedImage) -> np.ndarray:
    return -2.5 * np.log10(visual(list(images), [0.0] * len(images)).flux[0])


def test_v_is_taken_as_it_is() -> None:
    v = visual([seen("g", 20.0), seen("V", 19.0), seen("r", 18.0)], [1.0, 2.0, 3.0])
    assert (v.flux[0, 0], v.noise, v.zero_point_mag, v.warnings) == (10 ** (-0.4 * 19.0), 2.0, 0.02, [])


@pytest.mark.parametrize(
    ("survey", "expected"),
    [("PS1", 21.5 + 0.005 + 0.231 + 0.00325), ("SDSS", 22 - 0.2892 - 0.0038), ("DES", 21.5 - 0.0241 + 0.2623)],
)
def test_v_of_g_and_r(survey: str, expected: float) -> None:
    """g = 22, r = 21.5 by Tonry et al. (2012), Lupton (2005), and Lupton with DES on the system of SDSS."""
    images = [seen(f"{survey} g", 22.0, 22.0), seen(f"{survey} r", 21.5, 21.5)]
    assert magnitudes(*images) == pytest.approx([expected, expected], abs=1e-4)
    assert visual(images, [0.0, 0.0]).zero_point_mag == pytest.approx(0.02, abs=0.011)


def test_a_pixel_in_the_noise_is_taken_in_first_order_about_the_whole() -> None:
    """V = r - 0.0038 + 0.4216 (g - r): dV of g and r around their sums."""
    g, r = seen("SDSS g", 20.0, 20.0, 20.0), seen("SDSS r", 19.0, 19.0, 19.0)
    g.flux[0, 2] *= -1e-3
    flux = visual([g, r], [0.0, 0.0]).flux
    ratio = g.flux.sum() / r.flux.sum()
    whole = 10 ** (0.4 * 0.0038) * ratio**0.4216
    expected = whole * (0.4216 * g.flux[0, 2] / ratio + 0.5784 * r.flux[0, 2])
    assert flux[0, 2] == pytest.approx(expected, rel=1e-6)
    assert -2.5 * np.log10(flux[0, 0]) == pytest.approx(19.0 - 0.0038 + 0.4216)


def test_noise_of_v_is_the_scatter_of_an_empty_part() -> None:
    """One bright pixel gives the colour; 40 000 empty ones with noise in g and r the scatter, without bias."""
    rng = np.random.default_rng(1)
    g, r = seen("SDSS g", *np.full(40_001, 99.0)), seen("SDSS r", *np.full(40_001, 99.0))
    g.flux[0, 0], r.flux[0, 0] = 0.5e4, 1e4
    for image, noise in ((g, 2.0), (r, 3.0)):
        image.flux[0, 1:] += rng.normal(0, noise, 40_000)
    v = visual([g, r], [2.0, 3.0])
    assert v.noise == pytest.approx(v.flux[0, 1:].std(), rel=0.02)
    assert abs(v.flux[0, 1:].mean()) < 4 * v.noise / 200


def test_a_pixel_without_a_value_in_either_has_none() -> None:
    g, r = seen("SDSS g", 20.0, np.nan, 20.0), seen("SDSS r", 19.0, 19.0, np.nan)
    assert np.isnan(visual([g, r], [0.0, 0.0]).flux).tolist() == [[False, True, True]]


@pytest.mark.parametrize(
    ("name", "difference", "error"),
    [
        ("SDSS r", -0.0038 + 0.4216 * 0.5, 0.04216),
        ("SDSS g", -0.0038 - 0.5784 * 0.5, 0.05784),
        ("F606W", -0.067 + 0.340 * 0.95 - 0.038 * 0.95**2, 0.027),
        ("F555W", 0.011 - 0.106 * 0.95 + 0.013 * 0.95**2, 0.008),
    ],
)
def test_one_band_takes_the_colour_of_an_old_cluster(name: str, difference: float, error: float) -> None:
    """A colour good to 0.1 mag; the uncertainty is at least what it leaves open."""
    image = seen(name, 20.0)
    assert magnitudes(image)[0] - 20.0 == pytest.approx(difference, abs=1e-4)
    v = visual([image], [2.0])
    assert np.hypot(error, 0.02) <= v.zero_point_mag < np.hypot(error, 0.07)
    assert v.noise == pytest.approx(2.0 * 10 ** (-0.4 * difference), rel=1e-3)
    assert "alone" in v.warnings[0] and "old cluster" in v.warnings[0]


def test_g_and_r_of_two_surveys_are_refused() -> None:
    with pytest.raises(InputError, match="g of SDSS and r of DES: give both of one survey"):
        visual([seen("SDSS g", 20.0), seen("DES r", 20.0)], [0.0, 0.0])


def test_more_than_the_sky_subtracted_is_refused() -> None:
    g, r = seen("SDSS g", 20.0), seen("SDSS r", 20.0)
    g.flux *= -1
    with pytest.raises(InputError, match="not positive"):
        visual([g, r], [0.0, 0.0])


def test_smoothing_keeps_light_and_missing_pixels() -> None:
    flux = np.zeros((31, 31))
    flux[15, 15], flux[3, 3] = 1.0, np.nan
    wide = smoothed(flux, np.array([2.0, 2.0]))
    assert np.argwhere(np.isnan(wide)).tolist() == [[3, 3]]
    assert np.nansum(wide) == pytest.approx(1.0, rel=1e-3)
