"""A training and its run: one survives what the other does, and the weights know nothing of it."""

import csv
import math
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ROOT, edit_params, run_stage, section_of
from offline_runs import history, of_kind, records, run_folders, summary

from pipeline.dashboard import EXAMPLES, STEPS
from pipeline.settings.load import load_params
from pipeline.tracking import callbacks as tracking_callbacks
from pipeline.tracking.training import run_of
from pipeline.training import callbacks
from pipeline.training.registry import MODELS

EPOCHS = 4


@pytest.fixture
def offline(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace of a test in which W&B writes its runs."""
    for variable in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(workspace / "runs/wandb"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(tracking_callbacks, "SECONDS_BETWEEN_POINTS", 0.0)
    monkeypatch.setattr(tracking_callbacks, "SHARE_OF_TIME", math.inf)
    return workspace


def train(workspace: Path, name: str) -> bytes:
    edit_params(workspace, {f"{section_of(name)}.trainer.max_epochs": EPOCHS})
    run_stage("train", name)
    return (workspace / f"models/{name}.ckpt").read_bytes()


def terminate_in_epoch(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGTERM as SLURM, DVC or a person sends it, before the first batch of an epoch."""

    def terminate(self: callbacks.Curves, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == epoch and batch_idx == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(callbacks.Curves, "on_train_batch_start", terminate, raising=False)


def run_id(folder: Path) -> str:
    return folder.name.split("-")[3]  # after offline-run-TIME; runs of one second have a number behind it


def test_a_killed_training_goes_on_in_its_run_and_a_second_one_has_another(
    offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        terminate_in_epoch(EPOCHS - 1, patch)
        with pytest.raises(SystemExit) as stop:
            train(offline, "gnn")
        assert stop.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    weights = train(offline, "gnn")
    assert train(offline, "gnn") == weights

    killed, resumed, second = run_folders(offline)
    assert run_id(killed) == run_id(resumed) != run_id(second)
    assert of_kind(records(killed), "exit")[0]["exit_code"] == 1
    check_what_a_run_tells(records(second), Path("reports/train/gnn.csv"))
    steps = [step for step, _ in history(records(resumed), "step/loss")]
    assert min(steps) > 0 and steps[-1] == history(records(second), "step/loss")[-1][0]


def check_what_a_run_tells(found: list[dict[str, Any]], curves: Path) -> None:
    assert of_kind(found, "exit")[0].get("exit_code", 0) == 0
    with curves.open(newline="") as file:
        rows = list(csv.DictReader(file))
    best = min(rows, key=lambda row: float(row["val/loss"]))
    numbers = summary(found)
    assert numbers["exported_epoch"] == int(best["epoch"])
    for name, value in best.items():
        assert numbers[name] == float(value)
    assert [value for _, value in history(found, "val/loss")] == pytest.approx([float(r["val/loss"]) for r in rows])
    pictures = [step for step, _ in history(found, "examples/rollouts_and_simulations._type")]
    assert pictures[0] == 0 and pictures == sorted(set(pictures))
    [config] = [begun["config"]["update"] for begun in of_kind(found, "run")]
    assert set(config) - {"_wandb"} == {"model", "data", "trainer", "seed", "dataset"}
    assert config["trainer"]["max_epochs"] == EPOCHS and config["dataset"]["path"] == "data/nbody"
    [artifact] = of_kind(found, "artifact")
    assert (artifact["name"], artifact["type"]) == ("models-gnn", "model")


def test_a_training_that_fails_is_a_failed_run(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(callbacks.Curves, "on_train_epoch_end", fail)
    with pytest.raises(ValueError, match="no"):
        train(offline, "boltzmann")
    [folder] = run_folders(offline)
    assert of_kind(records(folder), "exit")[0]["exit_code"] == 1


def test_a_disabled_run_asks_dvc_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: Any) -> None:
        raise AssertionError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr("pipeline.tracking.config.provenance", asked)
    monkeypatch.setattr("pipeline.tracking.artifacts.provenance", asked)
    trainer = SimpleNamespace(is_global_zero=True, logger=None)
    training: Any = SimpleNamespace(
        name="gnn",
        trainer=trainer,
        section=load_params(ROOT / "params.yaml").model_section("gnn"),
        checkpoint=tmp_path / "last.ckpt",
    )
    with run_of(training) as logger:
        assert trainer.logger is logger and not logger.recorded


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_weights_know_nothing_of_curves_and_pictures(offline: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = train(offline, name)
    [folder] = run_folders(offline)
    found = records(folder)
    keys = {key for record in of_kind(found, "history") for key in record["item"]}
    assert {key.removeprefix("examples/").partition(".")[0] for key in keys if key.startswith("examples/")} == {
        EXAMPLES[name]
    }
    assert set(STEPS) <= keys
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert train(offline, name) == watched
