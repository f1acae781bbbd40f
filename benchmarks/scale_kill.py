"""Work that a SIGKILL takes from a stage: from the last checkpoint or finished block to the kill, at drawn times."""

import json
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired

from benchmarks.chain import ROOT, make_folder
from benchmarks.results import RESULTS, Row
from benchmarks.scale_watch import start

KILLS = 2  # of a stage
EARLIEST, LATEST = 20.0, 50.0  # seconds after its start
GOAL = 60.0  # seconds
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
    return [_lost(folder, "runs/train/*/*/last.ckpt", rng, "pipeline.train", model) for _ in range(KILLS)]


def _lost_by_drawing(rng: random.Random) -> list[float]:
    """Seconds since the last block of generate_clusters was written."""
    folder = make_folder("scale-kill-maps", {})
    shutil.rmtree(folder / "runs", ignore_errors=True)
    return [_lost(folder, "runs/**/*.*", rng, "pipeline.generate_clusters") for _ in range(KILLS)]


def _lost(folder: Path, kept: str, rng: random.Random, module: str, *arguments: str) -> float:
    began = time.time()
    process = start(folder, module, *arguments)
    with suppress(TimeoutExpired):
        process.wait(rng.uniform(EARLIEST, LATEST))
        return 0.0  # it has ended before
    killed = time.time()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return killed - max([began, *(file.stat().st_mtime for file in folder.glob(kept))])


def _longest_evaluation() -> float:
    """CPU seconds, of chain_time.json."""
    rows = json.loads((RESULTS / "chain_time.json").read_text(encoding="utf-8"))["rows"]
    return max(60 * row["value"] for row in rows if row["name"].startswith("evaluate@"))
