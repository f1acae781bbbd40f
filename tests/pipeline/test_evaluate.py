"""What evaluation writes and what it tells the tracker are the same numbers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import edit_params, run_stage

from pipeline.tracking import run as tracking
from pipeline.training.registry import MODELS


class Recorder:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.metrics: dict[str, Any] = {}
        self.images: list[str] = []

    def log_metrics(self, metrics: dict[str, Any]) -> None:
        self.metrics |= metrics

    def log_image(self, key: str, images: list[str], caption: list[str]) -> None:
        self.images.append(key)


def test_every_number_and_picture_reaches_the_tracker(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_params(workspace, {"gnn.trainer.max_epochs": 1})
    run_stage("train", "gnn")
    recorder = Recorder()
    monkeypatch.setattr(tracking, "start", lambda *_: recorder)
    run_stage("evaluate", "gnn")
    written = json.loads(Path("reports/evaluate/gnn.json").read_text())
    assert recorder.metrics == written
    assert all(isinstance(value, float) for value in written.values())
    captions, labels = (json.loads(Path(f"reports/figures/gnn/{x}.json").read_text()) for x in ("captions", "labels"))
    learned = json.loads(Path("reports/figures/gnn/learned.json").read_text())
    assert learned == {"title": MODELS["gnn"].title, "notes": []}
    assert recorder.images == [f"figures/{picture}" for picture in captions]
    assert {re.sub("_(low|high)$", "", key.split("/")[-1]) for key in written} <= set(labels)
