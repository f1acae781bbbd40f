"""PSNR and SSIM against their formulas, and intervals over patients."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from pipeline.errors import InputError
from pipeline.evaluation.autoencoder.quality import psnr, redrawing, ssim

IMAGES, REDRAWN = torch.rand(2, 5, 1, 20, 20, generator=torch.Generator().manual_seed(0))


def test_psnr() -> None:
    expected = [-10 * np.log10(np.square(a - b).mean()) for a, b in zip(IMAGES.numpy(), REDRAWN.numpy(), strict=True)]
    np.testing.assert_allclose(psnr(REDRAWN, IMAGES), expected, rtol=1e-5)
    assert psnr(IMAGES, IMAGES).tolist() == pytest.approx(5 * [20 * np.log10(255 * np.sqrt(12))]), "no copy is infinite"


def test_ssim() -> None:
    """Equation 13 of Wang et al. (2004), in Gaussian windows of 11 pixels, pictures mirrored at their edges."""

    def blurred(x: np.ndarray) -> np.ndarray:
        return gaussian_filter(x, 1.5, truncate=3.5, mode="mirror")

    pictures = IMAGES[:, 0].double().numpy(), REDRAWN[:, 0].double().numpy()
    for a, b, found in zip(*pictures, ssim(REDRAWN, IMAGES), strict=True):
        m, n = blurred(a), blurred(b)
        variances = blurred(a * a) - m * m + blurred(b * b) - n * n
        covariance = blurred(a * b) - m * n
        parts = (2 * m * n + 0.01**2) * (2 * covariance + 0.03**2), (m * m + n * n + 0.01**2) * (variances + 0.03**2)
        assert float(found) == pytest.approx((parts[0] / parts[1]).mean(), rel=1e-3)
    assert torch.allclose(ssim(IMAGES, IMAGES), torch.ones(5))


def test_pictures_smaller_than_the_window_are_one_line() -> None:
    with pytest.raises(InputError, match="SSIM needs pictures of 6 pixels a side"):
        ssim(IMAGES[..., :5, :5], IMAGES[..., :5, :5])


def test_more_pictures_of_a_patient_do_not_narrow_the_interval() -> None:
    redrawn, patients = {"model": REDRAWN, "mean_picture": IMAGES + 0.1}, list("abcde")
    once = redrawing(redrawn, IMAGES, patients)
    thrice = redrawing(
        {who: x.repeat(3, 1, 1, 1) for who, x in redrawn.items()}, IMAGES.repeat(3, 1, 1, 1), 3 * patients
    )
    for key, value in once.items():
        assert thrice[key] == pytest.approx(value, rel=1e-5), key
    assert once["test/ssim_low"] < once["test/ssim"] < once["test/ssim_high"]
    assert once["baseline/mean_picture/mse"] == pytest.approx(0.01) and "baseline/mean_picture/psnr_db" in once
