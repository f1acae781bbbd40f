"""The Hermite integrator of sixth order against Kepler's ellipse, conservation laws and its own scalar twin."""

from typing import Any

import numpy as np
import pytest
from star_systems import PERIOD, kepler, random_systems

from pipeline.simulation.nbody import hermite6
from pipeline.simulation.nbody.gravity import LANE_STARS, accelerations, invariants
from pipeline.simulation.nbody.hermite6 import integrate_adaptively, velocity2

SETTINGS: dict[str, Any] = {"dt": 0.1, "steps": 10, "step_error": 5e-5, "softening": 0.1}


def energy_error(path: Any, mass: np.ndarray, softening: float = 0.1) -> np.ndarray:
    energy = invariants(*(np.ascontiguousarray(part) for part in path[:2]), mass[:, None], softening).energy
    return np.abs(energy / energy[:, :1] - 1).max(1)


def orbit(eccentricity: float, step_error: float) -> tuple[float, float, int]:
    """After one orbit, which must end where it began: distance from there, energy error, and number of steps."""
    x, v, mass = kepler(eccentricity)
    settings = {"dt": PERIOD / 100, "steps": 100, "step_error": step_error, "softening": 0.0}
    path = integrate_adaptively(x[None], v[None], mass[None], **settings)
    return float(np.abs(path[0][0, -1] - x).max()), float(energy_error(path, mass[None], 0.0)[0]), int(path[2][0])


def test_the_error_falls_with_the_sixth_power_of_the_step() -> None:
    coarse, fine = orbit(0.9, 1e-6), orbit(0.9, 1e-12)
    order = np.log(coarse[0] / fine[0]) / np.log(fine[2] / coarse[2])
    assert order == pytest.approx(6, abs=0.6)


def test_steps_follow_the_motion() -> None:
    """At its pericentre an ellipse of eccentricity 0.99 turns 1400 times faster than on average."""
    circle, ellipse = orbit(0.0, 1e-8), orbit(0.99, 1e-8)
    assert ellipse[1] < 1e-6
    assert ellipse[2] < 10 * circle[2]


def test_a_broken_corrector_has_a_lower_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the snap's part only fourth order is left (a larger system, whose formulas are not compiled in)."""
    monkeypatch.setattr(hermite6, "LANE_STARS", 1)
    whole = hermite6._corrected.py_func

    def broken(h, x, v, a, j, s, new_a, new_j, new_s):  # type: ignore[no-untyped-def]
        return whole(h, x, v, a, j, 0 * s, new_a, new_j, 0 * new_s)

    right = orbit(0.9, 1e-8)
    monkeypatch.setattr(hermite6, "_corrected", broken)
    assert orbit(0.9, 1e-8)[0] > 100 * right[0]


def test_ninety_nine_of_a_hundred_keep_their_energy_to_1e_minus_5() -> None:
    x, v, mass = random_systems(2000)
    error = energy_error(integrate_adaptively(x, v, mass, **SETTINGS), mass)
    assert np.quantile(error, 0.99) < 1e-5


def test_momentum_is_kept_to_round_off_and_angular_momentum_to_the_order() -> None:
    x, v, mass = random_systems(100)
    path = integrate_adaptively(x, v + 1, mass, **SETTINGS)
    conserved = invariants(*(np.ascontiguousarray(part) for part in path[:2]), mass[:, None], 0.1)
    assert np.abs(conserved.momentum - conserved.momentum[:, :1]).max() < 1e-12
    assert np.abs(conserved.angular_momentum - conserved.angular_momentum[:, :1]).max() < 1e-4


@pytest.mark.parametrize("stars", [5, LANE_STARS + 1])
def test_a_system_moves_the_same_alone_and_among_others(stars: int) -> None:
    """Also where a lane has to wait for its second system."""
    x, v, mass = random_systems(70, stars)
    together = integrate_adaptively(x, v, mass, **SETTINGS | {"steps": 2})
    assert together[2].dtype == np.int64, "numbers of steps"
    for k in (0, 66, 69):
        alone = integrate_adaptively(x[k : k + 1], v[k : k + 1], mass[k : k + 1], **SETTINGS | {"steps": 2})
        for whole, part in zip(together, alone, strict=True):
            np.testing.assert_array_equal(whole[k : k + 1], part)


def test_lanes_and_larger_systems_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    x, v, mass = random_systems(20)
    lanes = integrate_adaptively(x, v, mass, G=0.8, **SETTINGS)
    monkeypatch.setattr(hermite6, "LANE_STARS", 1)
    large = integrate_adaptively(x, v, mass, G=0.8, **SETTINGS)
    for one, other in zip(lanes, large, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


def test_derivatives_are_those_of_the_motion() -> None:
    """Acceleration by gravity.py; jerk and snap by its differences along a parabola of known acceleration."""
    x, v, mass = random_systems(1)
    b, eps = accelerations(x, mass, 0.1), 1e-4

    def a(t: float) -> np.ndarray:
        return accelerations(x + v * t + b * t * t / 2, mass, 0.1)[0].T

    found = hermite6._snaps(x[0].T.copy(), v[0].T.copy(), b[0].T.copy(), mass[0], 0.01)
    expected = a(0.0), (a(eps) - a(-eps)) / (2 * eps), (a(eps) - 2 * a(0.0) + a(-eps)) / eps**2
    for one, other, tolerance in zip(found, expected, (1e-12, 1e-4, 1e-3), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * np.abs(other).max())


def test_the_scale_of_velocities_is_that_of_the_whole_energy() -> None:
    x, v, mass = random_systems(3)
    m = mass / 2
    kinetic = 0.5 * (m * (v * v).sum(-1)).sum(1)
    total = invariants(x, v, m, 0.1, G=3.0).energy
    np.testing.assert_allclose(velocity2(x, v, 3.0 * m, 0.1), 2 * (2 * kinetic - total) / m.sum(1), rtol=1e-12)


def test_stars_may_start_at_rest() -> None:
    x, v, mass = random_systems(64)
    assert np.median(energy_error(integrate_adaptively(x, 0 * v, mass, **SETTINGS), mass)) < 1e-5


def test_a_first_step_that_is_too_long_is_repeated() -> None:
    """All in one output, whose first step would jump past encounters."""
    x, v, mass = random_systems(64)
    whole = integrate_adaptively(x, v, mass, **SETTINGS | {"dt": 10.0, "steps": 1})
    assert np.median(energy_error(whole, mass)) < 1e-4


def test_meeting_without_softening_is_an_error() -> None:
    x, v, mass = np.zeros((1, 2, 3)), np.zeros((1, 2, 3)), np.ones((1, 2))
    with pytest.raises(FloatingPointError, match="softening"):
        integrate_adaptively(x, v, mass, **SETTINGS | {"softening": 0.0})
    integrate_adaptively(x, v, mass, **SETTINGS)
