"""How fast exact N-body data is made: systems a second at one energy error, beside heyoka and REBOUND's IAS15.

Five stars of the course, softened, through ten outputs. The tolerance of each engine is the largest at which 99 of 100
systems keep their energy as well as asked; then all run in turn, round by round; a time is CPU time of one core.
heyoka (Biscani & Izzo 2021) integrates Taylor series in SIMD batches, IAS15 (Rein & Spiegel 2015) to round-off.
Run it on a quiet machine, in an environment with heyoka (`pip install heyoka`): python -m benchmarks.nbody_accuracy
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.nbody_speed import DT, SOFTENING, STEPS, Times, parameters, race, ratio
from benchmarks.results import Row, write_results
from pipeline.errors import InputError, run
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
FEW = 40  # systems of the slow engine


def main() -> None:
    """Find the tolerances, measure and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nbody_accuracy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of every comparison (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="few systems: does it run? writes no file")
    args = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = "1"
    rounds, systems = (1, 64) if args.quick else (args.rounds, 8000)
    rows = by_default(systems)
    for asked in ASKED:
        rows += at_error(asked, systems, rounds)
    write_results("nbody_accuracy", rows, args.quick)


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
    """REBOUND from Python, a simulation after the other; it knows no tolerance as coarse."""
    import rebound

    states = np.empty((len(x), STEPS + 1, x.shape[1], 6))
    for s in range(len(x)):
        simulation = rebound.Simulation()
        simulation.integrator, simulation.softening = "ias15", SOFTENING
        for m, place, velocity in zip(mass[s], x[s], v[s], strict=True):
            simulation.add(m=m, x=place[0], y=place[1], z=place[2], vx=velocity[0], vy=velocity[1], vz=velocity[2])
        for t in range(STEPS + 1):
            simulation.integrate(t * DT)
            states[s, t] = [particle.xyz + particle.vxyz for particle in simulation.particles]
    return states


# --- measuring -------------------------------------------------------------------------------------------------------


def percentile99(engine: Engine, system: tuple[Array, Array, Array], tolerance: float) -> float:
    """Of the largest relative energy error at an output."""
    states = np.ascontiguousarray(engine(*system, tolerance))
    x, v = np.ascontiguousarray(states[..., :3]), np.ascontiguousarray(states[..., 3:])
    energy = invariants(x, v, system[2][:, None], SOFTENING).energy
    return float(np.quantile(np.abs(energy / energy[:, :1] - 1).max(1), 0.99))


def loosest(engine: Engine, system: tuple[Array, Array, Array], asked: float) -> float:
    """The largest tolerance, to a few per cent, whose 99th percentile is what is asked."""
    low, high = np.log(SMALLEST), np.log(LARGEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if percentile99(engine, system, float(np.exp(middle))) <= asked else (low, middle)
    return float(np.exp(low))


def at_error(asked: float, systems: int, rounds: int) -> list[Row]:
    """All engines at the tolerances that give one error."""
    system = start(parameters({"n_simulations": systems}), range(systems))
    few = system.x[:FEW], system.v[:FEW], system.mass[:FEW]
    engines: dict[str, Engine] = {
        "ours": hermite6,
        "heyoka": Heyoka(system.x.shape[1], float(system.mass[0, 0])),
        "force_gradient4, fixed steps": force_gradient4,
    }
    tolerances = {name: loosest(engine, system, asked) for name, engine in engines.items()}
    timed = {name: (partial(discarded, engine, system, tolerances[name]), systems) for name, engine in engines.items()}
    timed["IAS15"] = (partial(discarded, ias15, few, 0.0), FEW)
    times = race(timed, rounds, time.process_time)
    errors = {name: percentile99(engine, system, tolerances[name]) for name, engine in engines.items()}
    return rows_of(asked, times, tolerances, errors)


def discarded(engine: Engine, system: tuple[Array, Array, Array], tolerance: float) -> None:
    """Run an engine for its time."""
    engine(*system, tolerance)


def rows_of(asked: float, times: Times, tolerances: dict[str, float], errors: dict[str, float]) -> list[Row]:
    """Systems a second of each engine, and how many times faster ours is."""
    work, rows = f"99 of 100 systems within {asked:g}", []
    for name, seconds in times.items():
        note = (
            f"tolerance {tolerances[name]:.3g}, 99th percentile {errors[name]:.3g}" if name in errors else "round-off"
        )
        rows.append(Row(f"{work}: {name}", 1 / statistics.median(seconds), "systems/s", None, None, "higher", note))
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


if __name__ == "__main__":
    run(main)
