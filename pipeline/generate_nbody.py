"""Simulates many systems of stars and writes their paths.

Reads the section nbody of params.yaml; writes data/nbody/trajectories.csv and reports/nbody.json.
"""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file
from pipeline.params import NBody, Runtime, load_params

if TYPE_CHECKING:
    import numpy as np

    from pipeline.simulation.animation import StarFilm
    from pipeline.simulation.integrators import Trajectories

TRAJECTORIES = Path("data/nbody/trajectories.csv")
SUMMARY = Path("reports/nbody.json")
BLOCK_ROWS = 200_000  # rows computed at once: bounds the memory
CODE = (
    "generate_nbody.py", "trajectories.py",
    "simulation/gravity.py", "simulation/initial_conditions.py", "simulation/integrators.py",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Generate the trajectories, or show them."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.generate_nbody", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    parser.add_argument("--live", action="store_true", help="show the stars moving before the rest is computed")
    parser.add_argument(
        "--animate", nargs=2, metavar=("K", "FILE"), help="only draw simulation K as FILE, a .gif or .mp4"
    )
    args = parser.parse_args(argv)
    params = load_params(args.params)
    if args.animate:
        animate(params.nbody, *args.animate)
        return
    if args.live or params.runtime.plot_real_time:
        from pipeline.simulation.animation import show

        show(lambda k, figure: film(params.nbody, k, figure), params.nbody.n_simulations)
    generate(params.nbody, params.runtime)


def generate(nbody: NBody, runtime: Runtime) -> None:
    """Simulate the blocks that no earlier run has left behind, then put all blocks together."""
    import joblib
    from rich.console import Console
    from rich.progress import track

    scratch = Path("runs/generate_nbody").resolve() / _fingerprint(nbody)
    scratch.mkdir(parents=True, exist_ok=True)
    size = max(1, BLOCK_ROWS // (nbody.n_stars * (nbody.steps + 1)))
    blocks = [range(first, min(first + size, nbody.n_simulations)) for first in range(0, nbody.n_simulations, size)]
    parts = [scratch / f"{block.start:09d}.csv" for block in blocks]
    todo = [(block, part) for block, part in zip(blocks, parts, strict=True) if not part.exists()]
    with _backend(runtime, len(todo)):
        done = joblib.Parallel(return_as="generator_unordered")(
            joblib.delayed(simulate_block)(nbody, block, part) for block, part in todo
        )
        for _ in track(done, "simulating", len(todo), console=Console(stderr=True), disable=len(todo) < 2):
            pass

    with atomic_file(TRAJECTORIES) as temporary, temporary.open("wb") as out:
        out.write(_header(nbody).encode())
        for part in parts:
            with part.open("rb") as rows:
                shutil.copyfileobj(rows, out, 1 << 20)
    if nbody.parquet:
        import polars as pl

        with atomic_file(TRAJECTORIES.with_suffix(".parquet")) as temporary:
            pl.scan_csv(TRAJECTORIES).sink_parquet(temporary, row_group_size=BLOCK_ROWS)
    with atomic_file(SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary(nbody, parts), indent=2, allow_nan=False) + "\n")
    shutil.rmtree(scratch)


def simulate(nbody: NBody, simulations: range) -> "tuple[Trajectories, np.ndarray]":
    """Trajectories and masses of the given simulations."""
    from pipeline.simulation.initial_conditions import draw
    from pipeline.simulation.integrators import integrate_to_tolerance

    x, v, mass = draw(
        nbody.seed,
        simulations,
        stars=nbody.n_stars,
        profile=nbody.initial_conditions,
        king_w0=nbody.king_w0,
        fractal_dimension=nbody.fractal_dimension,
        mass_function=nbody.mass_function,
        mass_segregation=nbody.mass_segregation,
        virial_ratio=nbody.virial_ratio,
        softening=nbody.softening,
        G=nbody.G,
    )
    trajectories = integrate_to_tolerance(
        x,
        v,
        mass,
        tolerance=nbody.tolerance,
        dt=nbody.dt,
        steps=nbody.steps,
        substeps=nbody.substeps,
        softening=nbody.softening,
        G=nbody.G,
        integrator=nbody.integrator,
    )
    return trajectories, mass


def simulate_block(nbody: NBody, block: range, part: Path) -> None:
    """Simulate the systems numbered ``block``; leave their rows in ``part`` and their errors beside it.

    Raises:
        InputError: a close encounter made the numbers run away.
    """
    import numpy as np

    from pipeline.trajectories import csv_rows

    _announce_compilation()
    try:
        paths, mass = simulate(nbody, block)
        with atomic_file(part.with_suffix(".npz")) as temporary:
            np.savez(temporary, allow_pickle=False, **errors(paths))
        time = np.round(np.arange(nbody.steps + 1) * nbody.dt, 12)
        outputs = max(1, BLOCK_ROWS // nbody.n_stars)  # of one large system at a time
        with atomic_file(part) as temporary, temporary.open("wb") as rows:
            for now in (slice(first, first + outputs) for first in range(0, len(time), outputs)):
                mass_column = None if nbody.mass_function == "equal" else mass
                rows.write(csv_rows(block.start, time[now], paths.x[:, now], paths.v[:, now], mass_column).data)
    except (FloatingPointError, ValueError) as error:
        which = f"simulations {block.start} to {block.stop - 1}"
        raise InputError(f"nbody: {which}: {error}; raise nbody.softening or nbody.substeps") from error


def errors(paths: "Trajectories") -> "dict[str, np.ndarray]":
    """Of each simulation: the largest errors at any output, the closest pair there, and its substeps."""
    import numpy as np

    def drift(conserved: np.ndarray) -> np.ndarray:
        return np.linalg.norm(conserved - conserved[:, :1], axis=-1).max(1)

    return {
        "energy": paths.energy_error,
        "momentum": drift(paths.invariants.momentum),
        "angular_momentum": drift(paths.invariants.angular_momentum),
        "closest": paths.invariants.closest.min(1),
        "substeps": paths.substeps,
    }


def summary(nbody: NBody, parts: list[Path]) -> dict[str, Any]:
    """What the run conserved and how close stars came, over all simulations at the output times."""
    import numpy as np

    loaded = [np.load(part.with_suffix(".npz")) for part in parts]
    of = {key: np.concatenate([errors[key] for errors in loaded]) for key in loaded[0]}
    names = {
        "energy": "relative energy error",
        "momentum": "momentum error",
        "angular_momentum": "angular momentum error",
    }
    quantiles = {"median": 0.5, "p99": 0.99, "max": 1.0}
    report: dict[str, Any] = {
        name: {label: float(f"{np.quantile(of[key], q):.6g}") for label, q in quantiles.items()}
        for key, name in names.items()
    }
    report["simulations"] = len(of["energy"])
    report["closest approach"] = float(f"{of['closest'].min():.6g}")
    report["redone with finer steps"] = int((of["substeps"] > nbody.substeps).sum())
    if nbody.tolerance is not None:
        missed = np.flatnonzero(of["energy"] > nbody.tolerance)
        report["tolerance missed"] = len(missed)
        report["simulations that missed it"] = missed.tolist()
        if len(missed):
            print(f"warning: {len(missed)} simulations miss nbody.tolerance; {SUMMARY} lists them", file=sys.stderr)
    return report


def film(nbody: NBody, k: int, figure: Any = None) -> "StarFilm":
    """Film of simulation ``k`` through all its internal steps."""
    from pipeline.simulation.animation import StarFilm

    substeps = int(simulate(nbody, range(k, k + 1))[0].substeps[0])
    fine = nbody.model_copy(update={"dt": nbody.dt / substeps, "substeps": 1, "tolerance": None})
    paths, mass = simulate(fine, range(k, k + 1))
    return StarFilm(paths.x[0], paths.v[0], mass[0], nbody.t_end, f"Simulation {k}: {nbody.n_stars} stars", figure)


def animate(nbody: NBody, number: str, file: str) -> None:
    """Draw one simulation as a film.

    Raises:
        InputError: there is no such simulation, or the file is neither .gif nor .mp4.
    """
    if not number.isdecimal() or int(number) >= nbody.n_simulations:
        raise InputError(f"--animate {number}: no such simulation; choose 0 to {nbody.n_simulations - 1}")
    if Path(file).suffix not in (".gif", ".mp4"):
        raise InputError(f"--animate {file}: the name must end in .gif or .mp4")
    if Path(file).suffix == ".mp4" and not shutil.which("ffmpeg"):
        raise InputError(f"--animate {file}: .mp4 needs the program ffmpeg; install it or choose .gif")
    from pipeline.simulation.animation import save

    with atomic_file(Path(file)) as temporary:
        save(film(nbody, int(number)), temporary)


@contextmanager
def _backend(runtime: Runtime, jobs: int) -> Iterator[None]:
    """Where joblib runs the blocks: this machine's cores, or a Dask cluster.

    The cluster is the one at DASK_SCHEDULER_ADDRESS, whose workers see this folder; else one on this machine.

    Raises:
        InputError: there is no such backend, or its package is missing.
    """
    import joblib

    if runtime.parallel_backend == "loky" or jobs < 2:
        with joblib.parallel_config("loky", n_jobs=max(1, min(runtime.workers, jobs))):
            yield
    elif runtime.parallel_backend == "dask":
        try:
            from distributed import Client
        except ImportError as error:
            raise InputError("runtime.parallel_backend: no dask here; pip install 'dask[distributed]'") from error
        with Client(n_workers=runtime.workers, threads_per_worker=1), joblib.parallel_config("dask"):
            yield
    else:
        raise InputError(f"runtime.parallel_backend is {runtime.parallel_backend!r}; choose loky or dask")


def _announce_compilation() -> None:
    """Say so when numba compiles a kernel instead of loading it from its cache."""
    from numba.core import event

    class Announcement(event.Listener):
        def on_start(self, _: Any) -> None:
            event.unregister("numba:compile", self)
            print("compiling the N-body kernels for this machine; they are cached", file=sys.stderr)

        def on_end(self, _: Any) -> None:
            pass

    event.register("numba:compile", Announcement())


def _header(nbody: NBody) -> str:
    from pipeline.trajectories import HEADER

    return HEADER + ("" if nbody.mass_function == "equal" else ",mass") + "\n"


def _fingerprint(nbody: NBody) -> str:
    """Hash of everything that the bytes depend on."""
    digest = hashlib.sha256(nbody.model_dump_json().encode())
    for name in CODE:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    run(main)
