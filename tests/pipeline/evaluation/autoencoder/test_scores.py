"""The area under the curve against counting pairs, its interval against a formula, and scores against scipy."""

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from scipy.ndimage import laplace
from sklearn.metrics import auc as area

from pipeline.evaluation.autoencoder.scores import Kind, auc, auc_interval, auc_metrics, roc_table, trivial_scores


def kind(values: ArrayLike) -> Kind:
    """Each picture of a patient of its own."""
    scores = np.asarray(values, dtype=np.float64)
    return Kind(scores, [str(k) for k in range(len(scores))])


OWN, OTHER = np.array([1.0, 4.0, 6.0]), np.array([2.0, 5.0, 6.0, 8.0])


def test_auc_counts_pairs() -> None:
    expected = np.mean([float(b > a) + 0.5 * float(b == a) for a in OWN for b in OTHER])
    assert auc(OWN, OTHER) == pytest.approx(expected)
    assert auc(OWN / 1e6, OTHER / 1e6) == pytest.approx(expected)


def test_the_interval_is_that_of_a_normal_score() -> None:
    """Of many pictures it is as wide as DeLong's variance says (DeLong et al. 1988, Biometrics 44, 837)."""
    g = torch.Generator().manual_seed(0)
    own, other = torch.randn(300, generator=g), 1 + torch.randn(200, generator=g)
    larger = (other[None] > own[:, None]).double()
    error = (larger.mean(1).var() / 300 + larger.mean(0).var() / 200).sqrt()
    low, high = auc_interval(kind(own.numpy()), kind(other.numpy()))
    assert (high - low) / 2 == pytest.approx(1.96 * float(error), rel=0.1)
    assert (low + high) / 2 == pytest.approx(float(larger.mean()), abs=0.3 * float(error))
    assert auc_interval(kind(np.zeros(5)), kind(np.ones(5))) == (1, 1)
    assert auc_interval(kind(np.ones(5)), kind(np.ones(5))) == (0.5, 0.5), "a score that is the same for all"


def test_samples_of_patients() -> None:
    """Weights count pictures: each area is that of the pictures repeated so often; patients are drawn whole."""
    of_own, of_other = np.array([[2, 0, 1], [1, 1, 1]]), np.array([[0, 1, 3, 0], [1, 0, 0, 2]])
    expected = [auc(np.repeat(OWN, a), np.repeat(OTHER, b)) for a, b in zip(of_own, of_other, strict=True)]
    np.testing.assert_allclose(auc(OWN, OTHER, of_own, of_other), expected)
    own, other = kind(OWN), kind(OTHER)
    thrice = (Kind(np.tile(each.values, 3), 3 * list(each.patients)) for each in (own, other))
    assert auc_interval(*thrice) == pytest.approx(auc_interval(own, other))


def test_curves_enclose_the_area_that_is_stated() -> None:
    own, other = kind(OWN), kind(OTHER)
    scores = {"model": (own, other), "brightness": (other, own)}
    table, metrics = roc_table(scores), auc_metrics(scores)
    for (who,), curve in table.group_by("score"):
        key = "test/novelty_auc" if who == "model" else f"baseline/{who}/novelty_auc"
        assert area(curve["false_positive_rate"], curve["true_positive_rate"]) == pytest.approx(metrics[key])
    assert set(metrics) == {
        f"{k}{end}" for k in ("test/novelty_auc", "baseline/brightness/novelty_auc") for end in ("", "_low", "_high")
    }


def test_trivial_scores() -> None:
    pictures = torch.rand(3, 1, 9, 7, generator=torch.Generator().manual_seed(0))
    found = trivial_scores(pictures)
    for k, picture in enumerate(pictures[:, 0].numpy()):
        edges = laplace(picture)[1:-1, 1:-1]
        expected = picture.mean(), picture.std(), np.square(edges).mean()
        assert [float(score[k]) for score in found.values()] == pytest.approx(expected, rel=1e-5)
