"""Evaluation and report are killed: old outputs are whole or absent, and the next run gives the right ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

from faults.harness import contents, killed_at, pause, run, stage
from pipeline.training.registry import MODELS

pytestmark = pytest.mark.fault

NAME = "boltzmann"


def test_evaluation(
    workspace: Path, undisturbed: Callable[..., tuple[Path, dict[str, bytes]]], same: Callable[..., None]
) -> None:
    command = stage("evaluate", NAME)
    folder, _ = undisturbed("evaluate", NAME)
    for place in ("models", "reports"):
        shutil.copytree(folder / place, place)
    old = Path(f"reports/figures/{NAME}/labels.json")
    old.write_text("{}")  # of an earlier evaluation
    before = contents("reports")
    killed_at(pause(command, "pipeline.progress", "progress"))
    assert contents("reports") == before
    killed_at(pause(command, "os", "replace", f"figures/{NAME}"))
    assert not old.parent.exists() or contents("reports/figures")[str(old)] == b"{}"
    assert list(Path("reports/figures").glob(".*"))
    run(command)
    same("evaluate", NAME)


def write_what_models_leave() -> None:
    """As much of all models as the report reads."""
    for name, model in MODELS.items():
        figures = Path("reports/figures", name)
        figures.mkdir(parents=True)
        told = {"title": model.title, "notes": [], "judged_by": "", "monitor": "val/loss", "parameters": {}}
        for file, content in (("captions", {}), ("labels", {model.headline: "error"}), ("learned", told)):
            (figures / f"{file}.json").write_text(json.dumps(content))
        Path("reports/evaluate").mkdir(exist_ok=True)
        Path(f"reports/evaluate/{name}.json").write_text(json.dumps({model.headline: 2.0}))
        Path("reports/train").mkdir(exist_ok=True)
        Path(f"reports/train/{name}.csv").write_text("epoch,val/loss,train/loss\n0,2.0,3.0\n")
    shutil.copy(ROOT / "reports/nbody.json", "reports/nbody.json")


def test_report(workspace: Path) -> None:
    command, page = stage("report"), Path("reports/index.html")
    write_what_models_leave()
    run(command)
    right = page.read_bytes()
    page.write_text("an older page")
    killed_at(pause(command, "os", "replace", "index.html"))
    assert page.read_text() == "an older page"
    assert list(page.parent.glob(".index.*"))
    run(command)
    assert page.read_bytes() == right
    assert list(page.parent.glob(".index.*")) == []
