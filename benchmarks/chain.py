"""Stages of the chain in a folder of their own, with a changed params.yaml, for benchmarks.

Whatever stage has ended there is not run again, so a killed benchmark goes on where it was.
"""

import functools
import io
import json
import operator
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs/benchmarks"
RAW, SEEN = Path("data/clusters/maps"), Path("data/clusters/seen")
Settings = dict[str, dict[str, Any]]


def changed_parameters(settings: Settings) -> str:
    """The project's params.yaml with changes, by section and by dotted name."""
    yaml, text = YAML(), io.StringIO()
    values = yaml.load(ROOT / "params.yaml")
    for section, changes in settings.items():
        for key, value in changes.items():
            *outer, last = key.split(".")
            functools.reduce(operator.getitem, outer, values[section])[last] = value
    yaml.dump(values, text)
    return text.getvalue()


def make_folder(name: str, settings: Settings) -> Path:
    """Folder runs/benchmarks/<name> with its :func:`changed_parameters`; made with others, it is emptied first."""
    text, path = changed_parameters(settings), RUNS / name / "params.yaml"
    read = YAML(typ="safe").load  # so that a comment changes nothing
    if path.exists() and read(path.read_text()) == read(text):
        return path.parent
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path.parent


def stage(folder: Path, output: str | None, name: str, *arguments: str) -> None:
    """Run a stage of the chain in the folder, unless its output is there."""
    if output and (folder / output).exists():
        return
    print(f"{folder.name}: {name} {' '.join(arguments)}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"pipeline.{name}", *arguments]
    subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


def make_maps(name: str, settings: Settings) -> Path:
    """Folder runs/benchmarks/<name> with maps of clusters, drawn and observed now or by an earlier run."""
    folder = make_folder(name, settings)
    for draw in ("generate_clusters", "import_clusters"):
        stage(folder, str(RAW), draw)
    stage(folder, str(SEEN), "preprocess_maps")
    return folder


def evaluated(folder: Path, model: str) -> dict[str, Any]:
    """Metrics of a model, trained in the folder now or by an earlier run, and the CPU ``minutes`` of its training."""
    minutes = minutes_of_training(folder, model)
    report = f"reports/evaluate/{model}.json"
    stage(folder, report, "evaluate", model)
    metrics: dict[str, Any] = json.loads((folder / report).read_text())
    return metrics | {"minutes": minutes}


def minutes_of_training(folder: Path, model: str) -> float:
    """CPU minutes in which a model was trained in the folder, now or by an earlier run."""
    clock = folder / f"{model}.minutes"
    if not clock.exists():
        start = time_of_children()
        stage(folder, None, "train", model)
        clock.write_text(str((time_of_children() - start) / 60))
    return float(clock.read_text())


def time_of_children() -> float:
    """CPU seconds of the stages that have ended: another load on the machine does not lengthen them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
