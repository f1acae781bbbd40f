"""What W&B gets and what it costs: an evaluation's numbers in its run, points of a curve, time of a training.

Run after `dvc repro`, whose data, reports and runs it reads: python -m benchmarks.tracking, a quarter of an hour.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.chain import ROOT, RUNS, Settings, changed_parameters
from benchmarks.results import Row, write_results
from benchmarks.wandb_stand_in import Run, StandIn, serving
from pipeline.errors import InputError, run
from pipeline.settings.load import load_params
from pipeline.tracking.recorded import records
from pipeline.training.registry import MODELS

FOLDER = RUNS / "tracking"
TRAINED = ("gnn", "rbm")  # long steps and short ones
GOAL_POINTS, GOAL_COST = 200, 1.02
TEN_MINUTES = 600.0


@dataclass(frozen=True)
class Cost:
    """Seconds of a training on the clock and of the processors."""

    wall: float
    cpu: float


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a training (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="trainings with and without (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="only print the table")
    args = parser.parse_args()
    rows = evaluations()
    for name in TRAINED:
        rows += training(name, args.seconds, args.rounds)
    write_results("tracking", rows, quick=args.quick)


def evaluations() -> list[Row]:
    """How many numbers of reports/evaluate are in the newest run of each evaluation, after it was sent."""
    newest = {name: folder for folder, name, job in recorded(ROOT) if job == "evaluate"}
    missing = [name for name in MODELS if name not in newest]
    if missing:
        raise InputError(f"runs/wandb: no run of evaluate {missing[0]}; `dvc repro -f evaluate@{missing[0]}` makes it")
    reports = {name: json.loads((ROOT / f"reports/evaluate/{name}.json").read_text()) for name in MODELS}
    arrived = send([newest[name] for name in MODELS])
    found = {
        name: sum(arrived[newest[name]].summary.get(key) == value for key, value in report.items())
        for name, report in reports.items()
    }
    lacking = [f"{name} {len(reports[name]) - found[name]}" for name in MODELS if found[name] < len(reports[name])]
    share = 100 * sum(found.values()) / sum(map(len, reports.values()))
    note = f"{sum(map(len, reports.values()))} numbers of {len(MODELS)} models; missing: {', '.join(lacking) or 'none'}"
    return [Row("numbers of reports/evaluate in the run's summary", share, "%", None, 100, "higher", note)]


def recorded(project: Path) -> Iterator[tuple[Path, str, str]]:
    """Folder, model and stage of each run of a project, the oldest first."""
    for file in sorted((project / "runs/wandb/wandb").glob("offline-run-*/*.wandb")):
        about = next((record.run for record in records(file) if record.HasField("run")), None)
        if about is not None:
            yield file.parent, about.display_name, about.job_type


def send(folders: list[Path]) -> dict[Path, Run]:
    """What arrives when copies of runs of one project are sent by `wandb sync`."""
    waiting = folders[0].parents[1] / "artifacts/staging"  # files that wandb removes as soon as they are sent
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as place:
        ignored = shutil.ignore_patterns("*.synced", "*.syncstate")
        copies = [shutil.copytree(folder, Path(place, folder.name), ignore=ignored) for folder in folders]
        stand_in = StandIn(Path(place, "server"))
        with restored(waiting, Path(place, "kept")), serving(stand_in.app()) as address:
            server = {"WANDB_BASE_URL": address, "WANDB_API_KEY": "0" * 40, "WANDB_DIR": place, "WANDB_SILENT": "true"}
            command = [sys.executable, "-m", "wandb", "sync", *map(str, copies)]
            subprocess.run(command, env=os.environ | server, check=True)
    return {folder: stand_in.runs[next(folder.glob("*.wandb")).stem.removeprefix("run-")] for folder in folders}


@contextmanager
def restored(folder: Path, copy: Path) -> Iterator[None]:
    """Give a folder back as it was, from links to its files."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, copy, copy_function=os.link)
    try:
        yield
    finally:
        shutil.rmtree(folder)
        shutil.copytree(copy, folder, copy_function=os.link)


def training(name: str, seconds: float, rounds: int) -> list[Row]:
    """Points of the curve of a training of ten minutes, and its time with W&B (offline) and without, in turn."""
    epochs = max(2, round(2 * seconds / fit(name, 2, "disabled").wall))
    costs: dict[str, list[Cost]] = {"offline": [], "disabled": []}
    for _ in range(rounds):
        for mode, measured in costs.items():
            measured.append(fit(name, epochs, mode))
    folder = [folder for folder, model, _ in recorded(FOLDER) if model == name][-1]
    points = sum("step/loss" in row for row in send([folder])[folder].history)
    scaled = points * TEN_MINUTES / costs["offline"][-1].wall
    pairs = list(zip(*costs.values(), strict=True))
    without = statistics.median(off.wall for _, off in pairs)
    return [
        Row(f"{name}: points of a curve in 10 minutes", scaled, "", None, GOAL_POINTS, "higher", f"{points} seen"),
        cost(f"{name}: time", [on.wall / off.wall for on, off in pairs], f"{epochs} epochs, {without:.0f} s"),
        cost(f"{name}: CPU time", [on.cpu / off.cpu for on, off in pairs], "that of wandb's own process in it"),
    ]


def cost(name: str, ratios: list[float], note: str) -> Row:
    """The median of a training's cost with W&B over that without."""
    spread = f"{note}; {min(ratios):.3f} to {max(ratios):.3f}"
    return Row(f"{name} with W&B / without", statistics.median(ratios), "x", None, GOAL_COST, "lower", spread)


def fit(name: str, epochs: int, mode: str) -> Cost:
    """Train once, in a folder of its own; what comes before and after the fit is not measured."""
    from pipeline import train
    from pipeline.tracking.training import run_of

    FOLDER.mkdir(parents=True, exist_ok=True)
    changes: Settings = {MODELS[name].section: {"trainer.max_epochs": epochs}}
    (FOLDER / "params.yaml").write_text(changed_parameters(changes), encoding="utf-8")
    if not (FOLDER / "data").exists():
        (FOLDER / "data").symlink_to(ROOT / "data")
    os.environ["WANDB_MODE"] = mode
    with chdir(FOLDER):
        training = train.build(name, load_params("params.yaml"))
        with train.lock(training), run_of(training):
            start, used = time.perf_counter(), cpu()
            train.fit(training)
            measured = Cost(time.perf_counter() - start, cpu() - used)
            shutil.rmtree(training.checkpoint.parent)
    return measured


def cpu() -> float:
    """CPU seconds of this process and of those that it started and that still run."""
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True)))


if __name__ == "__main__":
    run(main)
