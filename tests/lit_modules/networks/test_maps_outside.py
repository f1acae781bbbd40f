"""What counts as outside: Mahalanobis distances against scipy and scikit-learn, and the share of maps inside."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from scipy.stats import chi2, kstest
from torch import Tensor

from lit_modules.networks.maps.outside import SHRINKAGE, TrainingSpace

N = 6


def draw(n: int, seed: int) -> Tensor:
    """Correlated Gaussian rows of very different scales."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(N, N))
    return torch.from_numpy((rng.standard_normal((n, N)) @ mixing) * 10.0 ** np.arange(-2, 4) + 5).float()


def fitted(train: Tensor, calibration: Tensor) -> TrainingSpace:
    space = TrainingSpace(train.shape[1])
    space.fit(train, calibration)
    return space


def test_distances_are_those_of_the_shrunk_covariance() -> None:
    train, rows = draw(5000, 1), draw(40, 2)
    space = fitted(train, draw(1000, 3))
    std = train.double().std(0, correction=0).numpy()
    covariance = np.cov(train.double().numpy().T, bias=True)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(std**2)
    inverse, mean = np.linalg.inv(shrunk), train.double().mean(0).numpy()
    expected = [mahalanobis(row.double().numpy(), mean, inverse) for row in rows]
    np.testing.assert_allclose(space(rows) * space.threshold, expected, rtol=1e-3)


def test_squared_distances_of_independent_rows_are_chi_square() -> None:
    torch.manual_seed(1)
    train, rows = torch.randn(50_000, N) * 3 - 1, torch.randn(4000, N) * 3 - 1
    space = fitted(train, torch.randn(50_000, N) * 3 - 1)
    squared = (space(rows) * space.threshold).square().numpy()
    assert kstest(squared, chi2(N).cdf).pvalue > 0.01
    assert float(space.threshold) == pytest.approx(chi2(N).ppf(0.99) ** 0.5, rel=0.01)


def test_99_per_cent_of_the_calibration_maps_are_inside_and_a_shifted_row_is_not() -> None:
    calibration = draw(1000, 2)
    space = fitted(draw(5000, 1), calibration)
    assert (space(calibration) <= 1).float().mean().item() == pytest.approx(0.99, abs=1.5e-3)
    shifted = calibration[:1] + torch.tensor([0.0, 0.0, 30 * calibration[:, 2].std(), 0.0, 0.0, 0.0])
    assert space(shifted).item() > 1


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
