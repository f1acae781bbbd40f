"""The telescope in torch against that in numpy, and the rounding of stored light."""

import numpy as np
import pytest
import torch

from datamodules.telescope import Telescope, psf_matrix
from pipeline.simulation.clusters.stars import flux
from pipeline.simulation.clusters.telescope import LIGHT_UNIT, blur, gaussian_psf, log_map

TELESCOPE = Telescope(psf_sigma=4.0, pixel_arcsec=0.25, pixels=160, log_flux_floor=-8.0, light_unit=LIGHT_UNIT)
DISTANCE = 12.5


@pytest.fixture
def light() -> np.ndarray:
    """Few bright and many faint stars on a dark sky, Lsun."""
    rng = np.random.default_rng(1)
    image = np.zeros((208, 208))
    at = rng.integers(0, 208, (2, 5000))
    np.add.at(image, tuple(at), 10 ** rng.uniform(-4, 2.5, 5000))
    return image


@pytest.mark.parametrize("width", [208, 207, 192])
@pytest.mark.parametrize("sigma", [4.0, 3.3, 1.0])
def test_matrix_blurs_like_the_loop(light: np.ndarray, width: int, sigma: float) -> None:
    psf, image = psf_matrix(sigma, 160, width).numpy(), light[:width, :width]
    np.testing.assert_allclose(psf @ image @ psf.T, blur(image, gaussian_psf(sigma), 160), rtol=1e-12, atol=1e-14)


def test_flux_is_that_of_the_inverse_square(light: np.ndarray) -> None:
    stored = torch.from_numpy(light / LIGHT_UNIT)[None]
    seen = TELESCOPE.flux(stored, torch.tensor([DISTANCE], dtype=torch.float64))[0].numpy()
    np.testing.assert_allclose(seen, flux(blur(light, gaussian_psf(4.0), 160), DISTANCE), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stored_light_loses_less_than_the_flux_map_rounds(light: np.ndarray, dtype: torch.dtype) -> None:
    """Of float16 light in LIGHT_UNIT: log10 flux is within half a step of half precision, even of the faintest."""
    stored = torch.from_numpy((light / LIGHT_UNIT).astype(np.float16))[None]
    seen = TELESCOPE.flux(stored, torch.tensor([DISTANCE], dtype=dtype))[0].numpy()
    true = flux(blur(light, gaussian_psf(4.0), 160), DISTANCE)
    shown = true > 1e-8
    step = np.spacing(np.log10(true[shown]).astype(np.float16)).astype(float)
    assert (np.abs(np.log10(seen[shown] / true[shown])) < np.abs(step) / 2).all()
    log_flux = TELESCOPE.log_flux(stored, torch.tensor([DISTANCE], dtype=dtype))[0]
    assert log_flux.dtype == dtype and (log_flux == log_flux.half()).all()
    assert np.abs(log_flux.numpy() - log_map(true, -8.0)).max() <= np.abs(step).max()


def test_narrow_light_is_refused() -> None:
    with pytest.raises(ValueError, match="do not hold 160"):
        psf_matrix(4.0, 160, 190)
