"""How fast N-body data is made: this generator against a script, numpy, torch, REBOUND and heyoka, in one process.

All engines of a comparison run in turn, round by round; a value is the median over the rounds. Run it on a quiet
machine, in an environment with heyoka (`pip install heyoka`): python -m benchmarks.nbody_speed
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import nbody_rivals as rivals
from benchmarks.chain import ROOT, changed_parameters
from benchmarks.nbody_accuracy import accuracy
from benchmarks.nbody_race import DT, SOFTENING, STEPS, Engine, Times, parameters, race, ratio
from benchmarks.results import Row, write_results
from pipeline import generate_nbody
from pipeline.errors import run
from pipeline.nbody.trajectories import BLOCK_ROWS, simulate
from pipeline.nbody.trajectory_csv import write_rows
from pipeline.settings.load import load_params
from pipeline.simulation.nbody.gravity import invariants
from pipeline.simulation.nbody.integrators import integrate

COURSE_MASS = 4.0
FLOP_PER_PAIR = 20


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nbody_speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of every comparison (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run? writes no file")
    args = parser.parse_args()
    rounds, quick = (1, True) if args.quick else (args.rounds, False)
    rows = with_csv(rounds, quick) + small_systems(rounds, quick)
    for stars in (100,) if quick else (1000, 10_000):
        rows += large_system(stars, rounds if stars <= 1000 else max(1, rounds // 2), quick)
    rows += share_of_peak(rounds, quick) + csv_writers(rounds, quick) + memory(quick) + accuracy(rounds, quick)
    write_results("nbody_speed", rows, quick)


# --- measuring -------------------------------------------------------------------------------------------


def compared(work: str, times: Times, goals: dict[str, float | None], unit: str, scale: float) -> list[Row]:
    """A row for our own speed and one for each rival."""
    own = statistics.median(times["ours"]) * scale
    rows = [Row(f"{work}: time", own, unit, None, None, "lower")]
    for rival, goal in goals.items():
        note = f"{rival}: {statistics.median(times[rival]) * scale:.4g} {unit}"
        rows.append(Row(f"{work}: {rival} / ours", ratio(times, rival), "x", None, goal, "higher", note))
    return rows


def normal_start(systems: int, stars: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal positions and velocities."""
    x, v = np.random.default_rng(1).standard_normal((2, systems, stars, 3))
    return x, v


# --- comparisons -----------------------------------------------------------------------------------------


def small_systems(rounds: int, quick: bool) -> list[Row]:
    """N = 5, leapfrog at the output step, simulation only."""
    import torch

    many, few, turns = (200, 20, 1) if quick else (10_000, 500, 20)  # every engine runs some 0.1 s at a time
    x, v = normal_start(many, 5)
    tx, tv = torch.tensor(x), torch.tensor(v)
    force = rivals.torch_force(COURSE_MASS, SOFTENING)
    compiled = torch.compile(force)
    step = (DT, STEPS, SOFTENING)

    block = BLOCK_ROWS // (5 * (STEPS + 1))  # as the stage does: the memory of a block serves the next

    def ours() -> None:
        for first in turns * list(range(0, many, block)):
            some = slice(first, first + block)
            integrate(x[some], v[some], COURSE_MASS, dt=DT, steps=STEPS, softening=SOFTENING, integrator="leapfrog")

    engines: dict[str, tuple[Engine, float]] = {
        "ours": (ours, turns * many),
        "script": (lambda: discard(rivals.script(x[:few], v[:few], COURSE_MASS, *step, None)), few),
        "REBOUND from Python": (lambda: discard(rivals.rebound_batch(x[:few], v[:few], COURSE_MASS, *step)), few),
        "numpy": (lambda: rivals.numpy_batch(x, v, COURSE_MASS, *step), many),
        "torch": (lambda: discard(rivals.leapfrog(force, tx, tv, DT, STEPS)), many),
        "torch.compile": (lambda: discard(rivals.leapfrog(compiled, tx, tv, DT, STEPS)), many),
    }
    times = race(engines, rounds)
    goals = {"script": 500.0, "REBOUND from Python": 300.0, "numpy": None, "torch": None, "torch.compile": None}
    return compared(f"N = 5, {many} simulations, leapfrog, no file", times, goals, "us/simulation", 1e6)


