"""Brings star systems to the contract: reads ``nbody.source``, what generate_nbody wrote or a table of yours.

It may be a folder of several tables, whose simulations are then numbered on. A table is a .csv, .parquet or AMUSE's
.hdf5, in the units ``nbody.units``. Writes data/nbody/trajectories.csv (or .parquet, as ``nbody.format`` says) and
data/nbody/units.json.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datamodules.trajectories import Systems, Units, at_rest, systems_by_stars, table_of
from datamodules.trajectory_file import BATCH_ROWS, ROW_BYTES, in_order, read_tables
from pipeline.errors import InputError, run, warn
from pipeline.inputs.generated import link_or_copy
from pipeline.inputs.star_tables import StarTable, metadata, read_star_table
from pipeline.inputs.star_units import NBODY, OURS
from pipeline.nbody.trajectory_parquet import write_parquet
from pipeline.outputs import atomic_folder
from pipeline.settings.load import load_params
from pipeline.settings.nbody import NBody

Array = NDArray[np.float64]

FOLDER = Path("data/nbody")
MOVED = 2.0  # factor by which steps may differ from what velocities say: wider than a close orbit needs
KEPT = 0.01  # relative change of the energy up to which a law of force is believed
WORDS = dict.fromkeys(OURS, "N-body unit")
LARGE = BATCH_ROWS * ROW_BYTES  # bytes of a table that is not read at once


def main(argv: Sequence[str] | None = None) -> None:
    """Import the trajectories from the source that params.yaml gives."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.import_nbody", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    import_trajectories(load_params(parser.parse_args(argv).params).nbody)


def import_trajectories(nbody: NBody) -> None:
    """Let data/nbody appear whole: as links to what generate_nbody wrote, or converted.

    Raises:
        InputError: the source is missing or no good.
    """
    source = Path(nbody.source)
    if not source.exists():
        raise InputError(f"{source}: no such table or folder; set nbody.source")
    if source.is_dir() and (source / "units.json").exists():
        with atomic_folder(FOLDER) as folder:
            for file in sorted(source.glob("*.*")):
                if file.name in ("units.json", "trajectories.csv", "trajectories.parquet"):
                    link_or_copy(file, folder / file.name)
        return
    found = large_table(source, nbody.units) or whole_tables(source, nbody.units)
    physics, own_frame, equal_masses = physics_of(found)
    for text in found.warnings:
        warn(f"{source}: {text}")
    told: Counter[int] = Counter()
    with atomic_folder(FOLDER) as folder:
        csv = folder / "trajectories.csv"
        with csv.open("wb") as rows:
            for systems in found.parts():
                told.update({group["position"].shape[2]: len(group["N_sim"]) for group in systems})
                frame = table_of(systems if own_frame else [at_rest(group)[0] for group in systems])
                frame = frame.drop("mass") if equal_masses else frame
                frame.write_csv(rows, include_header=not rows.tell())
        if nbody.format == "parquet":
            write_parquet(pl.scan_csv(csv), physics, csv.with_suffix(".parquet"))
            csv.unlink()
        (folder / "units.json").write_text(json.dumps(asdict(physics), indent=2) + "\n", encoding="utf-8")
    stars = ", ".join(f"{count} of {n} stars" for n, count in sorted(told.items()))
    print(f"{source}: {told.total()} simulations ({stars}), {systems[0]['time'].shape[1]} times -> {FOLDER}")


@dataclass(frozen=True)
class Found:
    """Systems of a source.

    Attributes:
        parts: gives them all, some whole simulations at a time, grouped by the number of stars; may be called again.
        law: what the source itself says of their physics; None: nothing.
        physical: whether their units are other than N-body units.
        warnings: what was left out or assumed.
    """

    parts: Callable[[], Iterable[list[Systems]]]
    law: Units | None
    physical: bool
    warnings: list[str]


def large_table(source: Path, units: str) -> Found | None:
    """A sorted table at the contract that is too long to be read at once; None: another one."""
    if not source.is_file() or source.stat().st_size < LARGE or units != NBODY or not in_order(source):
        return None

    def parts() -> Iterator[list[Systems]]:
        first = 0
        for table in read_tables(source):
            number = pl.col("N_sim").rank("dense").cast(pl.Int64) - 1 + first
            first += table["N_sim"].n_unique()
            yield systems_by_stars(table.with_columns(number.cast(pl.Float64)), str(source))

    law = metadata(source) if source.suffix == ".parquet" else None
    return Found(parts, law, physical=False, warnings=[])


