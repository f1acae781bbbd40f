"""Every model through the same table: train, reload, validate, test, evaluate, resume, predict."""

import csv
import json
import math
from pathlib import Path

import polars as pl
import pytest
import torch
from conftest import check_items, edit_params, run_stage, section_of

from pipeline.settings.load import load_params
from pipeline.training import callbacks, trainer
from pipeline.training.registry import MODELS

EPOCHS = 3


def train(workspace: Path, name: str) -> bytes:
    edit_params(workspace, {f"{section_of(name)}.trainer.max_epochs": EPOCHS})
    run_stage("train", name)
    return (workspace / "models" / f"{name}.ckpt").read_bytes()


def curves(name: str) -> list[dict[str, str]]:
    with Path(f"reports/train/{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", MODELS)
def test_train_reload_evaluate(workspace: Path, name: str) -> None:
    train(workspace, name)
    rows = curves(name)
    assert [int(row["epoch"]) for row in rows] == list(range(EPOCHS))
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    assert not any(path.is_file() for path in Path("runs/train").rglob("*")), "a finished training leaves no scratch"

    content = torch.load(f"models/{name}.ckpt", weights_only=True)
    assert set(content) == {"state_dict", "hyper_parameters", "pytorch-lightning_version"}

    # the reloaded model scores what the training said it scored, in all that needs no training
    params, model = load_params("params.yaml"), MODELS[name]
    section = params.model_section(name)
    module = model.load(f"models/{name}.ckpt")
    tester = trainer.make_trainer(
        section.trainer, params.runtime, logger=False, callbacks=[callbacks.SeedEachBatch(section.seed)], single=True
    )
    [validated] = tester.validate(module, datamodule=model.make_datamodule(section), verbose=False)
    kept = min(rows, key=lambda row: float(row[module.monitor])) if module.monitor else rows[-1]
    assert f"val/{model.curve}" in kept and validated
    for key, value in validated.items():
        assert value == pytest.approx(float(kept[key]), rel=1e-5, abs=1e-7), key

    run_stage("evaluate", name)
    metrics = json.loads(Path(f"reports/evaluate/{name}.json").read_text())
    assert {key.replace("val/", "test/") for key in validated} <= set(metrics)
    captions = json.loads(Path(f"reports/figures/{name}/captions.json").read_text())
    shown = [path for path in Path(f"reports/figures/{name}").iterdir() if path.suffix in (".png", ".webp")]
    assert captions and sorted(path.stem for path in shown) == sorted(captions)
    assert all(path.stat().st_size > 1000 for path in shown)
    items = pl.read_csv(f"reports/charts/{name}/items.csv")
    if "look" in items.columns:
        no_means = ["distance_error_kpc"] if name == "pidoc-age-distance" else []
        check_items(items, metrics, otherwise=no_means)
        items = items.filter(pl.col("look") == "clean")
    if model.family == "autoencoder":
        items = items.filter(pl.col("label") == name.removeprefix("autoencoder-"))
    learned = json.loads(Path(f"reports/figures/{name}/learned.json").read_text())
    assert learned["judged_by"].startswith(f"{len(items)} ")
    assert (learned["monitor"], learned["parameters"]["seed"]) == (module.monitor, section.seed)


@pytest.mark.parametrize("name", MODELS)
def test_interrupted_training_ends_with_the_same_bytes(
    workspace: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = train(workspace, name)
    undisturbed_curves = curves(name)
    (workspace / "models" / f"{name}.ckpt").unlink()

    class Crash(Exception):
        pass

    def crash_in_the_last_epoch(self: callbacks.Curves, fit: object, module: object) -> None:
        original(self, fit, module)
        if len(self.rows) == EPOCHS:
            raise Crash

    original = callbacks.Curves.on_train_epoch_end
    monkeypatch.setattr(callbacks, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    monkeypatch.setattr(callbacks.Curves, "on_train_epoch_end", crash_in_the_last_epoch)
    with pytest.raises(Crash):
        run_stage("train", name)
    assert not Path(f"models/{name}.ckpt").exists()
    monkeypatch.setattr(callbacks.Curves, "on_train_epoch_end", original)
    seen = []
    monkeypatch.setattr(callbacks.Curves, "on_fit_start", lambda self, fit, module: seen.append(len(self.rows)))
    assert train(workspace, name) == undisturbed
    assert curves(name) == undisturbed_curves
