"""What evaluation writes and what W&B shows are the same numbers, of every model."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import ROOT, edit_params, run_stage
from matplotlib.figure import Figure
from PIL import Image

from pipeline import evaluate
from pipeline.evaluation.common.charts import KINDS, Chart
from pipeline.evaluation.common.result import Animation, Picture, Result
from pipeline.settings.load import load_params
from pipeline.tracking import evaluation as tracked
from pipeline.tracking.recorded import records
from pipeline.training.registry import MODELS


def newest_run() -> dict[str, list[Any]]:
    """The records of the newest run as they lie on the disk, by kind."""
    files = Path("runs/wandb/wandb").glob("offline-run-*/*.wandb")
    found: dict[str, list[Any]] = {}
    for record in records(max(files, key=lambda path: path.stat().st_mtime_ns)):
        kind = record.WhichOneof("record_type")
        found.setdefault(kind, []).append(getattr(record, kind))
    return found


def values_of(items: Iterable[Any]) -> dict[str, Any]:
    """Keys and values of a record of history or summary."""
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def result() -> Result:
    """One of everything that an evaluation may return."""
    share = [0.0, 0.5, 1.0]
    columns = {kind: {name: share for name in names if name != "score"} for kind, names in KINDS.items()}
    columns["roc"]["score"] = ["model"] * 3  # type: ignore[list-item]
    return Result(
        {},
        [Picture("figure", "A figure.", Figure(figsize=(1, 1)))],
        charts=[Chart(f"a_{kind}", kind, "A chart.", pl.DataFrame(table)) for kind, table in columns.items()],
        animations=[Animation("moves", "It moves.", [Image.new("RGB", (9, 9), (k, 0, 0)) for k in (0, 255)], 0.1)],
        items=pl.DataFrame({"item": ["a", "b", "c"], "truth": share, "low": [None, 0.1, 0.2], "age_error_gyr": share}),
        thumbnails=[np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.uint8)],
    )


@pytest.fixture
def offline(default_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of the test lie in its folder."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    for variable in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(default_folder / "runs/wandb"))


def evaluated(monkeypatch: pytest.MonkeyPatch, name: str, result: Result) -> dict[str, float]:
    """The stage of a model, whose measures are those that were committed last."""
    metrics = json.loads((ROOT / f"reports/evaluate/{name}.json").read_text())
    monkeypatch.setattr(evaluate, "measured", lambda *_: (metrics, result, {}))
    Path("models").mkdir(exist_ok=True)
    Path(f"models/{name}.ckpt").write_bytes(b"weights")
    run_stage("evaluate", name)
    return metrics


def test_every_number_of_every_model_is_in_the_summary(offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MODELS:
        metrics = evaluated(monkeypatch, name, Result({}))
        assert json.loads(Path(f"reports/evaluate/{name}.json").read_text()) == metrics
        headline = json.loads(Path(f"reports/headlines/{name}.json").read_text())
        assert headline["value"] == metrics[MODELS[name].headline]
        found = newest_run()
        summary = values_of(item for record in found["summary"] for item in record.update)
        assert {key: summary.get(key) for key in metrics} == metrics
        assert (found["run"][0].display_name, found["run"][0].job_type) == (name, "evaluate")
        assert f"models-{name}" in [artifact.name for artifact in found["artifact"] if artifact.use_after_commit]


def test_items_plots_figures_and_animations_are_in_the_run(offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(monkeypatch, "gnn", result())
    found = newest_run()
    logged = values_of(item for record in found["history"] for item in record.item)
    assert logged["held_out/nrows"] == 3 and logged["figures/moves/_type"] == "video-file"
    assert {"figures/figure/_type", "histograms/age_error_gyr/values"} <= set(logged)
    assert {f"charts/a_{kind}_table/nrows" for kind in KINDS} <= set(logged)
    assert "run_table" in [artifact.type for artifact in found["artifact"]], "the items with their thumbnails"


def test_a_table_that_cannot_be_made_loses_no_number(
    offline: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a full disk: thumbnails are files."""

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(tracked, "held_out", full)
    metrics = evaluated(monkeypatch, "gnn", result())
    assert capsys.readouterr().err.count("No space left on device; the stage goes on") == 1
    summary = values_of(item for record in newest_run()["summary"] for item in record.update)
    assert {key: summary.get(key) for key in metrics} == metrics


def test_evaluation_writes_numbers_figures_charts_and_words(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    edit_params(workspace, {"gnn.trainer.max_epochs": 1})
    run_stage("train", "gnn")
    capsys.readouterr()
    run_stage("evaluate", "gnn")
    written = json.loads(Path("reports/evaluate/gnn.json").read_text())
    assert all(isinstance(value, float) for value in written.values())
    captions, labels = (json.loads(Path(f"reports/figures/gnn/{x}.json").read_text()) for x in ("captions", "labels"))
    learned = json.loads(Path("reports/figures/gnn/learned.json").read_text())
    section = load_params("params.yaml").model_section("gnn")
    assert learned == {
        "title": MODELS["gnn"].title,
        "notes": [],
        "judged_by": f"{pl.read_csv('reports/charts/gnn/items.csv').height} simulations",
        "monitor": "val/loss",
        "parameters": section.model_dump(mode="json"),
    }
    files = {path.stem for path in Path("reports/figures/gnn").iterdir() if path.suffix in (".png", ".webp")}
    assert files == set(captions)
    assert {re.sub("_(low|high)$", "", key.split("/")[-1]) for key in written} <= set(labels)
    headline = json.loads(Path("reports/headlines/gnn.json").read_text())
    assert list(headline) == ["value", "low", "high", "best_rival"]
    rivals = [value for key, value in written.items() if re.fullmatch("baseline/[^/]+/one_step_position_mse", key)]
    assert headline["best_rival"] == min(rivals)
    told = capsys.readouterr().out
    assert told.startswith("evaluate gnn: mean square error of a position after one step ") and told.count("\n") == 1
