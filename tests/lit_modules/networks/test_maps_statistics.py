"""Statistics of maps against closed forms: a Gaussian's radii, a wave's power, stars of known flux."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lit_modules.networks.maps.statistics import (
    BAND,
    BANDS,
    LENGTH,
    NOISE,
    RADII,
    RANKS,
    RINGS,
    SHARPER,
    ZONES,
    Thresholds,
    curvature,
    frequencies,
    light_moments,
    map_statistics,
    peaks,
    power_spectrum,
    profile,
    radii,
    shares_above,
    sharpened,
    sharpening,
)
from lit_modules.networks.symmetry import MIRRORS

SIDE = 160
PSF_SIGMA = 4.0  # pixels
y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2


def gaussian(sigma: float, shift: tuple[float, float] = (0.0, 0.0)) -> torch.Tensor:
    return torch.tensor(np.exp(-((y - shift[0]) ** 2 + (x - shift[1]) ** 2) / (2 * sigma**2)), dtype=torch.float32)


def star_field(n: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Flux (1, H, W) of n stars on a faint cluster, as the telescope blurs them."""
    rng = np.random.default_rng(seed)
    stars = 1e-6 * np.exp(-(x**2 + y**2) / (2 * 30.0**2))
    np.add.at(stars, tuple(rng.integers(0, SIDE, (2, n))), 10.0 ** rng.uniform(-4, -2, n))
    return torch.tensor(gaussian_filter(stars, PSF_SIGMA), dtype=dtype)[None]


def statistics_of(flux: torch.Tensor, psf_sigma: float = PSF_SIGMA, noise: float = 0.0) -> torch.Tensor:
    return map_statistics(flux, torch.full((len(flux),), psf_sigma), torch.full((len(flux),), noise))


@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_no_symmetry_changes_them(noise: float) -> None:
    generator = torch.Generator().manual_seed(1)
    field = star_field(60, dtype=torch.float64)
    field = field + noise * torch.randn(field.shape, dtype=torch.float64, generator=generator)
    expected = statistics_of(field, noise=noise)
    assert expected.shape == (1, LENGTH)
    for mirror in MIRRORS:
        torch.testing.assert_close(statistics_of(mirror(field), noise=noise), expected, rtol=1e-6, atol=1e-6)


def test_those_of_a_map_without_noise() -> None:
    """Mean of each kind, plain and times its number: as they were before maps had noise, by the code of that time."""
    groups = {
        3 * RINGS: (-3.48604871446, -102.92882629829),
        len(RADII): (1.72348262614, 5.40098227261),
        BANDS: (-3.13255890262, -24.62091587803),
        len(RANKS) + 25: (3.52271327063, 81.16676467558),
        2: (-3.88960250376, -5.75034274892),
        68: (0.33169446873, 9.54580775503),
        64: (0.65348487655, 20.77011867401),
    }  # the last two are zones times thresholds
    kinds = statistics_of(star_field(60, dtype=torch.float64))[0].split([*groups, 3])
    for kind, expected in zip(kinds, groups.values(), strict=False):
        ranks = torch.arange(1, len(kind) + 1)
        torch.testing.assert_close(
            [float(kind.mean()), float((kind * ranks).mean())], list(expected), rtol=1e-7, atol=0
        )


def test_last_three_are_light_psf_and_noise() -> None:
    field = star_field(60)
    quiet, noisy, dark = statistics_of(field), statistics_of(field, 3.0, 1e-6), statistics_of(field - 1.0)
    light = float(field.double().sum().log10())
    torch.testing.assert_close(quiet[0, -3:], torch.tensor([light, PSF_SIGMA, -8.0]), rtol=1e-5, atol=0)
    torch.testing.assert_close(noisy[0, -3:], torch.tensor([light, 3.0, -6.0]), rtol=1e-5, atol=0)
    assert dark[0, -3] == -6 and dark.isfinite().all()  # what noise leaves of an empty field may be negative


def test_pixels_below_the_noise_are_taken_for_the_noise() -> None:
    """Every pixel at the noise: the mean of each ring that is there is that, whatever lies below."""
    generator = torch.Generator().manual_seed(1)
    field = -torch.rand(1, SIDE, SIDE, generator=generator)
    answer = statistics_of(field, noise=10.0**-5.5)[0, : RINGS - 1]
    torch.testing.assert_close(answer, torch.full((RINGS - 1,), -5.5), rtol=1e-5, atol=0)


def test_each_map_has_statistics_of_its_own_look() -> None:
    fields = torch.cat([star_field(60, seed) for seed in (1, 2, 3)]).double()
    psf_sigma, noise = torch.tensor([2.5, 4.0, 6.0]), torch.tensor([0.0, 1e-6, 1e-5])
    together = map_statistics(fields, psf_sigma, noise)
    for k in range(3):
        alone = map_statistics(fields[k : k + 1], psf_sigma[k : k + 1], noise[k : k + 1])
        torch.testing.assert_close(together[k], alone[0], rtol=1e-12, atol=1e-12)


