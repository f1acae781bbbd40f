"""The telescope in torch against scipy, that in numpy and what noise and foreground stars should be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from datamodules.telescope import Looks, Telescope, psf_matrix
from pipeline.simulation.clusters.stars import SUN_V, flux
from pipeline.simulation.clusters.telescope import LIGHT_UNIT, blur, gaussian_psf, log_map

TELESCOPE = Telescope(
    psf_sigma=4.0, pixel_arcsec=0.25, pixels=160, log_flux_floor=-8.0, light_unit=LIGHT_UNIT, sky_error=0.0
)
DISTANCE = 12.5


def looks(n: int, **columns: object) -> Looks:
    """Clean looks, but for the columns given; a seed each."""
    rows = {"psf_sigma": 4.0, "noise": 0.0, "sky": 0.0, "foreground": 0.0, "seed": list(range(n))} | columns
    return Looks(**{name: torch.as_tensor(x, dtype=torch.float64).expand(n) for name, x in rows.items()})


def distances(n: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.full((n,), DISTANCE, dtype=dtype)


@pytest.fixture
def light() -> np.ndarray:
    """Few bright and many faint stars on a dark sky, Lsun."""
    rng = np.random.default_rng(1)
    image = np.zeros((208, 208))
    at = rng.integers(0, 208, (2, 5000))
    np.add.at(image, tuple(at), 10 ** rng.uniform(-4, 2.5, 5000))
    return image


# --- the point-spread function ------------------------------------------------------------------


@pytest.mark.parametrize("width", [208, 207, 192])
@pytest.mark.parametrize("sigma", [4.0, 3.3, 1.0])
def test_matrix_blurs_like_the_loop(light: np.ndarray, width: int, sigma: float) -> None:
    sigmas, image = torch.tensor([sigma], dtype=torch.float64), light[:width, :width]
    psf = psf_matrix(sigmas, 160, width, like=sigmas)[0].numpy()
    np.testing.assert_allclose(psf @ image @ psf.T, blur(image, gaussian_psf(sigma), 160), rtol=1e-12, atol=1e-14)


def test_each_look_has_a_psf_of_its_own(light: np.ndarray) -> None:
    """Cut at four sigma, where scipy cuts at ``truncate`` sigma."""
    widths = [2.4, 4.0, 6.0]
    stored = torch.from_numpy(light / LIGHT_UNIT).expand(3, -1, -1)
    seen = TELESCOPE.flux(stored, distances(3), looks(3, psf_sigma=widths)).numpy()
    for image, sigma in zip(seen, widths, strict=True):
        blurred = gaussian_filter(light, sigma, truncate=np.ceil(4 * sigma) / sigma)[24:184, 24:184]
        np.testing.assert_allclose(image, flux(blurred, DISTANCE), rtol=1e-9)


def test_light_is_conserved() -> None:
    stars = np.zeros((3, 208, 208))
    stars[:, 60:148, 60:148] = np.random.default_rng(1).random((3, 88, 88))
    seen = TELESCOPE.flux(torch.from_numpy(stars), distances(3), looks(3, psf_sigma=[2.4, 4.0, 6.0]))
    expected = LIGHT_UNIT * stars.sum((1, 2)) / (4 * np.pi * DISTANCE**2)
    np.testing.assert_allclose(seen.sum((1, 2)), expected, rtol=1e-12)


def test_narrow_light_is_refused() -> None:
    with pytest.raises(ValueError, match="do not hold 160"):
        psf_matrix(torch.tensor([2.0, 4.0]), 160, 190, distances(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stored_light_loses_less_than_the_flux_map_rounds(light: np.ndarray, dtype: torch.dtype) -> None:
    """Of float16 light in LIGHT_UNIT: log10 flux is within half a step of half precision, even of the faintest."""
    stored = torch.from_numpy((light / LIGHT_UNIT).astype(np.float16))[None]
    seen = TELESCOPE.flux(stored, distances(1, dtype), looks(1))[0].numpy()
    true = flux(blur(light, gaussian_psf(4.0), 160), DISTANCE)
    shown = true > 1e-8
    step = np.spacing(np.log10(true[shown]).astype(np.float16)).astype(float)
    assert (np.abs(np.log10(seen[shown] / true[shown])) < np.abs(step) / 2).all()
    log_flux = TELESCOPE.log_flux(stored, distances(1, dtype), looks(1))[0]
    assert log_flux.dtype == dtype and (log_flux == log_flux.half()).all()
    assert np.abs(log_flux.numpy() - log_map(true, -8.0)).max() <= np.abs(step).max()


# --- noise --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.0, 3.0, 100.0])
def test_variance_of_the_noise_is_that_of_photons(ratio: float) -> None:
    """n² (1 + F/S) on flat maps of F; 512 000 pixels tell it to 0.2 %."""
    n, sky, maps = 1e-6, 2e-5, 20
    light = torch.full((maps, 208, 208), ratio * sky * 4 * np.pi * DISTANCE**2 / LIGHT_UNIT, dtype=torch.float64)
    seen = TELESCOPE.flux(light, distances(maps), looks(maps, noise=n, sky=sky)).numpy()
    assert seen.mean() == pytest.approx(ratio * sky, abs=5 * n * np.sqrt((1 + ratio) / seen.size))
    noise = (seen - ratio * sky) / (n * np.sqrt(1 + ratio))
    assert noise.var() == pytest.approx(1, abs=0.01)
    assert kstest(noise[:, ::4, ::4].ravel(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.03


def test_sky_is_subtracted_with_an_error() -> None:
    """One for each map, of 0.3 % of the sky."""
    telescope, maps, sky = replace(TELESCOPE, pixels=8, sky_error=0.003), 1000, 2e-5
    light, row = torch.zeros(maps, 56, 56), {"noise": 1e-12, "sky": sky}
    error = telescope.flux(light, distances(maps), looks(maps, **row)).numpy() / sky
    np.testing.assert_allclose(error, np.broadcast_to(error[:, :1, :1], error.shape), atol=1e-6)
    assert kstest(error[:, 0, 0] / 0.003, "norm").pvalue > 0.01


def test_nothing_below_floor_or_noise_is_shown() -> None:
    shown = TELESCOPE.log_flux(torch.zeros(3, 208, 208), distances(3), looks(3, noise=[0.0, 1e-10, 1e-6], sky=1e-5))
    assert shown.amin((1, 2)).tolist() == pytest.approx([-8, -8, -6], abs=1e-3)
    assert (shown[:2] == -8).all() and (shown[2] > -6).any()


# --- foreground stars ---------------------------------------------------------------------------


def test_foreground_stars_are_those_of_the_milky_way() -> None:
    """As many as asked in (40 arcsec)², evenly thrown, N(<V) ~ 10^(0.3 V) between V = 14 and 24; a PSF of a pixel."""
    density, maps = 50.0, 100
    seen = TELESCOPE.flux(torch.zeros(maps, 208, 208), distances(maps), looks(maps, psf_sigma=0.1, foreground=density))
    at = seen > 1e-12
    number = at.sum((1, 2)).double()
    expected = density * (40 / 60) ** 2
    assert number.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / maps))
    assert number.var() == pytest.approx(expected, rel=0.5)
    magnitude = SUN_V + 10 - 2.5 * np.log10(4 * np.pi * seen[at].numpy())
    assert 13.99 < magnitude.min() and magnitude.max() < 24.01
    assert kstest((10 ** (0.3 * (magnitude - 24)) - 1e-3) / (1 - 1e-3), "uniform").pvalue > 0.01
    for axis in (1, 2):
        assert kstest((at.nonzero()[:, axis] + 0.5) / 160, "uniform").pvalue > 0.01


def test_foreground_stars_are_blurred_and_on_top_of_the_cluster(light: np.ndarray) -> None:
    stored = torch.from_numpy(light / LIGHT_UNIT)[None]
    with_stars, none = looks(1, foreground=20.0), looks(1)
    both = TELESCOPE.flux(stored, distances(1), with_stars)
    stars = TELESCOPE.flux(torch.zeros_like(stored), distances(1), with_stars)
    assert 33**2 // 4 < (stars > 0).sum()  # a quarter of what the PSF of one star covers
    torch.testing.assert_close(both, stars + TELESCOPE.flux(stored, distances(1), none), rtol=1e-12, atol=0)


# --- the same again -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_look_is_the_same_alone_and_in_a_batch(light: np.ndarray, dtype: torch.dtype) -> None:
    telescope, stored = replace(TELESCOPE, sky_error=0.003), torch.from_numpy((light / LIGHT_UNIT).astype(np.float16))
    row = {"psf_sigma": [4.0, 2.4, 6.0, 3.3], "noise": [0, 1e-7, 1e-6, 1e-5], "sky": [0, 1e-5, 2e-5, 3e-5]}
    every = looks(4, **row, foreground=[0, 2.0, 8.0, 4.0], seed=[0, 5, 2.0**53 - 1, 7])
    batch = telescope.flux(stored.expand(4, -1, -1), distances(4, dtype), every)
    assert len({image.numpy().tobytes() for image in batch}) == 4
    for k in (3, 1, 0, 2):
        one = Looks(*(x[k : k + 1] for x in every))
        assert (telescope.flux(stored[None], distances(1, dtype), one)[0] == batch[k]).all()
    clean = telescope.flux(stored[None], distances(1, dtype), looks(1))[0]
    assert (clean == batch[0]).all()


def test_another_seed_is_another_night() -> None:
    first, second = TELESCOPE.flux(torch.zeros(2, 208, 208), distances(2), looks(2, noise=1e-6, sky=1e-5, seed=[1, 2]))
    assert (first != second).all()
