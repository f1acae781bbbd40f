"""Simulates star systems: reads ``nbody`` of params.yaml, writes data/nbody/trajectories.csv and reports/nbody.json.

Done blocks of simulations wait in runs/generate_nbody/, so that a killed run goes on where it was.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import run
from pipeline.outputs import atomic_file
from pipeline.params import NBody, Runtime, load_params

if TYPE_CHECKING:
    import numpy as np

TRAJECTORIES = Path("data/nbody/trajectories.csv")
SUMMARY = Path("reports/nbody.json")
BLOCK_ROWS = 250_000  # rows of the CSV worked on at once: bounds the memory
CODE = ("generate_nbody.py", "simulation/gravity.py", "simulation/integrators.py", "simulation/initial_conditions.py")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.generate_nbody", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: params.yaml)")
    arguments = parser.parse_args(argv)
    params = load_params(arguments.params)
    generate(params.nbody, params.runtime)


def generate(nbody: NBody, runtime: Runtime) -> None:
    """Simulate everything that no earlier run has left behind, then put the blocks together."""
    import joblib
    import numpy as np
    from rich.console import Console
    from rich.progress import track

    scratch = Path("runs/generate_nbody") / _fingerprint(nbody)
    scratch.mkdir(parents=True, exist_ok=True)
    size = max(1, BLOCK_ROWS // (nbody.n_stars * (nbody.n_outputs + 1)))
    blocks = [range(first, min(first + size, nbody.n_simulations)) for first in range(0, nbody.n_simulations, size)]
    files = [scratch / f"{block.start:09d}.csv" for block in blocks]
    todo = [(block, file) for block, file in zip(blocks, files, strict=True) if not file.exists()]
    with joblib.parallel_config(backend=runtime.parallel_backend, n_jobs=min(runtime.workers, max(1, len(todo)))):
        jobs = (joblib.delayed(simulate_block)(nbody, block, file) for block, file in todo)
        done = joblib.Parallel(return_as="generator_unordered")(jobs)
        for _ in track(done, "simulating", total=len(todo), console=Console(stderr=True), disable=len(todo) < 2):
            pass

    summaries = [np.load(file.with_suffix(".npz")) for file in files]
    summary = {key: np.concatenate([part[key] for part in summaries]) for key in summaries[0]}
    with atomic_file(TRAJECTORIES) as path, path.open("wb") as out:
        out.write(b"N_sim,N_star,time_step,x,y,z,vx,vy,vz\n")
        for file in files:
            with file.open("rb") as part:
                shutil.copyfileobj(part, out, 1 << 20)
    with atomic_file(SUMMARY) as path:
        path.write_text(json.dumps(_report(summary), indent=2, allow_nan=False) + "\n")
    shutil.rmtree(scratch)


def simulate_block(nbody: NBody, block: range, file: Path) -> None:
    """Simulate the systems numbered ``block``; write their rows and their errors."""
    import numpy as np
    import polars as pl

    from pipeline.simulation.gravity import closest_approach, total_energy
    from pipeline.simulation.initial_conditions import course
    from pipeline.simulation.integrators import integrate

    seeds = (np.random.SeedSequence(nbody.seed, spawn_key=(k,)) for k in block)
    x0, v0, mass = (np.stack(s) for s in zip(*(course(np.random.default_rng(seed), nbody.n_stars) for seed in seeds), strict=True))
    x, v = integrate(
        x0, v0, mass, dt=nbody.dt, steps=nbody.n_outputs, substeps=nbody.substeps,
        softening=nbody.softening, G=nbody.G, integrator=nbody.integrator,
    )  # fmt: skip
    mass = mass[:, None, :]
    energy = total_energy(x, v, mass, nbody.softening, nbody.G)
    momentum = np.einsum("...i,...ic->...c", np.broadcast_to(mass, x.shape[:-1]), v)
    spin = np.einsum("...i,...ic->...c", np.broadcast_to(mass, x.shape[:-1]), np.cross(x, v))
    with atomic_file(file.with_suffix(".npz")) as path:
        np.savez(
            path,
            energy=np.abs(energy / energy[:, :1] - 1).max(1),
            momentum=np.linalg.norm(momentum - momentum[:, :1], axis=-1).max(1),
            angular_momentum=np.linalg.norm(spin - spin[:, :1], axis=-1).max(1),
            closest=closest_approach(x).min(1),
        )
    time = np.round(np.arange(nbody.n_outputs + 1) * nbody.dt, 12)
    shape = x.shape[:-1]
    columns: dict[str, np.ndarray] = {
        "N_sim": np.broadcast_to(np.arange(block.start, block.stop)[:, None, None], shape).ravel(),
        "N_star": np.broadcast_to(np.arange(nbody.n_stars), shape).ravel(),
        "time_step": np.broadcast_to(time[:, None], shape).ravel(),
    }
    columns |= {name: x[..., c].ravel() for c, name in enumerate("xyz")}
    columns |= {f"v{name}": v[..., c].ravel() for c, name in enumerate("xyz")}
    with atomic_file(file) as path:
        pl.DataFrame(columns).write_csv(path, include_header=False)


def _report(errors: "dict[str, np.ndarray]") -> dict[str, object]:
    """Summary of the run; errors are the largest at any output time of a simulation."""
    import numpy as np

    report: dict[str, object] = {"simulations": len(errors["energy"])}
    for key, name in {
        "energy": "relative energy error",
        "momentum": "momentum error",
        "angular_momentum": "angular momentum error",
    }.items():
        values = errors[key]
        report[name] = {
            "median": _digits(np.median(values)), "p99": _digits(np.quantile(values, 0.99)), "max": _digits(values.max())
        }  # fmt: skip
    report["closest approach"] = _digits(errors["closest"].min())
    return report


def _digits(value: float) -> float:
    return float(f"{value:.7g}")


def _fingerprint(nbody: NBody) -> str:
    """Hash of everything that the bytes depend on."""
    digest = hashlib.sha256(nbody.model_dump_json().encode())
    for name in CODE:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    run(main)
