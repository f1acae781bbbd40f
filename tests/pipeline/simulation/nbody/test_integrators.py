"""Integrators of fixed steps against closed orbits and conservation laws.

Every law is also shown to be broken by a broken integrator.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from star_systems import PERIOD, kepler, random_systems

from pipeline.simulation.nbody import integrators
from pipeline.simulation.nbody.gravity import LANE_STARS, invariants
from pipeline.simulation.nbody.integrators import INTEGRATORS, SCHEMES, integrate

ORDER = {"leapfrog": 2, "yoshida4": 4, "force_gradient4": 4, "hermite4": 4}


# --- laws --------------------------------------------------------------------------------------------


def order_of_convergence(integrator: str) -> float:
    """Error after one eccentric orbit, which must end where it began, at two step lengths."""
    x, v, mass = kepler(0.4)

    def error(substeps: int) -> float:
        path = integrate(x, v, mass, dt=PERIOD, steps=1, substeps=substeps, softening=0.0, integrator=integrator)
        return float(np.abs(path[0][1] - x).max())

    return float(np.log2(error(400) / error(800)))


def energy_growth(integrator: str) -> float:
    """Largest energy error in the last hundred of 1000 orbits over that in the first hundred."""
    x, v, mass = kepler(0.4)
    path = integrate(x, v, mass, dt=PERIOD / 20, steps=20_000, substeps=10, softening=0.0, integrator=integrator)
    energy = invariants(*path, mass, 0.0).energy
    error = np.abs(energy / energy[0] - 1)
    return float(error[-2000:].max() / error[:2000].max())


def error_of_return(integrator: str) -> float:
    """Distance from the start after going forward, turning all velocities, and going on."""
    x, v, mass = random_systems(8)
    settings = {"dt": 0.5, "steps": 1, "substeps": 100, "softening": 0.1, "integrator": integrator}
    forth = integrate(x, v, mass, **settings)
    back = integrate(forth[0][:, -1], -forth[1][:, -1], mass, **settings)
    return float(np.abs(back[0][:, -1] - x).max())


def drift(integrator: str) -> tuple[float, float]:
    """Largest change of momentum and of angular momentum."""
    x, v, mass = random_systems(100)
    path = integrate(x, v + 1, mass, dt=0.1, steps=10, substeps=10, softening=0.1, integrator=integrator)
    conserved = invariants(*path, mass[:, None], 0.1)
    momentum, spin = conserved.momentum, conserved.angular_momentum
    return float(np.abs(momentum - momentum[:, :1]).max()), float(np.abs(spin - spin[:, :1]).max())


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_order_of_convergence(integrator: str) -> None:
    assert order_of_convergence(integrator) == pytest.approx(ORDER[integrator], abs=0.2)


@pytest.mark.parametrize("integrator", SCHEMES)
def test_energy_is_bounded_over_1000_orbits(integrator: str) -> None:
    assert energy_growth(integrator) < 1.05


@pytest.mark.parametrize("integrator", SCHEMES)
def test_symplectic_schemes_are_reversible(integrator: str) -> None:
    assert error_of_return(integrator) < 1e-11


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_momentum_and_angular_momentum(integrator: str) -> None:
    momentum, spin = drift(integrator)
    assert momentum < 1e-12
    if integrator in ("leapfrog", "yoshida4"):
        assert spin < 1e-11  # to round-off; the others keep it to their own order


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        ({"kicks": (0.51,)}, lambda: abs(order_of_convergence("leapfrog") - 2) < 0.2),
        ({"drifts": (1.01,)}, lambda: abs(order_of_convergence("leapfrog") - 2) < 0.2),
        ({"first_kick": 0.0, "kicks": (1.0,)}, lambda: error_of_return("leapfrog") < 1e-11),
        ({"displacements": (-0.02,)}, lambda: energy_growth("leapfrog") < 1.05),
        ({"displacements": (0.1,)}, lambda: drift("leapfrog")[1] < 1e-11),
    ],
)
def test_a_broken_scheme_breaks_the_laws(
    broken: dict[str, object], law: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert law()
    monkeypatch.setitem(SCHEMES, "leapfrog", SCHEMES["leapfrog"]._replace(**broken))
    assert not law()


def test_broken_fourth_order_scheme_has_second_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "force_gradient4", SCHEMES["force_gradient4"]._replace(displacements=(0.0, 0.0, 0.0)))
    assert order_of_convergence("force_gradient4") == pytest.approx(2, abs=0.2)


# --- the same motion by other arithmetic ---------------------------------------------------------------


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_lanes_tiles_and_torch_agree(integrator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, v, mass = random_systems(3)
    settings = {"dt": 0.1, "steps": 3, "substeps": 10, "softening": 0.1, "G": 0.8, "integrator": integrator}
    lanes = integrate(x, v, mass, **settings)
    tensors = integrate(torch.tensor(x), torch.tensor(v), torch.tensor(mass), **settings)
    monkeypatch.setattr(integrators, "LANE_STARS", 1)
    tiles = integrate(x, v, mass, **settings)
    for k in range(2):
        np.testing.assert_allclose(tiles[k], lanes[k], rtol=0, atol=1e-12)
        np.testing.assert_allclose(tensors[k].numpy(), lanes[k], rtol=0, atol=1e-12)


def test_torch_path_can_be_differentiated() -> None:
    x, v, mass = (torch.tensor(a[0]) for a in random_systems(1))
    v.requires_grad_()
    path, _ = integrate(x, v, mass, dt=0.01, steps=1, softening=0.1)
    path[-1].sum().backward()
    assert v.grad is not None
    torch.testing.assert_close(v.grad, torch.full_like(v, 0.01), rtol=1e-2, atol=0)  # sum x = sum v dt, to first order


# --- the same bits whatever the company ----------------------------------------------------------------


@pytest.mark.parametrize("stars", [5, LANE_STARS + 1])
def test_a_system_moves_the_same_alone_and_among_others(stars: int) -> None:
    x, v, mass = random_systems(70, stars)
    settings = {"dt": 0.1, "steps": 2, "substeps": 2, "softening": 0.1}
    together = integrate(x, v, mass, **settings)
    alone = integrate(x[66:67], v[66:67], mass[66:67], **settings)
    for whole, part in zip(together, alone, strict=True):
        np.testing.assert_array_equal(whole[66:67], part)


@pytest.mark.slow
def test_bits_depend_neither_on_threads_nor_on_who_compiled(tmp_path: Path) -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from pipeline.simulation.nbody.hermite6 import integrate_adaptively\n"
        "from pipeline.simulation.nbody.integrators import integrate\n"
        "for stars, systems in ((5, 2000), (500, 1), (700, 1)):\n"
        "    x, v = np.random.default_rng(0).standard_normal((2, systems, stars, 3))\n"
        "    for integrator in ('force_gradient4', 'hermite4'):\n"
        "        settings = dict(dt=0.1, steps=2, substeps=3, softening=0.1, integrator=integrator)\n"
        "        path = integrate(x, v, 1 / stars, **settings)\n"
        "        print(hashlib.sha256(np.ascontiguousarray(path).tobytes()).hexdigest())\n"
        "    path = integrate_adaptively(x, v, 1 / stars, dt=0.1, steps=2, step_error=1e-4, softening=0.1)\n"
        "    print(hashlib.sha256(b''.join(np.ascontiguousarray(part).tobytes() for part in path)).hexdigest())"
    )
    outputs = set()
    for threads in ("1", "2"):  # the first one compiles, the second finds the kernels in the cache
        settings = {"NUMBA_NUM_THREADS": threads, "NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", code]
        outputs.add(subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, check=True).stdout)
    assert len(outputs) == 1


# --- mistakes ------------------------------------------------------------------------------------------


def test_meeting_without_softening_is_an_error() -> None:
    x, v, mass = np.zeros((2, 3)), np.zeros((2, 3)), np.ones(2)
    with pytest.raises(FloatingPointError, match="softening"):
        integrate(x, v, mass, dt=1.0, steps=2, softening=0.0)
    integrate(x, v, mass, dt=1.0, steps=2, softening=0.1)
