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
from contextlib import chdir
from pathlib import Path

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
    """What arrives when the runs are sent by `wandb sync`; the marks that it leaves are not left in the project."""
    with tempfile.TemporaryDirectory() as place:
        stand_in = StandIn(Path(place))
        copies = [Path(shutil.copytree(folder, Path(place, folder.name))) for folder in folders]
        for mark in Path(place).glob("*/*.sync*"):
            mark.unlink()
        with serving(stand_in.app()) as address:
            environment = os.environ | {"WANDB_BASE_URL": address, "WANDB_API_KEY": "0" * 40}
            subprocess.run([sys.executable, "-m", "wandb", "sync", *map(str, copies)], env=environment, check=True)
    return {folder: stand_in.runs[next(folder.glob("*.wandb")).stem.removeprefix("run-")] for folder in folders}


def training(name: str, seconds: float, rounds: int) -> list[Row]:
    """Points of the curve of a training of ten minutes, and its time with W&B (offline) and without, in turn."""
    epochs = max(2, round(2 * seconds / fit(name, 2, "disabled")))
    times: dict[str, list[float]] = {"offline": [], "disabled": []}
    for _ in range(rounds):
        for mode, measured in times.items():
            measured.append(fit(name, epochs, mode))
    folder = [folder for folder, model, _ in recorded(FOLDER) if model == name][-1]
    points = sum("step/loss" in row for row in send([folder])[folder].history)
    scaled = points * TEN_MINUTES / times["offline"][-1]
    costs = [on / off for on, off in zip(*times.values(), strict=True)]
    note = (
        f"{epochs} epochs, {statistics.median(times['disabled']):.0f} s without; {min(costs):.3f} to {max(costs):.3f}"
    )
    return [
        Row(f"{name}: points of a curve in 10 minutes", scaled, "", None, GOAL_POINTS, "higher", f"{points} seen"),
        Row(f"{name}: training with W&B / without", statistics.median(costs), "x", None, GOAL_COST, "lower", note),
    ]


def fit(name: str, epochs: int, mode: str) -> float:
    """Seconds of one training, without its start and its outputs, in a folder of its own."""
    from pipeline import train

    FOLDER.mkdir(parents=True, exist_ok=True)
    changes: Settings = {MODELS[name].section: {"trainer.max_epochs": epochs}}
    (FOLDER / "params.yaml").write_text(changed_parameters(changes), encoding="utf-8")
    if not (FOLDER / "data").exists():
        (FOLDER / "data").symlink_to(ROOT / "data")
    os.environ["WANDB_MODE"] = mode
    with chdir(FOLDER):
        training = train.build(name, load_params("params.yaml"))
        with train.lock(training), train.tracked(training):
            start = time.perf_counter()
            train.fit(training)
            seconds = time.perf_counter() - start
            shutil.rmtree(training.checkpoint.parent)
    return seconds


if __name__ == "__main__":
    run(main)
