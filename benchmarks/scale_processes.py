"""A training step of one process against one of two, one thread each, at the default batch and at a larger one.

The machine has to be idle: it is the time by the clock that processes share out.
"""

import json
import statistics
from pathlib import Path

from benchmarks.chain import ROOT, make_folder
from benchmarks.results import Row
from benchmarks.scale_watch import watched

ROUNDS = 3
GOAL = 1.6
# model, batch (None: the default) and steps, which make some seconds
CASES = (("gnn", None, 80), ("gnn", 1600, 25), ("pidoc-mass", None, 60), ("pidoc-mass", 32, 15))


def process_rows() -> list[Row]:
    """Both models, interleaved."""
    folder = make_folder("scale-processes", {})
    for data in ("nbody", "clusters"):
        place = folder / "data" / data
        place.parent.mkdir(exist_ok=True)
        if not place.exists():
            place.symlink_to(ROOT / "data" / data)
    return [_row(folder, model, batch, steps) for model, batch, steps in CASES]


def _row(folder: Path, model: str, batch: int | None, steps: int) -> Row:
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for processes, found in times.items():
            found.append(_milliseconds(folder, model, batch, steps, processes))
    one, two = (statistics.median(found) for found in times.values())
    gain = statistics.median(a / b for a, b in zip(times[1], times[2], strict=True))
    size = f"batch {batch}" if batch else "default batch"
    note = f"{one:.1f} and {two:.1f} ms a step, medians of {ROUNDS} rounds, one thread a process, gloo"
    return Row(f"{model}: step of 1 process / 2, {size}", gain, "x", None, GOAL if batch else None, "higher", note)


def _milliseconds(folder: Path, model: str, batch: int | None, steps: int, processes: int) -> float:
    arguments = [model, "--steps", str(steps), "--processes", str(processes)]
    if batch:
        arguments += ["--batch", str(batch)]
    output = watched(folder, "benchmarks.scale_step", *arguments).output
    found: float = json.loads(output.splitlines()[-1])["milliseconds"]
    return found
