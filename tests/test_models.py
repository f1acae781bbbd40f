"""Every model through the same table: train, reload, validate, test, evaluate, resume, predict."""

import csv
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from conftest import check_items, edit_params, run_stage, section_of

from pipeline.settings.load import load_params
from pipeline.training import callbacks, resume, trainer
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


class Killed(Exception):
    pass


def train_until_killed(workspace: Path, name: str, step: int) -> None:
    """Train with a checkpoint after each step that may have one, and stop after a step."""

    def kill(self: resume.ResumePoint, fit: Any, *rest: Any) -> None:
        original(self, fit, *rest)
        if fit.global_step == step:
            raise Killed

    original = resume.ResumePoint.on_train_batch_end
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(resume, "MOST_SECONDS", -1.0)
        patch.setattr(resume.ResumePoint, "on_train_batch_end", kill)
        train(workspace, name)


def outputs(name: str) -> dict[str, bytes]:
    """What a training leaves: weights, those part-way, curves."""
    files = [Path(f"models/{name}.ckpt"), *MODELS[name].part_way.iterdir(), Path(f"reports/train/{name}.csv")]
    return {str(file): file.read_bytes() for file in files}


def batches_of_an_epoch(workspace: Path, name: str) -> int:
    model = MODELS[name]
    data = model.make_datamodule(load_params(workspace / "params.yaml").model_section(name))
    data.setup("fit")
    return len(data.train_dataloader())


@pytest.fixture
def killed(workspace: Path, name: str) -> Iterator[Callable[[int], None]]:
    """Kills a training after a step; in the end the training goes on, and its outputs are those of one undisturbed."""
    train(workspace, name)
    undisturbed = outputs(name)
    for file in undisturbed:
        Path(file).unlink()
    yield lambda step: train_until_killed(workspace, name, step)
    assert not Path(f"models/{name}.ckpt").exists()
    train(workspace, name)
    assert outputs(name) == undisturbed


@pytest.mark.parametrize("name", MODELS)
def test_a_training_killed_inside_an_epoch_ends_with_the_same_bytes(
    workspace: Path, name: str, killed: Callable[[int], None]
) -> None:
    killed(batches_of_an_epoch(workspace, name) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_training_killed_at_any_step_ends_with_the_same_bytes(
    workspace: Path, name: str, killed: Callable[[int], None]
) -> None:
    batches = batches_of_an_epoch(workspace, name)
    last = (EPOCHS - 1) * batches
    for step in (1, batches, batches + 1 + batches // 2, last + 1, last + batches):
        killed(step)
