"""What counts as outside: Mahalanobis distances against scipy, and the share of maps inside."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch import Tensor

from lit_modules.networks.maps.outside import SHRINKAGE, TrainingSpace

N = 6


def draw(n: int, seed: int) -> Tensor:
    """Correlated Gaussian rows of very different scales; half of noise -8, the others wider the noisier they are."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(N, N))
    rows = (rng.standard_normal((n, N)) @ mixing) * 10.0 ** np.arange(-2, 4)
    noise = np.where(np.arange(n) % 2, rng.uniform(-7.5, -5.0, n), -8.0)
    rows *= (noise + 9)[:, None]
    return torch.from_numpy(np.column_stack([rows[:, 1:] + 5, noise])).float()


def fitted(train: Tensor, calibration: Tensor) -> TrainingSpace:
    space = TrainingSpace(train.shape[1])
    space.fit(train, calibration)
    return space


def test_distances_are_those_of_the_shrunk_covariance_of_maps_of_like_noise() -> None:
    """The middle fifth of the noisy maps, and the clean ones."""
    train = draw(5000, 1)
    space = fitted(train, draw(1000, 3))
    noise = train[:, -1].numpy()
    low, high = np.quantile(noise[noise > -8], [0.4, 0.6])
    std = train.double().std(0, correction=0).numpy()
    for like in ((noise > low) & (noise < high), noise == -8):
        z = train.double().numpy()[like] / std
        covariance = np.cov(z.T, bias=True)
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / N * np.eye(N)
        inverse, mean = np.linalg.inv(shrunk), z.mean(0)
        expected = [mahalanobis(row, mean, inverse) for row in z[:40]]
        found = space(train[torch.from_numpy(like)][:40]) * space.threshold
        np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_98_per_cent_of_the_calibration_maps_are_inside_and_a_shifted_row_is_not() -> None:
    calibration = draw(1000, 2)
    space = fitted(draw(5000, 1), calibration)
    assert (space(calibration) <= 1).float().mean().item() == pytest.approx(0.98, abs=1.5e-3)
    shifted = calibration[:1] + torch.tensor([0.0, 0.0, 30 * calibration[:, 2].std(), 0.0, 0.0, 0.0])
    assert space(shifted).item() > 1


def test_what_the_noisiest_maps_may_do_is_outside_on_a_clean_one() -> None:
    train = draw(5000, 1)
    space = fitted(train, draw(1000, 2))
    noisy = train[train[:, -1] > -5.1][:40]
    assert (space(noisy) <= 1).float().mean() > 0.8
    noisy[:, -1] = -8.0
    assert (space(noisy) > 1).float().mean() > 0.8


def test_few_maps_and_maps_without_noise_are_a_space_too() -> None:
    for train in (draw(6, 1), draw(200, 1)[::2]):
        assert fitted(train, train[:4])(train).isfinite().all()


def test_what_never_varied_in_training_is_outside_once_it_does() -> None:
    train, calibration = draw(500, 1), draw(500, 2)
    train[:, 3], calibration[:, 3] = 7.0, 7.0
    space, row = fitted(train, calibration), calibration[:1].clone()
    assert space(calibration).isfinite().all()
    row[0, 3] = 7.5
    assert space(row).item() > 1


def test_the_space_survives_a_checkpoint_and_nothing_is_outside_before_it_is_fitted() -> None:
    rows, space, again = draw(50, 3), fitted(draw(500, 1), draw(100, 2)), TrainingSpace(N)
    assert (again(rows) <= 1).all()
    again.load_state_dict(space.state_dict())
    torch.testing.assert_close(again(rows), space(rows))
