"""How fast exact N-body data is made: systems a second at one energy error, beside heyoka and REBOUND's IAS15.

A part of benchmarks.nbody_speed. Five stars of the course, softened, through ten outputs. Each engine runs at the two
tolerances on either side of the energy error that is asked of 99 of 100 systems, and its time at that error is
interpolated between them: heyoka (Biscani & Izzo 2021) integrates Taylor series in SIMD batches, and their order, a
whole number, makes its errors jump. IAS15 (Rein & Spiegel 2015) is exact to round-off by default. All run in turn, in
CPU time of one core.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.nbody_race import DT, SOFTENING, STEPS, Times, parameters, race, ratio
from benchmarks.results import Row
from pipeline.errors import InputError
from pipeline.nbody.trajectories import start
from pipeline.simulation.nbody.gravity import invariants
from pipeline.simulation.nbody.hermite6 import integrate_adaptively
from pipeline.simulation.nbody.integrators import integrate

Array = NDArray[np.float64]
Engine = Callable[
    [Array, Array, Array, float], Array
]  # x, v, mass, tolerance -> states (systems, outputs + 1, stars, 6)

ASKED = (1e-5, 1e-8)  # relative energy error, of the 99th percentile
GOAL = 3.0  # times heyoka
HALVINGS = 12  # of the range of tolerances, by their logarithm
LARGEST, SMALLEST = 1e-2, 1e-13  # tolerances
SIDES = ("tighter", "looser")
SYSTEMS, FEW = 8000, 1000  # of the engines; of the slow one


def accuracy(rounds: int, quick: bool) -> list[Row]:
    """What the generator leaves by default, and all engines at the errors asked for."""
    os.environ["NUMBA_NUM_THREADS"] = "1"
    systems = 64 if quick else SYSTEMS
    rows = by_default(systems)
    for asked in ASKED:
        rows += at_error(asked, systems, rounds)
    return rows


# --- engines ---------------------------------------------------------------------------------------------------------


def hermite6(x: Array, v: Array, mass: Array, tolerance: float) -> Array:
    """The generator's default."""
    path = integrate_adaptively(x, v, mass, dt=DT, steps=STEPS, step_error=tolerance, softening=SOFTENING)
    return np.concatenate(path[:2], axis=-1)


def force_gradient4(x: Array, v: Array, mass: Array, tolerance: float) -> Array:
    """In fixed steps, as many as the fourth order needs for the tolerance."""
    substeps = round(tolerance**-0.25)
    return np.concatenate(integrate(x, v, mass, dt=DT, steps=STEPS, substeps=substeps, softening=SOFTENING), axis=-1)


class Heyoka:
    """Taylor series of the softened equations in batches of SIMD lanes; one compiled integrator a tolerance."""

    def __init__(self, stars: int, mass: float) -> None:
        try:
            import heyoka
        except ImportError as error:
            raise InputError(f"{error}: the rival of this benchmark; pip install heyoka") from error
        self.heyoka, self.lanes = heyoka, heyoka.recommended_simd_size()
        self.equations = equations(heyoka, stars, mass)
        self.compiled: dict[float, Any] = {}

    def __call__(self, x: Array, v: Array, mass: Array, tolerance: float) -> Array:
        """States at the outputs."""
        systems, stars, _ = x.shape
        if tolerance not in self.compiled:
            empty = np.zeros((6 * stars, self.lanes))
            self.compiled[tolerance] = self.heyoka.taylor_adaptive_batch(self.equations, empty, tol=tolerance)
        integrator = self.compiled[tolerance]
        times = np.repeat(DT * np.arange(STEPS + 1)[:, None], self.lanes, 1)
        starts = np.concatenate([x.reshape(systems, -1), v.reshape(systems, -1)], 1)
        states = np.empty((systems, STEPS + 1, 6 * stars))
        for first in range(0, systems, self.lanes):
            integrator.set_time([0.0] * self.lanes)
            integrator.state[:] = starts[first : first + self.lanes].T
            states[first : first + self.lanes] = integrator.propagate_grid(times)[1].transpose(2, 0, 1)
        places, velocities = np.split(states.reshape(systems, STEPS + 1, 2, stars, 3), 2, axis=2)
        return np.concatenate([places[:, :, 0], velocities[:, :, 0]], axis=-1)


def equations(heyoka: Any, stars: int, mass: float) -> list[tuple[Any, Any]]:
    """Softened gravity, each pair written once."""
    x = [heyoka.make_vars(*(f"{axis}{i}" for axis in "xyz")) for i in range(stars)]
    v = [heyoka.make_vars(*(f"v{axis}{i}" for axis in "xyz")) for i in range(stars)]
    pulls: list[list[list[Any]]] = [[[], [], []] for _ in range(stars)]
    for i in range(stars):
        for j in range(i + 1, stars):
            d = [x[j][c] - x[i][c] for c in range(3)]
            weight = mass * heyoka.sum([d[0] ** 2, d[1] ** 2, d[2] ** 2, heyoka.expression(SOFTENING**2)]) ** -1.5
            for c in range(3):
                pulls[i][c].append(weight * d[c])
                pulls[j][c].append(-weight * d[c])
    places = [(x[i][c], v[i][c]) for i in range(stars) for c in range(3)]
    return places + [(v[i][c], heyoka.sum(pulls[i][c])) for i in range(stars) for c in range(3)]