def whole_tables(source: Path, units: str) -> Found:
    """One table of any kind, or those of a folder, in memory."""
    tables = [read_star_table(path, units, key="nbody.units") for path in tables_of(source)]
    systems = systems_by_stars(renumbered(tables), str(source))
    laws = {table.law for table in tables}
    physical = any(table.units.name != NBODY for table in tables)
    warnings = list(dict.fromkeys(text for table in tables for text in table.warnings))
    return Found(lambda: [systems], laws.pop() if len(laws) == 1 else None, physical, warnings)


def tables_of(source: Path) -> list[Path]:
    """The file, or those of a folder by name."""
    if source.is_file():
        return [source]
    found = [path for path in sorted(source.iterdir()) if path.is_file() and not path.name.startswith(".")]
    if not found:
        raise InputError(f"{source}: an empty folder; set nbody.source to a table or a folder of tables")
    return found


def renumbered(tables: list[StarTable]) -> pl.DataFrame:
    """The rows of all tables, their simulations numbered from 0 on, one file after another."""
    frames, first = [], 0
    for table in tables:
        number = pl.col("N_sim").rank("dense").cast(pl.Int64) - 1 + first
        frames.append(table.frame.with_columns(number, pl.col("N_star").cast(pl.Int64)))
        first += frames[-1]["N_sim"].n_unique()
    if any(frame.columns != frames[0].columns for frame in frames):
        raise InputError("nbody.source: some of its tables have masses or charges, others not; make them alike")
    return pl.concat(frames)


def physics_of(found: Found) -> tuple[Units, bool, bool]:
    """What systems obey: as the source says, else gravity with G = 1 where it is seen to conserve their energy.

    Returns:
        The physics; whether the systems stay where they are, else they are brought to rest at the origin; and whether
        all stars are equally heavy, so that their total, as in the contract, replaces the masses.
    """
    if found.law is not None:
        return found.law, True, False
    moves, changes, masses, sizes = [], [], set(), set()
    for systems in found.parts():
        moves += [movement(group) for group in systems]
        changes += [energy_change(group) for group in systems if "mass" in group]
        masses |= {mass for group in systems if "mass" in group for mass in np.unique(group["mass"])[:2]}
        sizes |= {group["position"].shape[2] for group in systems}
    moved, change = _median(moves), _median(changes)
    if moved is not None and not 1 / MOVED < moved < MOVED:
        warn(
            f"nbody.source: between outputs the stars move {moved:.3g} times as far as their velocities say (median); "
            "check the times and nbody.units, or give outputs nearer to each other"
        )
    known = change is not None and change <= KEPT
    if change is not None and not known:
        warn(
            f"nbody.source: the energy of its simulations changes by {change:.0%} (median) with G = 1, no softening; "
            "check nbody.units, unless they are softened: energies are left out of the evaluation"
        )
    equal = len(masses) == len(sizes) == 1
    total = float(np.full(sizes.pop(), masses.pop()).sum()) if equal else None
    words = OURS if found.physical else WORDS
    return Units(1.0 if known else None, 0.0 if known else None, total, **words), False, equal


def _median(parts: list[Array]) -> float | None:
    values = np.concatenate(parts) if parts else np.empty(0)
    return float(np.median(values)) if len(values) else None


def movement(systems: Systems) -> Array:
    """Distance moved in each step, over the mean velocity times the step; none of single states."""
    x, v, time = systems["position"], systems["velocity"], systems["time"]
    said = (v[:, 1:] + v[:, :-1]) / 2 * np.diff(time, axis=1)[:, :, None, None]
    moved, said = (np.linalg.norm(step, axis=-1).ravel() for step in (np.diff(x, axis=1), said))
    return moved[said > 0] / said[said > 0]


def energy_change(systems: Systems) -> Array:
    """Largest relative change of the energy of each simulation; none of single states."""
    from pipeline.simulation.nbody.gravity import invariants

    if systems["time"].shape[1] < 2:
        return np.empty(0)
    energy = invariants(systems["position"], systems["velocity"], systems["mass"][:, None], 0.0).energy
    return np.abs(energy / energy[:, :1] - 1).max(1)


if __name__ == "__main__":
    run(main)
