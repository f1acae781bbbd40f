"""Time, disk and memory of 1e6 simulations and 2e5 maps: planned from small runs, and held against one of 1/20."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chain import RUNS, Settings, make_folder
from benchmarks.results import Row
from benchmarks.scale_watch import watched

SIMULATIONS, MAPS = 1_000_000, 200_000
PART = 20
SMALL = 5  # parts of the run of 1/20: one and two of them plan it, both long enough for the workers to start
GOAL = 1.2  # measured over planned
STEPS = {"gnn": 100, "pidoc-mass": 40}


def rate_rows() -> list[Row]:
    """Of both kinds of data, and of a pass of training over them."""
    rows = []
    for name, whole, stages in (
        ("simulations", SIMULATIONS, ("generate_nbody",)),
        ("maps", MAPS, ("generate_clusters", "import_clusters", "preprocess_maps")),
    ):
        sizes = (whole // PART // SMALL, 2 * whole // PART // SMALL, whole // PART)
        measured = [_measured(name, size, stages) for size in sizes]
        for what, unit, k in (("CPU time", "min", 0), ("disk", "GB", 1), ("memory", "GB", 2)):
            planned = line(sizes[:2], [each[k] for each in measured[:2]], sizes[2])
            at_whole = line((sizes[0], sizes[2]), (measured[0][k], measured[2][k]), whole)
            found = measured[2][k]
            note = f"at {sizes[2]}: {found:.3g} {unit} measured, {planned:.3g} planned from {sizes[0]} and {sizes[1]}"
            rows.append(Row(f"{whole:g} {name}: {what}, planned", at_whole, unit, None, None, "lower", note))
            if k < 2:
                ratio = Row(f"{what} of {sizes[2]} {name} / planned", found / planned, "x", None, GOAL, "lower")
                rows.append(ratio)
    return rows + _training_rows()


def _measured(name: str, size: int, stages: Sequence[str]) -> tuple[float, float, float]:
    """CPU minutes, GB of disk and GB of memory of stages that make so many."""
    settings: Settings = {"nbody": {"n_simulations": size}}
    if name == "maps":
        settings = {"clusters": {"n_train": size - 12, "n_val": 4, "n_calibration": 4, "n_test": 1}}
    folder = make_folder(f"scale-{name}-{size}", settings)
    shutil.rmtree(folder / "data", ignore_errors=True)
    runs = [watched(folder, f"pipeline.{stage}") for stage in stages]
    disk = sum(_bytes(folder / "data" / place) for place in ("synthetic", "clusters/seen")) / 1e9
    return sum(run.seconds for run in runs) / 60, disk, max(run.anonymous for run in runs)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def line(sizes: Sequence[int], values: Sequence[float], size: int) -> float:
    """The straight line through two points, at ``size``."""
    slope = (values[1] - values[0]) / (sizes[1] - sizes[0])
    return values[0] + slope * (size - sizes[0])


def _training_rows() -> list[Row]:
    """A pass over the training part of either, one thread, from the steps at 1/20."""
    rows = []
    for model, name, whole, steps in (
        ("gnn", "simulations", SIMULATIONS, SIMULATIONS * 0.8 * 10 / 200),
        ("pidoc-mass", "maps", MAPS, MAPS / 4),
    ):
        folder = RUNS / f"scale-{name}-{whole // PART}"
        if model == "gnn":
            watched(folder, "pipeline.import_nbody")
        found = watched(folder, "benchmarks.scale_step", model, "--steps", str(STEPS[model]))
        step = json.loads(found.output.splitlines()[-1])["milliseconds"]
        note = f"{steps:g} steps of {step:.1f} ms; memory at 1/{PART}: {found.anonymous:.2f} GB"
        title = f"{whole:g} {name}: a pass of {model}, planned"
        rows.append(Row(title, steps * step / 60_000, "min", None, None, "lower", note))
    return rows
