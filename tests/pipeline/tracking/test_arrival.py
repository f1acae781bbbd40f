"""What a stage logs arrives at W&B's server: a stand-in of it holds what came, the test what was logged."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import wandb
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.wandb_stand_in import StandIn, serving
from pipeline.tracking import live, run

KEY = "k" * 40
CONFIG = {
    "model": {"hidden": [64, 64], "lr": 1e-3},
    "seed": 7,
    "dataset": {"path": "data/nbody", "md5": {"data/nbody": "0f"}},
}
ROWS = 25
PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
PLACES = ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty current folder; wandb's own process ends with each test and with what it knew of the environment."""
    wandb.teardown()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    for variable in (*PLACES, "WANDB_SILENT", "WANDB_ERROR_REPORTING", "WANDB_SERVICE"):
        monkeypatch.setenv(variable, "")  # so that what a stage sets is undone
        monkeypatch.delenv(variable)
    yield
    wandb.teardown()


@pytest.fixture
def healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    stand_in = StandIn(tmp_path / "server")
    with serving(stand_in.app()) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        yield stand_in


def log_a_stage(between: Callable[[], None] = lambda: None) -> str:
    """What stages log: metrics, a picture, a table, a histogram, a summary, an input and an output. Gives the run's id."""
    Path("models").mkdir(exist_ok=True)
    weights = Path("models/gnn.ckpt")
    weights.write_bytes(b"weights" * 1000)
    with run.closing():
        logger = run.start("gnn", "train", CONFIG)
        run_id = str(logger.experiment.id)
        data = wandb.Artifact("data-nbody", "dataset", metadata={"md5": "0f"})
        data.add_reference("dvc://data/nbody?md5=0f", name="data/nbody", checksum=False)
        logger.log_input(data)
        for step in range(ROWS):
            logger.log_metrics({"step/loss": 1 / (step + 1)}, step)
            if step == ROWS // 2:
                between()
        logger.log_image("examples/rollouts", [PIXELS], step=ROWS)
        table = wandb.Table(
            columns=["item", "truth", "picture"], data=[["a", 1.5, wandb.Image(PIXELS)], ["b", 2.5, None]]
        )
        logger.log_metrics({"held_out": table, "errors": wandb.Histogram(np_histogram=([3, 1], [0.0, 1.0, 2.0]))})
        model = wandb.Artifact("models-gnn", "model")
        model.add_file(str(weights))
        logger.log_output(model)
        logger.log_summary({"test/pixel_error_percent": 3.25, "exported_epoch": 4})
    weights.unlink()  # the next training replaces it, before the run is sent
    return run_id


def sync(*folders: Path) -> None:
    """The user's command, in a shell that knows nothing of the stage."""
    environment = {name: value for name, value in os.environ.items() if name not in PLACES}
    command = [sys.executable, "-m", "wandb", "sync", *map(str, folders)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def recorded(run_id: str) -> Path:
    return next(Path("runs/wandb/wandb").glob(f"offline-run-*-{run_id}"))


def assert_arrived(stand_in: StandIn, run_id: str) -> None:
    """All that ``log_a_stage`` logged is there, unchanged."""
    assert list(stand_in.runs) == [run_id]
    arrived = stand_in.runs[run_id]
    fields = {key: arrived.fields[key] for key in ("displayName", "jobType", "groupName", "tags", "project")}
    assert fields == {
        "displayName": "gnn",
        "jobType": "train",
        "groupName": run.run_group(),
        "tags": ["gnn"],
        "project": "star-clusters",
    }
    assert {key: arrived.config[key] for key in CONFIG} == CONFIG
    assert arrived.exit_code == 0
    curve = [(row["trainer/global_step"], row["step/loss"]) for row in arrived.history if "step/loss" in row]
    assert curve == [(step, 1 / (step + 1)) for step in range(ROWS)]
    assert [row["_step"] for row in arrived.history] == list(range(len(arrived.history)))
    assert arrived.summary["test/pixel_error_percent"] == 3.25
    assert arrived.summary["exported_epoch"] == 4
    histogram = next(row["errors"] for row in arrived.history if "errors" in row)
    assert (histogram["values"], histogram["bins"]) == ([3, 1], [0, 1, 2])
    assert_media_arrived(stand_in, run_id)
    assert stand_in.unknown == []


def assert_media_arrived(stand_in: StandIn, run_id: str) -> None:
    arrived = stand_in.runs[run_id]
    files = arrived.folder / "files"
    picture = next(row["examples/rollouts"] for row in arrived.history if "examples/rollouts" in row)
    assert np.array_equal(np.asarray(Image.open(files / picture["filenames"][0])), PIXELS)
    table = json.loads(
        (files / next(row["held_out"]["path"] for row in arrived.history if "held_out" in row)).read_text()
    )
    assert table["columns"] == ["item", "truth", "picture"]
    assert [row[:2] for row in table["data"]] == [["a", 1.5], ["b", 2.5]]
    artifacts = {artifact.name: artifact for artifact in stand_in.artifacts.values()}
    assert all(artifact.committed for artifact in artifacts.values())
    model, data = artifacts["models-gnn"], artifacts["data-nbody"]
    assert (model.folder / "files/gnn.ckpt").read_bytes() == b"weights" * 1000
    assert data.manifest["data/nbody"]["ref"] == "dvc://data/nbody?md5=0f"
    assert data.metadata == {"md5": "0f"}
    assert arrived.uses == [data.id]
    thumbnail = artifacts[f"run-{run_id}-held_out"].folder / "files" / table_picture(artifacts, run_id)
    assert np.array_equal(np.asarray(Image.open(thumbnail)), PIXELS)


def table_picture(artifacts: dict[str, Any], run_id: str) -> str:
    content = (artifacts[f"run-{run_id}-held_out"].folder / "files/held_out.table.json").read_text()
    return str(json.loads(content)["data"][0][2]["path"])


def warnings(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning:")]


def test_an_offline_run_arrives_when_it_is_synced(
    healthy: StandIn, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run_id = log_a_stage()
    assert not healthy.runs
    assert warnings(capfd) == []
    sync(recorded(run_id))
    assert_arrived(healthy, run_id)


def test_an_online_run_arrives_while_the_stage_runs(
    healthy: StandIn, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    known: list[bool] = []

    def until_it_is_known() -> None:
        deadline = time.monotonic() + 30
        while not healthy.runs and time.monotonic() < deadline:
            time.sleep(0.05)
        known.append(bool(healthy.runs))

    run_id = log_a_stage(between=until_it_is_known)
    assert known == [True]
    assert_arrived(healthy, run_id)
    assert warnings(capfd) == []
