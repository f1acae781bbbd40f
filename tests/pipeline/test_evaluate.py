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


def test_every_number_of_every_model_is_in_the_summary(default_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were measured last at the default scale; the rest of an evaluation lies beside them."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    for variable in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(default_folder / "runs/wandb"))
    Path("models").mkdir()
    for name in MODELS:
        metrics = json.loads((ROOT / f"reports/evaluate/{name}.json").read_text())
        monkeypatch.setattr(evaluate, "measured", lambda *_, metrics=metrics: (metrics, result(), {}))
        Path(f"models/{name}.ckpt").write_bytes(b"weights")
        run_stage("evaluate", name)
        assert json.loads(Path(f"reports/evaluate/{name}.json").read_text()) == metrics
        headline = json.loads(Path(f"reports/headlines/{name}.json").read_text())
        assert headline["value"] == metrics[MODELS[name].headline]
        found = newest_run()
        summary = values_of(item for record in found["summary"] for item in record.update)
        assert {key: summary.get(key) for key in metrics} == metrics
        logged = values_of(item for record in found["history"] for item in record.item)
        assert {key: logged.get(key) for key in metrics} == metrics
        assert logged["held_out"]["nrows"] == 3 and logged["figures/moves"]["_type"] == "video-file"
        assert {"figures/figure", "histograms/age_error_gyr"} <= set(logged)
        assert {f"charts/a_{kind}_table" for kind in KINDS} <= set(logged)
        assert [artifact.name for artifact in found["artifact"] if artifact.use_after_commit] == [f"models-{name}"]
        assert (found["run"][0].display_name, found["run"][0].job_type) == (name, "evaluate")


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
    assert learned == {"title": MODELS["gnn"].title, "notes": []}
    files = {path.stem for path in Path("reports/figures/gnn").iterdir() if path.suffix in (".png", ".webp")}
    assert files == set(captions)
    assert {re.sub("_(low|high)$", "", key.split("/")[-1]) for key in written} <= set(labels)
    headline = json.loads(Path("reports/headlines/gnn.json").read_text())
    assert list(headline) == ["value", "low", "high", "best_rival"]
    rivals = [value for key, value in written.items() if re.fullmatch("baseline/[^/]+/one_step_position_mse", key)]
    assert headline["best_rival"] == min(rivals)
    told = capsys.readouterr().out
    assert told.startswith("evaluate gnn: mean square error of a position after one step ") and told.count("\n") == 1
