"""Statistics of maps against closed forms: a Gaussian's radii, a wave's power, stars of known flux."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lit_modules.base import MIRRORS
from lit_modules.networks.pidoc.statistics import (
    FREQUENCIES,
    FREQUENCY,
    LENGTH,
    LIGHT_RADII,
    PSF_SIGMA,
    RANKS,
    RINGS,
    SHARPER,
    StatisticsReader,
    light_moments,
    map_statistics,
    peaks,
    power_spectrum,
    profile,
    sharpening,
)
from pipeline import observation

SIDE = 160
y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2


def gaussian(sigma: float, shift: tuple[float, float] = (0.0, 0.0)) -> torch.Tensor:
    return torch.tensor(np.exp(-((y - shift[0]) ** 2 + (x - shift[1]) ** 2) / (2 * sigma**2)), dtype=torch.float32)


def star_field(n: int, seed: int = 1) -> torch.Tensor:
    """Log10 flux (1, H, W) of n stars on a faint cluster, as the telescope blurs them."""
    rng = np.random.default_rng(seed)
    stars = 1e-6 * np.exp(-(x**2 + y**2) / (2 * 30.0**2))
    np.add.at(stars, tuple(rng.integers(0, SIDE, (2, n))), 10.0 ** rng.uniform(-4, -2, n))
    return torch.tensor(np.log10(gaussian_filter(stars, PSF_SIGMA)), dtype=torch.float32)[None]


def frequencies() -> torch.Tensor:
    return torch.hypot(torch.fft.fftfreq(SIDE)[:, None], torch.fft.fftfreq(SIDE))


def test_no_symmetry_changes_them() -> None:
    field = star_field(60)
    expected = map_statistics(field)
    assert expected.shape == (1, LENGTH)
    for mirror in MIRRORS:
        torch.testing.assert_close(map_statistics(mirror(field)), expected, rtol=1e-3, atol=2e-3)


def test_profile_of_a_gaussian() -> None:
    """The root of exp(-r²/2s²) is a Gaussian of width s √2 = 16, of which 1 - exp(-r²/2 16²) lies within r."""
    flux = gaussian(16 / np.sqrt(2), shift=(5.0, -3.0))
    answer = profile(flux.clamp_min(1e-9).log10()[None], flux[None])[0]
    expected = 16 * np.sqrt(-2 * np.log(1 - np.array(LIGHT_RADII)))
    radii = 10 ** answer[3 * RINGS :].numpy() - 1
    np.testing.assert_allclose(radii, expected, atol=0.5)
    mean_flux = 10 ** answer[2 * RINGS : 2 * RINGS + 8].numpy()
    edges = 4.0 * np.arange(9)
    exact = -np.diff(16**2 * np.exp(-(edges**2) / 16**2)) / np.diff(edges**2)
    np.testing.assert_allclose(mean_flux, exact, rtol=0.05)


def test_power_of_a_wave_is_in_its_band() -> None:
    cycles = 12  # of the side: 0.075 per pixel
    wave = torch.tensor(1 + 0.5 * np.cos(2 * np.pi * cycles * (x / SIDE)), dtype=torch.float32)[None]
    power = power_spectrum(torch.fft.fft2(wave), frequencies())[0]
    band = int(cycles / SIDE / FREQUENCY)
    modes = int(((frequencies() / FREQUENCY).long() == band).sum())
    assert power.argmax() == band
    assert 10 ** power[band].item() == pytest.approx(2 * 0.25**2 / modes, rel=1e-3)
    assert power[torch.arange(FREQUENCIES) != band].max() < -10


def test_sharpening_makes_a_star_narrower_and_keeps_its_light() -> None:
    """Up to where ε counts, the star's transform is that of a Gaussian of half the width."""
    sharp = torch.fft.fft2(gaussian(PSF_SIGMA)) * sharpening(frequencies())
    narrow = torch.fft.fft2(gaussian(SHARPER * PSF_SIGMA) / SHARPER**2)  # of the same light
    seen = frequencies() < 0.06
    torch.testing.assert_close(sharp[seen], narrow[seen], rtol=1e-2, atol=1e-2)
    star = torch.fft.ifft2(sharp).real
    assert (star > 0.5 * star.max()).sum() < 0.5 * (gaussian(PSF_SIGMA) > 0.5).sum()  # pixels; 0.25 were ε zero


def test_peaks_are_ranked_and_counted() -> None:
    """Thirty stars far from one another, of 1e-2, 5e-3, ... Lsun kpc⁻² at their peaks."""
    flux = np.full((SIDE, SIDE), 1e-12)
    brightness = 1e-2 / np.arange(1, 31)
    for k, peak in enumerate(brightness):
        flux += peak * gaussian(2.0, shift=(25.0 * (k // 6) - 50.5, 25.0 * (k % 6) - 62.5)).numpy()
    field = torch.tensor(flux, dtype=torch.float32)[None]
    answer = peaks(field)[0].numpy()
    seen = [rank for rank in RANKS if rank <= 30]
    np.testing.assert_allclose(answer[: len(seen)], np.log10(brightness[np.array(seen) - 1]), atol=1e-3)
    assert (answer[len(seen) : len(RANKS)] == -9).all()  # there are no more
    counts = answer[len(RANKS) : -1] ** 2
    np.testing.assert_allclose(
        counts, [(brightness > 10**limit).sum() for limit in np.linspace(-7, -1.25, 24)], atol=1e-4
    )
    assert answer[-1] ** 2 == pytest.approx(30)
    np.testing.assert_allclose(
        10 ** light_moments(field)[0], [(flux**2).sum() / flux.sum(), (flux**3).sum() / (flux**2).sum()], rtol=1e-4
    )


def test_sharpening_is_for_the_seeing_of_the_maps() -> None:
    assert PSF_SIGMA * observation.PIXEL == observation.PSF_SIGMA


@pytest.mark.parametrize("level", [-8.0, 0.0])
def test_a_flat_map_has_finite_statistics(level: float) -> None:
    assert map_statistics(torch.full((2, SIDE, SIDE), level)).isfinite().all()


def test_reader_keeps_single_precision() -> None:
    torch.manual_seed(1)
    reader, field = StatisticsReader(8).eval(), star_field(60)[:, None]
    with torch.autocast("cpu", torch.bfloat16):
        answer = reader(field)
    assert answer.dtype == torch.float32
    torch.testing.assert_close(answer, reader(field))
    assert not torch.allclose(answer, reader(star_field(30, seed=2)[:, None]))
