"""The time of an engine at an energy error between two that were measured."""

import numpy as np
import pytest

from benchmarks import nbody_accuracy
from benchmarks.nbody_accuracy import Bracket, around
from pipeline.errors import InputError


def test_a_power_law_is_met_exactly() -> None:
    """An engine of order four: its time grows as the fourth root of what it leaves falls."""
    bracket = Bracket((1e-4, 1e-3), (2e-6, 3e-5))
    tighter, looser = (error**-0.25 for error in bracket.errors)
    assert bracket.seconds(1e-5, tighter, looser) == pytest.approx(1e-5**-0.25)


def test_tolerances_on_either_side_of_a_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that jump at a tolerance of 3e-5, as an order does, from 2e-6 to 4e-5."""
    monkeypatch.setattr(nbody_accuracy, "percentile99", lambda engine, system, at: 2e-6 if at < 3e-5 else 4e-5)
    nothing = np.zeros(0), np.zeros(0), np.zeros(0)
    bracket = around(nbody_accuracy.hermite6, nothing, 1e-5)
    assert bracket.errors == (2e-6, 4e-5)
    assert bracket.tolerances == (pytest.approx(3e-5, rel=0.01), pytest.approx(3e-5, rel=0.01))
    assert bracket.tolerances[0] < 3e-5 <= bracket.tolerances[1]
    with pytest.raises(InputError, match="asked 1e-08"):
        around(nbody_accuracy.hermite6, nothing, 1e-8)
