"""Bootstrap intervals against the normal theory of means."""

import numpy as np
import pytest

from pipeline.evaluation.common.bootstrap import interval, scored


def test_mean_of_many_rows() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = interval(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == (pytest.approx(values.mean() - half, abs=0.03), pytest.approx(values.mean() + half, abs=0.03))
    assert interval(values) == (low, high), "the same seed gives the same ends"


def test_rows_of_a_group_are_drawn_together() -> None:
    """Four equal rows a group tell no more than one: the interval is twice that of as many free rows."""
    values = np.random.default_rng(0).normal(size=100).repeat(4)
    low, high = interval(values, groups=np.arange(100).repeat(4))
    free_low, free_high = interval(values)
    assert high - low == pytest.approx(2 * (free_high - free_low), rel=0.1)


def test_model_and_rivals() -> None:
    found = scored("error_gyr", {"model": [1.0, 2.0, 6.0], "mean": [3.0, 4.0, 5.0]}, np.median)
    assert found == {
        "test/error_gyr": 2.0,
        "test/error_gyr_low": 1.0,
        "test/error_gyr_high": 6.0,
        "baseline/mean/error_gyr": 4.0,
    }