def test_profile_of_a_gaussian() -> None:
    """The root of exp(-r²/2s²) is a Gaussian of width s √2 = 16, of which 1 - exp(-r²/2 16²) lies within r."""
    flux = gaussian(16 / np.sqrt(2), shift=(5.0, -3.0))
    answer = profile(flux.clamp_min(1e-9).log10()[None], flux[None], *radii(flux[None]))[0]
    expected = 16 * np.sqrt(-2 * np.log(1 - np.array(RADII)))
    np.testing.assert_allclose(10 ** answer[3 * RINGS :].numpy() - 1, expected, atol=0.5)
    mean_flux = 10 ** answer[2 * RINGS : 2 * RINGS + 8].numpy()
    edges = 4.0 * np.arange(9)
    exact = -np.diff(16**2 * np.exp(-(edges**2) / 16**2)) / np.diff(edges**2)
    np.testing.assert_allclose(mean_flux, exact, rtol=0.05)


def test_power_of_a_wave_is_in_its_band() -> None:
    cycles = 12  # of the side: 0.075 per pixel
    band = int(cycles / SIDE / BAND)
    plane = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    modes = ((plane / BAND).astype(int) == band).sum()
    for along in (x, y):
        wave = torch.tensor(1 + 0.5 * np.cos(2 * np.pi * cycles * (along / SIDE)), dtype=torch.float32)[None]
        power = power_spectrum(torch.fft.rfft2(wave), frequencies(wave))[0]
        assert power.argmax() == band
        assert 10 ** power[band].item() == pytest.approx(2 * 0.25**2 / modes, rel=1e-3)
        assert power[torch.arange(BANDS) != band].max() < -10


def test_sharpening_makes_a_star_narrower_and_keeps_its_light() -> None:
    """Up to where ε counts, the star's transform is that of a Gaussian of half the width."""
    star = gaussian(PSF_SIGMA)
    sharp = torch.fft.rfft2(star) * sharpening(frequencies(star), torch.tensor([PSF_SIGMA]), torch.zeros(1))[0]
    narrow = torch.fft.rfft2(gaussian(SHARPER * PSF_SIGMA) / SHARPER**2)  # of the same light
    seen = frequencies(star) < 0.06
    torch.testing.assert_close(sharp[seen], narrow[seen], rtol=1e-2, atol=1e-2)
    image = torch.fft.irfft2(sharp)
    assert (image > 0.5 * image.max()).sum() < 0.5 * (star > 0.5).sum()  # pixels; 0.25 were ε zero


def test_noise_is_held_back_as_by_wiener() -> None:
    """A lone star in noise n: ε is ``NOISE`` and the power n² N of the noise over the star's, f² for its light f."""
    star, n = gaussian(PSF_SIGMA).double(), 1e-3
    k = frequencies(star)
    G = np.exp(-2 * (np.pi * PSF_SIGMA * k.numpy()) ** 2)
    epsilon = NOISE + SIDE**2 * n**2 / float(star.sum()) ** 2
    expected = torch.from_numpy(G ** (1 + SHARPER**2) / (G**2 + epsilon)) * torch.fft.rfft2(star)
    answer = sharpened(star[None], torch.fft.rfft2(star)[None], k, *torch.tensor([[PSF_SIGMA], [n]]).double())[0]
    torch.testing.assert_close(answer, torch.fft.irfft2(expected), rtol=1e-6, atol=1e-9)


def test_curvature_of_overlapping_stars() -> None:
    """-2/σ² for one star; two of equal flux, d apart, add (d/2)²/σ⁴ halfway between them."""
    distance = 7.0
    pair = gaussian(PSF_SIGMA, shift=(0.0, distance / 2)) + gaussian(PSF_SIGMA, shift=(0.0, -distance / 2))
    for field, expected in (
        (gaussian(PSF_SIGMA), -2 / PSF_SIGMA**2),
        (pair, -2 / PSF_SIGMA**2 + (distance / 2) ** 2 / PSF_SIGMA**4),
    ):
        log_flux = field.clamp_min(1e-30).log10()[None]
        middle = curvature(log_flux, frequencies(log_flux))[0, 79:81, 79:81]
        torch.testing.assert_close(middle, torch.full((2, 2), expected), rtol=0.15, atol=0)  # it is smoothed


def test_shares_above_are_counted_in_each_zone() -> None:
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(2, SIDE, SIDE, generator=generator)
    radius = torch.tensor(np.hypot(x, y), dtype=torch.float32).repeat(2, 1, 1)
    zone = torch.bucketize(radius, torch.tensor(ZONES))
    answer = shares_above(values, zone, Thresholds(0.1, 0.9, 5)).unflatten(1, (len(ZONES), 5)).numpy()
    edges = (0.0, *ZONES)
    for k in range(len(ZONES)):
        inside = values[0][(radius[0] > edges[k]) & (radius[0] <= edges[k + 1])].numpy()
        expected = [np.sqrt((inside > limit).mean()) for limit in np.linspace(0.1, 0.9, 5)]
        np.testing.assert_allclose(answer[0, k], expected, atol=2e-3)


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


def test_double_precision_differs_by_rounding_alone() -> None:
    field = star_field(60)
    double = statistics_of(field.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(statistics_of(field).double(), double, rtol=1e-3, atol=1e-3)


def test_the_psf_of_the_maps_matters() -> None:
    field = star_field(60)
    assert not torch.allclose(statistics_of(field)[:, :-3], statistics_of(field, 3.0)[:, :-3], atol=0.1)


@pytest.mark.parametrize("level", [1e-8, 1.0, 0.0, -1.0])
@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_a_flat_map_has_finite_statistics(level: float, noise: float) -> None:
    assert statistics_of(torch.full((2, SIDE, SIDE), level), noise=noise).isfinite().all()