def with_csv(rounds: int, quick: bool) -> list[Row]:
    """N = 5 to the CSV: the cost of one more simulation, start-up not counted."""
    few, many = (100, 300) if quick else (10_000, 60_000)
    by_script = 30 if quick else 1000
    x, v = normal_start(by_script, 5)
    course: dict[str, Any] = {"integrator": "leapfrog", "substeps": 1, "tolerance": None}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.csv"

        def script() -> None:
            rivals.script(x, v, COURSE_MASS, DT, STEPS, SOFTENING, path)

        for work, changes, goal in (("same leapfrog step", course, 80.0), ("energy error <= 1e-5", {}, 35.0)):
            engines: dict[str, tuple[Engine, float]] = {
                "few": (partial(generate, folder, changes | {"n_simulations": few}), 1),
                "many": (partial(generate, folder, changes | {"n_simulations": many}), 1),
                "script": (script, by_script),
            }
            times = race(engines, rounds)
            times["ours"] = [(b - a) / (many - few) for a, b in zip(times["few"], times["many"], strict=True)]
            rows += compared(f"N = 5 with the CSV, {work}", times, {"script": goal}, "us/simulation", 1e6)
    return [*rows, *energy_errors(200 if quick else 10_000)]


def energy_errors(systems: int) -> list[Row]:
    """Median of the largest relative energy error at an output: ours by default, the script's."""
    nbody = parameters({"n_simulations": systems})
    ours = simulate(nbody, range(systems))[0]
    x, v = ours.x[:300, 0], ours.v[:300, 0]
    saved = rivals.script(x, v, COURSE_MASS, DT, STEPS, SOFTENING, None)
    energy = invariants(saved[..., :3], saved[..., 3:], COURSE_MASS, SOFTENING).energy
    script = float(np.median(np.abs(energy / energy[:, :1] - 1).max(1)))
    note = f"{nbody.integrator}, {nbody.substeps} substeps; reference: the script's leapfrog at dt"
    return [Row("N = 5: median energy error", float(np.median(ours.energy_error)), "", script, 1e-5, "lower", note)]


def large_system(stars: int, rounds: int, quick: bool) -> list[Row]:
    """One system, leapfrog: time of a force evaluation with its drift and kick."""
    import torch

    x, v = normal_start(1, stars)
    mass, dt = 1 / stars, 1e-3
    tx, tv = torch.tensor(x[0]), torch.tensor(v[0])
    eager = rivals.torch_gram_force(mass, SOFTENING)
    compiled = torch.compile(rivals.torch_force(mass, SOFTENING))
    steps, few = (3, 2) if quick else ((400, 40) if stars <= 1000 else (40, 4))
    basic = rivals.rebound_simulation(x[0], v[0], mass, dt, SOFTENING)
    tree = rivals.rebound_simulation(x[0], v[0], mass, dt, SOFTENING, "tree")

    def ours() -> None:
        integrate(x, v, mass, dt=dt * steps, steps=1, substeps=steps, softening=SOFTENING, integrator="leapfrog")

    # Kick-drift-kick evaluates once more than it steps, REBOUND's drift-kick-drift does not.
    times = race(
        {
            "ours": (ours, steps + 1),
            "REBOUND basic": (lambda: basic.steps(few), few),
            "REBOUND tree": (lambda: tree.steps(few), few),
            "script": (lambda: discard(rivals.script(x, v, mass, dt, 1, SOFTENING, None)), 2),
            "torch": (lambda: discard(rivals.leapfrog(eager, tx, tv, dt, few)), few + 1),
            "torch.compile": (lambda: discard(rivals.leapfrog(compiled, tx, tv, dt, few)), few + 1),
        },
        rounds,
    )
    goals = {"REBOUND basic": 7.0, "script": 180.0, "torch.compile": 1.3, "torch": None, "REBOUND tree": None}
    rows = compared(f"N = {stars}, leapfrog", times, goals, "ms/step", 1e3)
    speed = stars**2 / statistics.median(times["ours"]) / 1e9
    return [
        *rows,
        Row(f"N = {stars}, leapfrog: pairs", speed, "1e9/s", None, None, "higher", "directed pairs, N^2 a step"),
    ]


