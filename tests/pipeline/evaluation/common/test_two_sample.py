"""Tests of two samples of pictures, against closed forms, plain loops and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from pipeline.evaluation.common import two_sample

SIZE = 40


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_features_know_no_turn_and_no_mirror(rng: np.random.Generator) -> None:
    picture = rng.random((SIZE, SIZE))
    turned = np.stack([np.rot90(view, k) for view in (picture, picture.T) for k in range(4)])
    found = two_sample.features(turned)
    assert found.shape == (8, 2 * two_sample.BINS + len(two_sample.CONTRASTS))
    assert np.allclose(found, found[0])
    for size in (2, 5, 10, 39, SIZE):
        assert np.isfinite(two_sample.features(np.zeros((2, size, size)))).all(), "black and small ones have some too"


def test_radial_profile_of_a_disc() -> None:
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    disc = np.hypot(axis[:, None], axis) < SIZE / 4
    assert two_sample.radial_profile(disc[None].astype(float))[0].tolist() == [1.0] * 5 + [0.0] * 5


def test_power_spectrum_of_white_noise_and_of_a_wave(rng: np.random.Generator) -> None:
    noise = rng.normal(0, 0.3, (400, SIZE, SIZE))
    assert two_sample.power_spectrum(noise).mean(0)[1:] == pytest.approx(np.full(two_sample.BINS - 1, 0.09), rel=0.03)
    wave = np.cos(2 * np.pi * 0.32 * np.arange(SIZE))[None, None, :] * np.ones((1, SIZE, 1))
    assert two_sample.power_spectrum(wave)[0].argmax() == 6, "0.32 of a cycle a pixel lies in 0.3075 to 0.356"


def test_star_counts_are_those_of_the_stars() -> None:
    picture = np.full((SIZE, SIZE), 0.1)
    picture[5, 5] = picture[20, 30] = 0.25  # 0.15 above the sky, less what they give to their surroundings
    picture[10:12, 25] = 0.9  # one star of two pixels
    assert two_sample.star_counts(picture[None])[0].tolist() == [3, 3, 1, 1]


def test_auc_of_two_normal_samples(rng: np.random.Generator) -> None:
    real, artificial = rng.normal(0, 1, (400, 1)), rng.normal(1.5, 1, (600, 1))
    found = two_sample.classifier_auc(real, artificial)
    assert found.value == pytest.approx(norm.cdf(1.5 / np.sqrt(2)), abs=0.02)
    by_rank = roc_auc_score(np.repeat([0, 1], [400, 600]), np.vstack([real, artificial]))
    assert found.value == pytest.approx(by_rank, abs=2e-3), "which asks about pairs of different folds too"
    error = (found.high - found.low) / (2 * 1.96)
    assert error == pytest.approx(hanley_mcneil(found.value, 400, 600), rel=0.15)


def hanley_mcneil(auc: float, n: int, m: int) -> float:
    """Standard error of an AUC (Hanley & McNeil 1982)."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (m - 1) * (q1 - auc**2) + (n - 1) * (q2 - auc**2)
    return float(np.sqrt(variance / (n * m)))


def test_auc_of_what_cannot_be_told_apart(rng: np.random.Generator) -> None:
    found = [two_sample.classifier_auc(*rng.normal(size=(2, 150, 3))) for _ in range(4)]
    assert sum(each.low < 0.5 < each.high for each in found) >= 3
    assert np.mean([each.value for each in found]) == pytest.approx(0.5, abs=0.05)


def test_density_and_coverage_of_one_distribution(rng: np.random.Generator) -> None:
    n, k = 400, two_sample.NEIGHBOURS
    density, coverage = two_sample.density_coverage(*rng.normal(size=(2, n, 3)))
    i = np.arange(1, k + 1)
    assert density == pytest.approx(1, abs=0.1)
    assert coverage == pytest.approx(1 - np.prod((n - i) / (2 * n - i)), abs=0.02), "eq. 11 of Naeem et al. (2020)"


def test_density_and_coverage_by_loops(rng: np.random.Generator) -> None:
    real, artificial = rng.normal(size=(12, 2)), rng.normal(0.5, 1, (9, 2))
    density, coverage = two_sample.density_coverage(real, artificial)
    inside = np.zeros((12, 9), bool)
    for i, one in enumerate(real):
        scaled = real.std(0)
        apart = sorted(np.linalg.norm((one - other) / scaled) for j, other in enumerate(real) if j != i)
        for j, other in enumerate(artificial):
            inside[i, j] = np.linalg.norm((one - other) / scaled) < apart[two_sample.NEIGHBOURS - 1]
    assert density == pytest.approx(inside.sum() / (two_sample.NEIGHBOURS * 9))
    assert coverage == pytest.approx(np.mean([row.any() for row in inside]))


def test_nearest_and_memorisation(rng: np.random.Generator) -> None:
    memory = rng.random((6, SIZE, SIZE))
    number, distance = two_sample.nearest(memory[[4, 1]] * 0.99, memory)
    assert number.tolist() == [4, 1]
    assert distance[0] == pytest.approx(0.01 * np.sqrt(np.square(memory[4]).mean()))
    ours, theirs = rng.integers(0, 9, 30).astype(float), rng.integers(2, 12, 20).astype(float)
    by_rank = roc_auc_score(np.repeat([0, 1], [30, 20]), np.concatenate([ours, theirs]))
    assert two_sample.memorisation(ours, theirs) == pytest.approx(by_rank)
    assert two_sample.memorisation(np.zeros(3), np.ones(4)) == 1, "copies"


def test_deformed_pictures_keep_their_light(rng: np.random.Generator) -> None:
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    cluster = np.exp(-np.hypot(axis[:, None], axis) / 8)
    changed = two_sample.deformed(np.stack([cluster] * 50))
    assert changed.shape == (50, SIZE, SIZE) and changed.min() >= 0 and changed.max() <= 1
    assert np.ptp(changed, axis=0).max() > 0.05, "they differ"
    assert changed.mean() == pytest.approx(cluster.mean(), rel=0.03)
