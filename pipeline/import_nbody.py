"""Brings star systems to the contract: reads ``nbody.source``, what generate_nbody wrote or a table of yours.

It may be a folder of several tables, whose simulations are then numbered on. A table is a .csv, .parquet or AMUSE's
.hdf5, in the units ``nbody.units``. Writes data/nbody/trajectories.csv (or .parquet, as ``nbody.format`` says) and
data/nbody/units.json.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.trajectories import Systems, Units, at_rest, systems_by_stars, table_of
from pipeline.errors import InputError, run, warn
from pipeline.inputs.generated import link_or_copy
from pipeline.inputs.star_tables import StarTable, read_star_table
from pipeline.inputs.star_units import NBODY, OURS
from pipeline.nbody.trajectory_parquet import write_parquet
from pipeline.outputs import atomic_folder
from pipeline.settings.load import load_params
from pipeline.settings.nbody import NBody

if TYPE_CHECKING:
    import polars as pl

FOLDER = Path("data/nbody")
MOVED = 2.0  # factor by which steps may differ from what velocities say: wider than a close orbit needs
KEPT = 0.01  # relative change of the energy up to which a law of force is believed
WORDS = dict.fromkeys(OURS, "N-body unit")


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
    tables = [read_star_table(path, nbody.units, key="nbody.units") for path in tables_of(source)]
    systems = systems_by_stars(renumbered(tables), str(source))
    frame, physics = physics_of(systems, tables)
    for text in dict.fromkeys(text for table in tables for text in table.warnings):
        warn(f"{source}: {text}")
    with atomic_folder(FOLDER) as folder:
        if nbody.format == "csv":
            frame.write_csv(folder / "trajectories.csv")
        else:
            write_parquet(frame.lazy(), physics, folder / "trajectories.parquet")
        (folder / "units.json").write_text(json.dumps(asdict(physics), indent=2) + "\n")
    stars = ", ".join(f"{len(group['N_sim'])} of {group['position'].shape[2]} stars" for group in systems)
    print(
        f"{source}: {frame['N_sim'].n_unique()} simulations ({stars}), {systems[0]['time'].shape[1]} times -> {FOLDER}"
    )


def tables_of(source: Path) -> list[Path]:
    """The file, or those of a folder by name."""
    if source.is_file():
        return [source]
    found = [path for path in sorted(source.iterdir()) if path.is_file() and not path.name.startswith(".")]
    if not found:
        raise InputError(f"{source}: an empty folder; set nbody.source to a table or a folder of tables")
    return found


def renumbered(tables: list[StarTable]) -> "pl.DataFrame":
    """The rows of all tables, their simulations numbered from 0 on, one file after another."""
    import polars as pl

    frames, first = [], 0
    for table in tables:
        number = pl.col("N_sim").rank("dense").cast(pl.Int64) - 1 + first
        frames.append(table.frame.with_columns(number, pl.col("N_star").cast(pl.Int64)))
        first += frames[-1]["N_sim"].n_unique()
    if any(frame.columns != frames[0].columns for frame in frames):
        raise InputError("nbody.source: some of its tables have masses or charges, others not; make them alike")
    return pl.concat(frames)


def physics_of(systems: list[Systems], tables: list[StarTable]) -> tuple["pl.DataFrame", Units]:
    """Rows and what they obey: as the file says, else gravity with G = 1 where it is seen to conserve their energy.

    Systems whose law the file does not say are brought to rest at the origin.

    Equal masses of systems of one size become their total, as in the contract, and the rows lose them.
    """
    laws = {table.law for table in tables}
    if len(laws) == 1 and (law := laws.pop()) is not None:
        return table_of(systems), law
    frame = table_of([at_rest(group)[0] for group in systems])
    moved = movement(systems)
    if moved is not None and not 1 / MOVED < moved < MOVED:
        warn(
            f"nbody.source: between outputs the stars move {moved:.3g} times as far as their velocities say (median); "
            "check the times and nbody.units, or give outputs nearer to each other"
        )
    physical = any(table.units.name != NBODY for table in tables)
    words = OURS if physical else WORDS
    change = energy_change(systems)
    known = change is not None and change <= KEPT
    if change is not None and not known:
        warn(
            f"nbody.source: the energy of its simulations changes by {change:.0%} (median) with G = 1, no softening; "
            "check nbody.units, unless they are softened: energies are left out of the evaluation"
        )
    total = None
    if "mass" in frame.columns and frame["mass"].n_unique() == 1 and len(systems) == 1:
        total = float(systems[0]["mass"][0].sum())
        frame = frame.drop("mass")
    return frame, Units(1.0 if known else None, 0.0 if known else None, total, **words)


def movement(systems: list[Systems]) -> float | None:
    """Median over all steps of the distance moved, over the mean velocity times the step; None of single states."""
    import numpy as np

    if systems[0]["time"].shape[1] < 2:
        return None
    ratios = []
    for group in systems:
        x, v, time = group["position"], group["velocity"], group["time"]
        said = (v[:, 1:] + v[:, :-1]) / 2 * np.diff(time, axis=1)[:, :, None, None]
        moved, said = (np.linalg.norm(step, axis=-1).ravel() for step in (np.diff(x, axis=1), said))
        ratios.append(moved[said > 0] / said[said > 0])
    ratio = np.concatenate(ratios)
    return float(np.median(ratio)) if len(ratio) else None


def energy_change(systems: list[Systems]) -> float | None:
    """Median over simulations of the largest relative change of the energy; None without masses or later states."""
    import numpy as np

    from pipeline.simulation.nbody.gravity import invariants

    if "mass" not in systems[0] or systems[0]["time"].shape[1] < 2:
        return None
    changes = []
    for group in systems:
        energy = invariants(group["position"], group["velocity"], group["mass"][:, None], 0.0).energy
        changes.append(np.abs(energy / energy[:, :1] - 1).max(1))
    return float(np.median(np.concatenate(changes)))


if __name__ == "__main__":
    run(main)