def ias15(x: Array, v: Array, mass: Array, tolerance: float) -> Array:
    """REBOUND from Python, a simulation after the other; its ε is the tolerance, 1e-9 by default."""
    import rebound

    states = np.empty((len(x), STEPS + 1, x.shape[1], 6))
    for s in range(len(x)):
        simulation = rebound.Simulation()
        simulation.integrator, simulation.softening = "ias15", SOFTENING
        simulation.integrator.epsilon = tolerance
        for m, place, velocity in zip(mass[s], x[s], v[s], strict=True):
            simulation.add(m=m, x=place[0], y=place[1], z=place[2], vx=velocity[0], vy=velocity[1], vz=velocity[2])
        for t in range(STEPS + 1):
            simulation.integrate(t * DT)
            states[s, t] = [particle.xyz + particle.vxyz for particle in simulation.particles]
    return states


@dataclass(frozen=True)
class Bracket:
    """Two tolerances of an engine, and what they give.

    Attributes:
        tolerances: the tighter and the looser.
        errors: 99th percentiles of the relative energy error at them.
    """

    tolerances: tuple[float, float]
    errors: tuple[float, float]

    def seconds(self, asked: float, tighter: float, looser: float) -> float:
        """Time at the error asked for, on the straight line between the logarithms."""
        return float(np.exp(np.interp(np.log(asked), np.log(self.errors), np.log([tighter, looser]))))

    def note(self) -> str:
        """Both, in words."""
        (tight, loose), (within, beyond) = self.tolerances, self.errors
        return f"between tolerance {tight:.3g}, error {within:.3g}, and {loose:.3g}, {beyond:.3g}"


# --- measuring -------------------------------------------------------------------------------------------------------


def percentile99(engine: Engine, system: tuple[Array, Array, Array], tolerance: float) -> float:
    """Of the largest relative energy error at an output."""
    states = np.ascontiguousarray(engine(*system, tolerance))
    x, v = np.ascontiguousarray(states[..., :3]), np.ascontiguousarray(states[..., 3:])
    energy = invariants(x, v, system[2][:, None], SOFTENING).energy
    return float(np.quantile(np.abs(energy / energy[:, :1] - 1).max(1), 0.99))


def around(engine: Engine, system: tuple[Array, Array, Array], asked: float) -> Bracket:
    """The tolerances, a few per cent or a jump of the engine's own apart, on either side of the error asked for.

    Raises:
        InputError: the engine reaches no such error.
    """
    low, high = np.log(SMALLEST), np.log(LARGEST)
    within, beyond = (percentile99(engine, system, float(np.exp(tolerance))) for tolerance in (low, high))
    if not within <= asked < beyond:
        raise InputError(f"99th percentile of the energy error: {within:.3g} to {beyond:.3g}, asked {asked:g}")
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        error = percentile99(engine, system, float(np.exp(middle)))
        if error <= asked:
            low, within = middle, error
        else:
            high, beyond = middle, error
    return Bracket((float(np.exp(low)), float(np.exp(high))), (within, beyond))


def at_error(asked: float, systems: int, rounds: int) -> list[Row]:
    """All engines at the same error."""
    many = start(parameters({"n_simulations": systems}), range(systems))
    few = many.x[:FEW], many.v[:FEW], many.mass[:FEW]
    engines: dict[str, tuple[Engine, tuple[Array, Array, Array]]] = {
        "ours": (hermite6, many),
        "heyoka": (Heyoka(many.x.shape[1], float(many.mass[0, 0])), many),
        "force_gradient4, fixed steps": (force_gradient4, many),
        "IAS15": (ias15, few),
    }
    brackets = {name: around(engine, system, asked) for name, (engine, system) in engines.items()}
    timed = {
        f"{name}, {side}": (partial(discarded, engine, system, tolerance), len(system[0]))
        for name, (engine, system) in engines.items()
        for side, tolerance in zip(SIDES, brackets[name].tolerances, strict=True)
    }
    measured = race(timed, rounds, time.process_time)
    times = {
        name: [
            bracket.seconds(asked, *pair) for pair in zip(*(measured[f"{name}, {side}"] for side in SIDES), strict=True)
        ]
        for name, bracket in brackets.items()
    }
    return rows_of(asked, times, brackets)


def discarded(engine: Engine, system: tuple[Array, Array, Array], tolerance: float) -> None:
    """Run an engine for its time."""
    engine(*system, tolerance)


def rows_of(asked: float, times: Times, brackets: dict[str, Bracket]) -> list[Row]:
    """Systems a second of each engine, and how many times faster ours is."""
    work = f"99 of 100 systems within {asked:g}"
    rows = [
        Row(f"{work}: {name}", 1 / statistics.median(seconds), "systems/s", None, None, "higher", brackets[name].note())
        for name, seconds in times.items()
    ]
    goals = {"heyoka": GOAL, "force_gradient4, fixed steps": None, "IAS15": None}
    return rows + [
        Row(f"{work}: ours / {name}", ratio(times, name), "x", None, goal, "higher") for name, goal in goals.items()
    ]


def by_default(systems: int) -> list[Row]:
    """Energy errors of what `dvc repro` generates."""
    nbody = parameters({"n_simulations": systems})
    error = percentile99(hermite6, start(nbody, range(systems)), nbody.step_error)
    note = f"{nbody.integrator}, step_error {nbody.step_error:g}; reference: force_gradient4 of 20 substeps"
    before = percentile99(force_gradient4, start(nbody, range(systems)), 20.0**-4)
    return [Row("99th percentile of the energy error by default", error, "", before, 1e-5, "lower", note)]
