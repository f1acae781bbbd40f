"""Integration to a tolerance against REBOUND's IAS15, and what it redoes."""

import numpy as np
import pytest
from star_systems import ias15, random_systems

from pipeline.simulation.nbody import initial_conditions, tolerance
from pipeline.simulation.nbody.gravity import invariants
from pipeline.simulation.nbody.tolerance import integrate_to_tolerance


@pytest.mark.parametrize("integrator", ["force_gradient4", "hermite6"])
def test_five_stars_follow_ias15(integrator: str) -> None:
    """50 random systems that have no encounter closer than the softening."""
    x, v, mass = random_systems(200)
    result = integrate_to_tolerance(
        x,
        v,
        mass,
        tolerance=1e-9,
        dt=0.01,
        steps=100,
        substeps=4,
        step_error=1e-4,
        integrator=integrator,
        softening=0.1,
    )
    calm = np.flatnonzero(result.invariants.closest.min(1) > 0.1)[:50]
    assert len(calm) == 50
    assert result.energy_error.max() < 1e-9
    for k in calm:
        exact = ias15(x[k], v[k], mass[k], 0.1, np.arange(0, 1.05, 0.1))
        np.testing.assert_allclose(result.x[k, ::10], exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("integrator", ["force_gradient4", "hermite6"])
def test_plummer_sphere_follows_ias15(integrator: str) -> None:
    x, v, mass = initial_conditions.draw(
        1, range(1), stars=200, profile="plummer", king_w0=6.0, fractal_dimension=2.0, mass_function="equal",
        mass_segregation=0.0, virial_ratio=None, softening=0.1, G=1.0,
    )  # fmt: skip
    result = integrate_to_tolerance(
        x, v, mass, tolerance=1e-9, dt=0.1, steps=10, substeps=8, step_error=1e-4, integrator=integrator, softening=0.1
    )
    np.testing.assert_allclose(result.x[0], ias15(x[0], v[0], mass[0], 0.1, np.arange(11) * 0.1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("integrator", ["force_gradient4", "hermite6"])
def test_tolerance_redoes_only_what_misses_it(integrator: str) -> None:
    x, v, mass = random_systems(100)
    settings = {"dt": 0.1, "steps": 10, "substeps": 10, "softening": 0.1, "step_error": 1e-3, "integrator": integrator}
    first = integrate_to_tolerance(x, v, mass, tolerance=None, **settings)
    result = integrate_to_tolerance(x, v, mass, tolerance=1e-5, **settings)
    good = first.energy_error <= 1e-5
    assert 0 < good.sum() < 100
    assert (result.redone == 0).tolist() == good.tolist()
    assert (result.substeps[~good] > first.substeps[~good]).all()
    assert result.energy_error.max() <= 1e-5
    np.testing.assert_array_equal(result.x[good], first.x[good])
    energy = invariants(result.x, result.v, mass[:, None], 0.1).energy
    np.testing.assert_array_equal(result.energy_error, np.abs(energy / energy[:, :1] - 1).max(1))


def test_tolerance_out_of_reach_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tolerance, "MOST_SUBSTEPS", 8)
    monkeypatch.setattr(tolerance, "LEAST_STEP_ERROR", 1e-6)
    x, v, mass = random_systems(20)
    settings = {"dt": 0.1, "steps": 10, "substeps": 1, "step_error": 5e-5, "softening": 0.1}
    result = integrate_to_tolerance(x, v, mass, tolerance=1e-13, integrator="leapfrog", **settings)
    assert (result.substeps == 8).all()
    assert (result.energy_error > 1e-13).all()
    result = integrate_to_tolerance(x, v, mass, tolerance=1e-13, integrator="hermite6", **settings)
    assert (result.redone == 0).all(), "half the step would go below the least error"
    assert (result.energy_error > 1e-13).all()
