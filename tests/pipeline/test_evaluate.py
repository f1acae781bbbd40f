"""What evaluation writes and what W&B shows are the same numbers, of every model."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import wandb
from conftest import ROOT, edit_params, run_stage
from matplotlib.figure import Figure
from PIL import Image

from pipeline import evaluate
from pipeline.evaluation.common.charts import KINDS, Chart
from pipeline.evaluation.common.result import Animation, Picture, Result
from pipeline.tracking import run
from pipeline.training.registry import MODELS


@pytest.fixture
def offline_runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The summaries of the offline runs of a test, as wandb's own service holds them when a run ends."""
    summaries: list[dict[str, Any]] = []
    finish: Callable[..., None] = run.finish

    def remember(failed: bool = False) -> None:
        assert wandb.run is not None and not failed
        summaries.append(dict(wandb.run.summary))
        finish(failed)

    monkeypatch.setattr(run, "finish", remember)
    monkeypatch.setenv("WANDB_MODE", "offline")
    for variable in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(Path("runs/wandb").absolute()))
    return summaries


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


def test_every_number_of_every_model_is_in_the_summary(
    default_folder: Path, monkeypatch: pytest.MonkeyPatch, offline_runs: list[dict[str, Any]]
) -> None:
    """Those that were measured last at the default scale; the rest of an evaluation lies beside them."""
    Path("models").mkdir()
    for name in MODELS:
        metrics = json.loads((ROOT / f"reports/evaluate/{name}.json").read_text())
        monkeypatch.setattr(evaluate, "measured", lambda *_, metrics=metrics: (metrics, result(), {}))
        Path(f"models/{name}.ckpt").write_bytes(b"weights")
        run_stage("evaluate", name)
        assert json.loads(Path(f"reports/evaluate/{name}.json").read_text()) == metrics
        headline = json.loads(Path(f"reports/headlines/{name}.json").read_text())
        assert headline["value"] == metrics[MODELS[name].headline]
        summary = offline_runs.pop()
        assert {key: summary.get(key) for key in metrics} == metrics
        assert summary["held_out"]["nrows"] == 3 and summary["figures/moves"]["_type"] == "video-file"
        assert {"figures/figure", "histograms/age_error_gyr"} <= set(summary)
        assert {f"charts/a_{kind}_table" for kind in KINDS} <= set(summary)


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
