"""The fixed-digit writer against Python's own formatting."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.nbody.trajectory_csv import LARGEST, csv_rows

numbers = st.floats(-LARGEST, LARGEST, exclude_min=True, exclude_max=True)


def rows_of(
    x: np.ndarray, v: np.ndarray, mass: np.ndarray | None = None, first: int = 0, dt: float = 0.1
) -> list[list[str]]:
    time = np.round(np.arange(x.shape[1]) * dt, 12)
    text = bytes(csv_rows(first, time, x, v, mass)).decode()
    assert text.endswith("\n")
    return [line.split(",") for line in text.splitlines()]


@settings(max_examples=200, deadline=None)
@given(st.lists(numbers, min_size=6, max_size=6))
@example([0.0, 0.0, 0.0, 0.0, 0.0, 4503.8510358742205])  # 10^12 times it is beyond 2^52
def test_each_number_is_right_to_twelve_decimals(values: list[float]) -> None:
    state = np.array(values).reshape(1, 1, 1, 6)
    (row,) = rows_of(state[..., :3], state[..., 3:])
    for text, value in zip(row[3:], values, strict=True):
        # Half a unit of the last decimal, and what scaling by 10^12 rounds off.
        assert abs(Decimal(text) - Decimal(value)) <= Decimal("0.5001e-12") + abs(Decimal(value)) * Decimal("1.2e-16")
        whole, decimals = text.lstrip("-").split(".")
        assert len(decimals) == 12 and whole == str(int(whole))
        assert text.startswith("-") == (value < 0)


def test_numbers_equal_python_s_formatting() -> None:
    """But for ties: a number that ends in a 5 at the thirteenth decimal may round to either side."""
    state = np.random.default_rng(0).standard_normal((500, 11, 5, 6))
    texts = np.array([row[3:] for row in rows_of(state[..., :3], state[..., 3:])]).ravel()
    python = np.array([f"{value:.12f}" for value in state.ravel()])
    assert (texts == python).mean() > 0.999
    assert np.abs(texts.astype(float) - python.astype(float)).max() < 1.001e-12


def test_carry_runs_through_all_digits() -> None:
    x = np.array([9.9999999999999, -0.9999999999999, 99.99999999999999]).reshape(1, 1, 1, 3)
    (row,) = rows_of(x, np.zeros_like(x))
    assert row[3:] == ["10.000000000000", "-1.000000000000", "100.000000000000"] + ["0.000000000000"] * 3


def test_order_of_rows_numbers_times_and_masses() -> None:
    x = np.zeros((2, 4, 3, 3))
    mass = np.array([[0.25, 0.5, 0.75], [1.25, 1.5, 1.75]])
    rows = rows_of(x, x, mass, first=9)
    assert [row[:3] for row in rows] == [
        [str(k), str(i), t] for k in (9, 10) for t in ("0.0", "0.1", "0.2", "0.3") for i in range(3)
    ]
    assert [float(row[9]) for row in rows] == [mass[k, i] for k in range(2) for _ in range(4) for i in range(3)]
    assert len(rows_of(x, x)[0]) == 9


def test_large_counts() -> None:
    x = np.zeros((2, 1, 1234, 3))
    rows = rows_of(x, x, first=999_999_999)
    assert rows[1233][:2] == ["999999999", "1233"]
    assert rows[1234][:2] == ["1000000000", "0"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -LARGEST, 1e300])
def test_a_number_that_does_not_fit_is_an_error(value: float) -> None:
    x = np.zeros((1, 1, 2, 3))
    x[0, 0, 1, 2] = value
    for places in ((x, np.zeros_like(x)), (np.zeros_like(x), x)):
        with pytest.raises(OverflowError):
            csv_rows(0, np.zeros(1), *places, None)
