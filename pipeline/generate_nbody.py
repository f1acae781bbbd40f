"""Simulates many systems of stars and writes their paths.

Reads the section nbody of params.yaml; writes data/synthetic/nbody/trajectories.csv (or .parquet), units.json beside
it, which holds the physics that the numbers obey, and reports/nbody.json, how well they do.
"""

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import InputError, run, warn
from pipeline.nbody.initial_file import sized
from pipeline.nbody.size import check_size
from pipeline.nbody.trajectories import BLOCK_ROWS, MOST_ENERGY_ERROR, equal_mass, film, simulate_block, summary, units
from pipeline.nbody.trajectory_parquet import write_parquet
from pipeline.outputs import atomic_file, atomic_folder, fingerprint, link
from pipeline.parallel import in_parallel
from pipeline.settings.load import load_params
from pipeline.settings.nbody import NBody
from pipeline.settings.runtime import Runtime

FOLDER = Path("data/synthetic/nbody")
SUMMARY = Path("reports/nbody.json")
ROWS, JOURNAL = "rows.csv", "rows.json"  # in runs/: the growing file, and [blocks, bytes] of it that are whole
CODE = (  # what the rows depend on
    "inputs/amuse.py",
    "inputs/star_tables.py",
    "inputs/star_units.py",
    "nbody",
    "simulation/clusters/mass_function.py",
    "simulation/nbody/gravity.py",
    "simulation/nbody/hermite6.py",
    "simulation/nbody/initial_conditions.py",
    "simulation/nbody/integrators.py",
    "simulation/nbody/tolerance.py",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Generate the trajectories, or show them."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.generate_nbody", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    parser.add_argument("--live", action="store_true", help="first show the stars of some simulations in a window")
    parser.add_argument(
        "--animate", nargs=2, metavar=("K", "FILE"), help="only draw simulation K as FILE, a .gif or .mp4"
    )
    args = parser.parse_args(argv)
    params = load_params(args.params)
    nbody = sized(params.nbody)
    if args.animate:
        animate(nbody, *args.animate)
        return
    if args.live or params.runtime.plot_real_time:
        from pipeline.simulation.nbody.animation import show

        show(lambda k, figure: film(nbody, k, figure), nbody.n_simulations)
    generate(nbody, params.runtime)


def generate(nbody: NBody, runtime: Runtime) -> None:
    """Simulate block after block and append their rows, from where an earlier run was stopped."""
    code = [Path(__file__).parent / name for name in CODE]
    if nbody.initial_conditions == "file":
        code.append(Path(nbody.initial_file))
    check_size(nbody, BLOCK_ROWS, Path())
    scratch = Path("runs/generate_nbody").resolve() / fingerprint(nbody.model_dump_json(), code)
    scratch.mkdir(parents=True, exist_ok=True)
    size = max(1, BLOCK_ROWS // (nbody.n_stars * (nbody.steps + 1)))
    blocks = [range(first, min(first + size, nbody.n_simulations)) for first in range(0, nbody.n_simulations, size)]
    parts = [scratch / f"{block.start:09d}.csv" for block in blocks]
    simulate_all(nbody, blocks, parts, scratch, runtime)
    publish(nbody, scratch / ROWS)
    report = summary(nbody, parts)
    with atomic_file(SUMMARY) as temporary:
        temporary.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if report.get("tolerance_missed"):
        warn(f"{report['tolerance_missed']} simulations miss nbody.tolerance; {SUMMARY}")
    if (worst := report["relative_energy_error"]["max"]) > MOST_ENERGY_ERROR:
        warn(f"the largest relative energy error is {worst:.2g}, kept by nbody.tolerance: null; see {SUMMARY}")
    shutil.rmtree(scratch)


def simulate_all(nbody: NBody, blocks: list[range], parts: list[Path], scratch: Path, runtime: Runtime) -> None:
    """Simulate the blocks that the growing CSV lacks, and append each to it in its turn.

    Raises:
        InputError: workers on other machines do not see ``scratch``.
    """
    with open_rows(scratch, nbody) as (rows, appended):
        todo = [
            (block, part) for block, part in zip(blocks[appended:], parts[appended:], strict=True) if not part.exists()
        ]
        done = in_parallel(simulate_block, [(nbody, *job) for job in todo], runtime, "simulating")
        for k in range(appended, len(parts)):
            while not parts[k].exists():
                if next(done, None) is None:
                    raise InputError(f"{scratch}: the workers do not write here; they must share this folder")
            append(parts[k], rows, k + 1)
        for _ in done:  # ends the progress bar
            pass


def publish(nbody: NBody, rows: Path) -> None:
    """Let data/synthetic/nbody appear whole: the rows as ``nbody.format`` says, and the physics that they obey."""
    physics = units(nbody)
    with atomic_folder(FOLDER) as folder:
        if nbody.format == "parquet":
            import polars as pl

            write_parquet(pl.scan_csv(rows), physics, folder / "trajectories.parquet")
        else:
            link(rows, folder / "trajectories.csv")
        (folder / "units.json").write_text(json.dumps(asdict(physics), indent=2) + "\n", encoding="utf-8")


@contextmanager
def open_rows(scratch: Path, nbody: NBody) -> Iterator[tuple[BinaryIO, int]]:
    """The growing CSV, cut to what its journal vouches for, and the number of blocks in it."""
    journal, path = scratch / JOURNAL, scratch / ROWS
    appended, length = json.loads(journal.read_text("utf-8")) if journal.exists() else (0, 0)
    if not path.exists() or path.stat().st_size < length:  # it is lost
        appended, length = 0, 0
    with path.open("r+b" if path.exists() else "w+b") as rows:
        rows.truncate(length)
        rows.seek(length)
        if not length:
            columns = "N_sim,N_star,time_step,x,y,z,vx,vy,vz"
            rows.write((columns + (",mass\n" if equal_mass(nbody) is None else "\n")).encode())
        yield rows, appended


def append(part: Path, rows: BinaryIO, appended: int) -> None:
    """Move a block's rows to the end of the growing CSV; note that it then holds ``appended`` blocks."""
    buffer = memoryview(bytearray(1 << 20))
    with part.open("rb", buffering=0) as source:
        while length := source.readinto(buffer):
            rows.write(buffer[:length])
    rows.flush()
    with atomic_file(part.parent / JOURNAL) as temporary:
        temporary.write_text(json.dumps([appended, rows.tell()]), encoding="utf-8")
    part.unlink()


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
    from pipeline.simulation.nbody.animation import save

    with atomic_file(Path(file)) as temporary:
        save(film(nbody, int(number)), temporary)


if __name__ == "__main__":
    run(main)
