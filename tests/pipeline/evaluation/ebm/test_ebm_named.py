"""Mocks of named clusters: their truths are sums over the field, and their looks those of the camera."""

import numpy as np
import pytest
import torch

from datamodules.telescope import Telescope
from pipeline.evaluation.ebm import named
from pipeline.simulation.clusters.named_clusters import NAMED, NamedCluster

TELESCOPE = Telescope(2.0, 0.25, 32, -8.0, 16.0, 0.0)


def test_truths_of_mocks_are_sums_over_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even light of 2, 4 and 6 Lsun a pixel, three times as heavy; no light leaves or enters through the edges."""
    drawn = []

    def draw(cluster: NamedCluster, rng: np.random.Generator, pixels: int) -> tuple[np.ndarray, np.ndarray]:
        drawn.append(rng.integers(1 << 30))
        light = np.full((pixels, pixels), 2.0 * len(drawn))
        return light, 3 * light

    monkeypatch.setattr(named, "draw_named", draw)
    mocks = named.named_mocks(NAMED["Pal 11"], 3, TELESCOPE, seed=1)
    pixels = 32 + 2 * 10  # four σ of the camera's wider PSF, 2.4 pixels, on each side
    light = torch.tensor([2.0, 4.0, 6.0])
    torch.testing.assert_close(mocks.light, (light / 16)[:, None, None].expand(3, pixels, pixels).half())
    torch.testing.assert_close(mocks.truth["field_mass"], 3 * light * 32**2, rtol=1e-6, atol=0)
    assert mocks.truth["mass_to_light"].tolist() == pytest.approx([3.0] * 3)
    assert mocks.truth["distance"].tolist() == pytest.approx([14.02] * 3)
    assert mocks.truth["age"].tolist() == pytest.approx([10.4] * 3)
    assert len(set(drawn)) == 3, "each mock has stars of its own"


def test_looks_are_clean_or_those_of_the_camera() -> None:
    """Pan-STARRS 1 per pixel of 0.25 arcsec: magnitude 21.9 a square arcsecond is 27.1 - 21.9 = 5.2 magnitudes."""
    clean, noisy = (named.looks_of(TELESCOPE, 3, noisy) for noisy in (False, True))
    assert clean.psf_sigma.tolist() == [2.0] * 3 and noisy.psf_sigma.tolist() == [2.4] * 3
    assert clean.noise.tolist() == [0.0] * 3 and clean.sky.tolist() == [0.0] * 3
    ratio = 10 ** (0.4 * (27.1 - 21.9)) * 0.25**2
    assert (noisy.sky / noisy.noise).tolist() == pytest.approx([ratio] * 3)
    assert noisy.seed.tolist() == [0.0, 1.0, 2.0], "each mock has noise of its own"


def test_coverage_of_ten_trials() -> None:
    """Seven of ten: the exact interval of Clopper and Pearson, 34.8 to 93.3 %, as tabulated."""
    assert named.percent_inside([True] * 7 + [False] * 3) == pytest.approx((70, 34.75, 93.33), abs=0.01)
