"""Measures, rivals and spectra of fields of stars against counts by hand, closed forms and definitions."""

import numpy as np
import pytest
from mock_fields import mock_fields, normalised_laplacian, weights
from scipy.integrate import dblquad
from scipy.special import logit

from pipeline.evaluation.spectral.fields import adjacency, arrays
from pipeline.evaluation.spectral.king import fitted, king_log_odds, log_odds, profile
from pipeline.evaluation.spectral.measures import measured
from pipeline.evaluation.spectral.rivals import rivals, with_neighbours
from pipeline.evaluation.spectral.spectrum import binned, power

MEMBER = np.array([[1.0, 0, 1, 0], [1, 1, 0, 0]])
SAID = np.array([[0.9, 0.8, 0.6, 0.1], [0.7, 0.2, 0.3, 0.4]])


def test_measures_by_hand() -> None:
    found = measured(MEMBER, {"model": SAID, "sure": MEMBER, "never": np.zeros((2, 4))})
    # precision at each member, in the order of the probabilities: 1 and 2/3; 1 and 2/4
    assert found["test/average_precision"] == pytest.approx(((1 + 2 / 3) / 2 + (1 + 2 / 4) / 2) / 2)
    # pairs of a member and another star in the right order: 3 of 4; 2 of 4
    assert found["test/membership_auc"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    likelihood = np.log([0.9, 0.2, 0.6, 0.9, 0.7, 0.2, 0.7, 0.6])
    assert found["test/nll_nats"] == pytest.approx(-likelihood.mean())
    # 4 members, 4 stars called so: 0.9, 0.8, 0.6 and 0.7, of which 3 are
    assert (found["test/completeness_percent"], found["test/purity_percent"]) == (75, 75)
    assert found["baseline/sure/average_precision"] == found["baseline/sure/membership_auc"] == 1
    assert (found["baseline/never/completeness_percent"], found["baseline/never/purity_percent"]) == (0, 0)
    assert found["test/average_precision_low"] <= found["test/average_precision"]


def test_neighbours_of_the_eigenbasis_are_those_of_the_graph() -> None:
    fields = arrays(mock_fields(2))
    for position, eigenvalues, basis in zip(fields["position"], fields["eigenvalues"], fields["basis"], strict=True):
        matrix = weights(position)
        np.testing.assert_allclose(adjacency(eigenvalues, basis) * matrix.sum(), matrix, atol=1e-4)
    found = with_neighbours(fields)
    for position, signal, both in zip(fields["position"], fields["signal"], found, strict=True):
        matrix = weights(position)
        np.testing.assert_allclose(both[:, :2], signal)
        np.testing.assert_allclose(both[:, 2:], matrix @ signal / matrix.sum(1, keepdims=True), atol=1e-3)


def test_the_power_of_an_eigenvector_is_at_its_eigenvalue() -> None:
    eigenvalues, basis = np.linalg.eigh(normalised_laplacian(np.random.default_rng(0).uniform(-1, 1, (60, 2))))
    wave = basis[:, 30] + 5.0  # whose mean is taken away
    centred = basis[:, 30] - basis[:, 30].mean()
    expected = np.square(basis.T @ centred) / np.square(centred).sum()  # Parseval
    found = power(wave[None], basis[None])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.argmax() == 30 and found.sum() == pytest.approx(1)
    x, y = binned(eigenvalues, eigenvalues**2, 20)
    first = eigenvalues[:3]
    assert len(x) == 20 and (x[0], y[0]) == pytest.approx((first.mean(), np.square(first).mean()))


def test_odds_are_those_of_normalised_densities() -> None:
    """f σ / ∫ σ over (1 - f) / 4 in a square of area 4, with the integral by quadrature."""
    x, y, core, share = 0.2, -0.1, 0.3, 0.4
    total = dblquad(lambda v, u: 1 / (1 + ((u - x) ** 2 + (v - y) ** 2) / core**2), -1, 1, -1, 1)[0]
    place = np.array([[x, y], [x + core, y]])
    expected = np.log(np.array([1, 1 / 2]) / total * share / ((1 - share) / 4))
    np.testing.assert_allclose(log_odds(np.array([x, y, np.log(core), logit(share)]), place), expected, atol=0.01)


def test_a_king_fit_finds_the_cluster() -> None:
    """Stars drawn by rejection from a profile of known centre, radius and share."""
    rng = np.random.default_rng(3)
    field, tried = rng.uniform(-1, 1, (300, 2)), rng.uniform(-1, 1, (30_000, 2))
    cluster = tried[rng.random(30_000) < profile(np.hypot(*(tried - (0.3, -0.2)).T), 0.1)][:300]
    assert len(cluster) == 300
    stars = np.concatenate([field, cluster])
    x, y, log_core, log_share = fitted(stars, logit(0.3))
    assert (x, y) == pytest.approx((0.3, -0.2), abs=0.03)
    assert np.exp(log_core) == pytest.approx(0.1, rel=0.3) and log_share == pytest.approx(0, abs=0.3)
    odds = king_log_odds(7 * stars[None], 0.3)[0]  # in any unit of length
    assert odds[300:].mean() > 0.5 > -0.5 > odds[:300].mean()


def test_rivals_that_know_more_do_better() -> None:
    train, test = arrays(mock_fields(120)), arrays(mock_fields(30, seed=1))
    probability = rivals(train, test)
    found = measured(test["member"], {"model": test["member"], **probability})
    score = {who: found[f"baseline/{who}/average_precision"] for who in probability}
    assert score["star_alone"] < score["star_and_neighbours"] < score["king_profile_and_star"]
    assert score["king_profile"] < score["king_profile_and_star"] < 1
