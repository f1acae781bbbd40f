"""Work that a SIGKILL takes from a stage, at drawn times, and the share of a training that its checkpoints take.

The work lost is that from the last checkpoint or finished block to the kill.
"""

import json
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired

from benchmarks.chain import ROOT, RUNS, make_folder
from benchmarks.results import RESULTS, Row
from benchmarks.scale_watch import start, watched
from pipeline.training.resume import LEAST_SECONDS

KILLS = 2  # of a stage
EARLIEST, LATEST = 20.0, 50.0  # seconds after its start
GOAL, GOAL_SHARE = 60.0, 5.0  # seconds; percent
TRAININGS = {"pidoc-mass": "clusters", "gnn": "nbody"}


def kill_rows() -> list[Row]:
    """Trainings, a data stage and, by how long they take, the evaluations."""
    rng = random.Random(1)
    trainings = {model: _lost_by_training(model, data, rng) for model, data in TRAININGS.items()}
    drawn = _lost_by_drawing(rng)
    longest = _longest_evaluation()
    return [
        _row(
            "trainings", max(map(max, trainings.values())), "; ".join(f"{m}: {_told(s)}" for m, s in trainings.items())
        ),
        _row("data stages", max(drawn), f"generate_clusters, killed in a block: {_told(drawn)}"),
        _row("evaluations", longest, "CPU time of the longest: it begins anew"),
        *(_share(model) for model in TRAININGS),
    ]


def _row(kind: str, seconds: float, note: str) -> Row:
    return Row(f"work lost to a SIGKILL, {kind}", seconds, "s", None, GOAL, "lower", note)


def _told(seconds: list[float]) -> str:
    return ", ".join(f"{each:.1f}" for each in seconds) + " s"


def _lost_by_training(model: str, data: str, rng: random.Random) -> list[float]:
    """Seconds since the last checkpoint of a training that is killed and goes on; since its start if there is none."""
    folder = make_folder(f"scale-kill-{model}", {})
    shutil.rmtree(folder / "runs", ignore_errors=True)
    place = folder / "data" / data
    place.parent.mkdir(exist_ok=True)
    if not place.exists():
        place.symlink_to(ROOT / "data" / data)
    return [lost(folder, "runs/train/*/*/last.ckpt", rng, "pipeline.train", model) for _ in range(KILLS)]


def _lost_by_drawing(rng: random.Random) -> list[float]:
    """Seconds since the last block of generate_clusters was written."""
    folder = make_folder("scale-kill-maps", {})
    shutil.rmtree(folder / "runs", ignore_errors=True)
    return [lost(folder, "runs/generate_clusters/*/*.csv", rng, "pipeline.generate_clusters") for _ in range(KILLS)]


def lost(folder: Path, kept: str, rng: random.Random, module: str, *arguments: str) -> float:
    """Seconds from the newest file that is kept, or the start, to the kill of ``python -m module``.

    Raises:
        RuntimeError: it failed before.
    """
    began = time.time()
    process = start(folder, module, *arguments)
    with suppress(TimeoutExpired):
        if process.wait(rng.uniform(EARLIEST, LATEST)):
            raise RuntimeError(f"{module} ended with status {process.returncode} before it was killed")
        return 0.0  # it was done
    killed = time.time()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return killed - max([began, *(file.stat().st_mtime for file in folder.glob(kept))])


def _share(model: str) -> Row:
    """Of the time of a training, in the folder in which it was killed."""
    output = watched(RUNS / f"scale-kill-{model}", "benchmarks.scale_checkpoint", model).output
    found = json.loads(output.splitlines()[-1])
    seconds = found["seconds"]
    note = f"{1000 * seconds:.0f} ms for {found['bytes'] / 1e6:.1f} MB, at most one each {LEAST_SECONDS:g} s"
    share = 100 * seconds / LEAST_SECONDS
    return Row(f"{model}: time spent on checkpoints for resuming", share, "%", None, GOAL_SHARE, "lower", note)


def _longest_evaluation() -> float:
    """CPU seconds, of chain_time.json."""
    rows = json.loads((RESULTS / "chain_time.json").read_text(encoding="utf-8"))["rows"]
    return max(60 * row["value"] for row in rows if row["name"].startswith("evaluate@"))