def share_of_peak(rounds: int, quick: bool) -> list[Row]:
    """Floating-point rate at 20 operations a directed pair over that of a matrix product, all cores."""
    stars, steps, size = (100, 3, 100) if quick else (3000, 200, 1500)
    x, v = normal_start(1, stars)
    matrix = np.random.default_rng(1).standard_normal((size, size))

    def peak() -> None:
        with threadpool_limits(os.cpu_count()):
            matrix @ matrix

    def ours() -> None:
        integrate(x, v, 1 / stars, dt=0.1, steps=1, substeps=steps, softening=SOFTENING, integrator="leapfrog")

    times = race({"peak": (peak, 2 * size**3), "ours": (ours, FLOP_PER_PAIR * stars**2 * (steps + 1))}, rounds)
    share = 100 / ratio(times, "ours", "peak")
    note = f"peak {1e-9 / statistics.median(times['peak']):.4g} GF: numpy's matrix product in the same run"
    return [Row(f"N = {stars}: share of the multiply-add peak", share, "%", None, 50.0, "higher", note)]


def csv_writers(rounds: int, quick: bool) -> list[Row]:
    """Rows of nine columns, in CPU time: polars formats on all cores, the stage runs a writer on each."""
    import polars as pl

    systems = 100 if quick else 20_000
    paths = simulate(parameters({"n_simulations": systems}), range(systems))[0]
    times_of = np.round(np.arange(STEPS + 1) * DT, 12)
    rows = systems * (STEPS + 1) * 5
    shape = paths.x.shape[:-1]
    columns: dict[str, Any] = {
        "N_sim": np.broadcast_to(np.arange(systems)[:, None, None], shape).ravel(),
        "N_star": np.broadcast_to(np.arange(5), shape).ravel(),
        "time_step": np.broadcast_to(times_of[:, None], shape).ravel(),
    }
    columns |= {name: paths.x[..., c].ravel() for c, name in enumerate("xyz")}
    columns |= {f"v{name}": paths.v[..., c].ravel() for c, name in enumerate("xyz")}
    frame = pl.DataFrame(columns)
    few = list(zip(*(column[: rows // 10].tolist() for column in columns.values()), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"

        def ours() -> None:
            with file.open("wb") as out:
                write_rows(out, 0, times_of, paths.x, paths.v, None)

        def by_csv_writer() -> None:
            with file.open("w", newline="") as out:
                writer = csv.writer(out)
                for row in few:
                    writer.writerow(row)

        times = race(
            {
                "ours": (ours, rows),
                "csv.writer": (by_csv_writer, len(few)),
                "polars": (lambda: frame.write_csv(file), rows),
                "polars, the same twelve decimals": (lambda: frame.write_csv(file, float_precision=12), rows),
            },
            rounds,
            clock=time.process_time,
        )
    goals = {"csv.writer": 20.0, "polars": None, "polars, the same twelve decimals": 3.0}
    return compared("CSV, CPU time", times, goals, "us/row", 1e6)


def memory(quick: bool) -> list[Row]:
    """Largest memory of the stage and its workers together for 10^7 rows, shared pages counted once."""
    import psutil

    simulations = 300 if quick else 181_819
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "params.yaml").write_text(changed_parameters({"nbody": {"n_simulations": simulations}}))
        command = [sys.executable, "-m", "pipeline.generate_nbody"]
        stage = subprocess.Popen(
            command, cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": ""}, stderr=subprocess.DEVNULL
        )
        process, largest = psutil.Process(stage.pid), 0
        while stage.poll() is None:
            try:
                family = [process, *process.children(recursive=True)]
                largest = max(largest, sum(member.memory_full_info().pss for member in family))
            except psutil.Error:
                pass  # one of them has just ended
            time.sleep(0.02)
        if stage.returncode:
            raise RuntimeError("the stage failed")
    return [Row(f"memory for {simulations * 55} rows", largest / 1e6, "MB", None, 600.0, "lower", "all processes")]


# --- the stage -------------------------------------------------------------------------------------------


def generate(folder: str, changes: dict[str, Any]) -> None:
    """Run the stage in this process, with workers that stay alive between runs."""
    import contextlib

    with contextlib.chdir(folder):
        generate_nbody.generate(parameters(changes), load_params(ROOT / "params.yaml").runtime)


def discard(_: Any) -> None:
    """Turn an expression into a statement."""


if __name__ == "__main__":
    run(main)
