"""What a stage logs arrives at W&B's server: a stand-in of it holds what came, the test what was logged."""

import asyncio
import json
import os
import resource
import socket
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
from conftest import edit_params, run_stage
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.wandb_stand_in import StandIn, serving
from pipeline.tracking import live, run
from pipeline.tracking.recorded import is_whole

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
    """Log metrics, a picture, a table, a histogram, a summary, an input and an output; return the run's id."""
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_that_goes_on_arrives_as_one(
    healthy: StandIn, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for part in range(3):
        with run.closing():
            logger = run.start("gnn", "train", CONFIG, "resumed1")
            for step in range(10 * part, 10 * part + 10):
                logger.log_metrics({"step/loss": float(step)}, step)
        time.sleep(1)  # wandb names the folder of a run by the second
    sync(*sorted(Path("runs/wandb/wandb").glob("offline-run-*")))
    history = healthy.runs["resumed1"].history
    assert [row["step/loss"] for row in history] == list(range(30))
    assert [row["_step"] for row in history] == list(range(30))
    assert warnings(capfd) == []


class Faulty:
    """A server with a fault: ``fault(path)`` is a status to answer with, "hang", or None where all is well."""

    def __init__(self, app: Any, fault: Callable[[str], int | str | None]) -> None:
        self.app, self.fault = app, fault

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        fault = self.fault(scope["path"]) if scope["type"] == "http" else None
        if fault == "hang":
            await asyncio.sleep(3600)
        elif isinstance(fault, int):
            await Request(scope, receive).body()
            await JSONResponse({"errors": [{"message": "out of order"}]}, fault)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


FAULTS: dict[str, tuple[Callable[[str], int | str | None], str]] = {
    "answers 500": (lambda path: 500, "no answer for"),
    "hangs at init": (lambda path: "hang", "no answer for"),
    "hangs while files are uploaded": (lambda path: "hang" if path.startswith("/storage") else None, "no answer for"),
    "hangs while metrics are sent": (lambda path: "hang" if path.endswith("file_stream") else None, "no answer for"),
    "wrong key": (lambda path: 401, "out of order"),
}


def assert_nothing_is_lost(run_id: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of the warning brings the whole run to a server that works."""
    repaired = StandIn(folder / "repaired")
    with serving(repaired.app()) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        sync(recorded(run_id))
    assert_arrived(repaired, run_id)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_server_out_of_order_holds_no_stage_and_loses_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fault, reason = FAULTS[name]
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(live, "SECONDS_TO_FINISH", 3.0)
    with serving(Faulty(StandIn(tmp_path / "server").app(), fault)) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        start = time.monotonic()
        run_id = log_a_stage()
        wandb.teardown()
        assert time.monotonic() - start < 15
    (warning,) = warnings(capfd)
    assert reason in warning
    assert f"`wandb sync runs/wandb/wandb/{recorded(run_id).name}`" in warning
    assert_nothing_is_lost(run_id, tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_server_that_dies_halfway_holds_no_stage_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(live, "SECONDS_TO_FINISH", 3.0)
    dying = StandIn(tmp_path / "server")
    server = ExitStack()
    monkeypatch.setenv("WANDB_BASE_URL", server.enter_context(serving(dying.app())))

    def die() -> None:
        deadline = time.monotonic() + 30
        while not dying.runs and time.monotonic() < deadline:
            time.sleep(0.05)
        server.close()

    run_id = log_a_stage(between=die)
    assert list(dying.runs) == [run_id]
    assert dying.runs[run_id].exit_code is None
    (warning,) = warnings(capfd)
    assert "no answer for" in warning
    assert_nothing_is_lost(run_id, tmp_path, monkeypatch)


@pytest.mark.slow
def test_stages_beside_a_server_that_hangs_write_their_outputs(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(live, "SECONDS_TO_FINISH", 1.0)
    edit_params(workspace, {"gnn.trainer.max_epochs": 2})
    with serving(Faulty(StandIn(workspace / "server").app(), lambda path: "hang")) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        run_stage("train", "gnn")
        run_stage("evaluate", "gnn")
    assert len(warnings(capfd)) == 2
    assert Path("models/gnn.ckpt").is_file()
    report = json.loads(Path("reports/evaluate/gnn.json").read_text())
    healthy = StandIn(workspace / "repaired")
    with serving(healthy.app()) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        sync(*Path("runs/wandb/wandb").glob("offline-run-*"))
    runs = {arrived.fields["jobType"]: arrived for arrived in healthy.runs.values()}
    assert {key: runs["evaluate"].summary[key] for key in report} == report
    assert any("step/loss" in row for row in runs["train"].history)
    assert runs["train"].summary["exported_epoch"] in (0, 1)


@pytest.mark.parametrize("missing", ["server", "key"])
def test_without_a_server_or_a_key_the_stage_says_so_at_once(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    if missing == "key":
        monkeypatch.delenv("WANDB_API_KEY")
        monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with run.closing():
        logger = run.start("gnn", "train", CONFIG)
        logger.log_metrics({"step/loss": 1.0}, 0)
    (warning,) = warnings(capfd)
    assert {"server": "127.0.0.1 cannot be reached", "key": "no API key"}[missing] in warning
    assert f"`wandb sync runs/wandb/wandb/{recorded(logger.experiment.id).name}`" in warning


def test_a_full_disk_is_told_of(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr("pipeline.tracking.recorded.SECONDS_TO_WRITE", 0.5)
    with run.closing():
        logger = run.start("gnn", "train", CONFIG)
        folder = Path(logger.experiment.dir).parent
        (core,) = [child for child in psutil.Process().children() if child.name() == "wandb-core"]
        resource.prlimit(core.pid, resource.RLIMIT_FSIZE, (20_000, 20_000))
        for step in range(400):
            logger.log_metrics({"step/loss": 1.0, "step/lr": 0.1}, step)
    (warning,) = warnings(capfd)
    assert str(folder) in warning
    assert "is the disk full?" in warning
    assert "reports/" in warning


def test_a_folder_that_cannot_be_written_moves_the_run_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    Path("runs").write_text("a file in the way: tests may run as root, whom no permission stops")
    with run.closing():
        logger = run.start("gnn", "train", CONFIG)
        folder = Path(logger.experiment.dir).parent
        logger.log_metrics({"step/loss": 1.0}, 0)
    (warning,) = warnings(capfd)
    assert str(folder.parents[1]) in warning
    assert "`wandb sync`" in warning
    assert is_whole(folder / f"run-{logger.experiment.id}.wandb")


@pytest.mark.parametrize(("bypass", "reached"), [("", "proxy"), ("*", "nowhere.invalid")])
def test_a_server_behind_a_proxy_is_reached_through_it(
    bypass: str, reached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setenv("WANDB_BASE_URL", "https://nowhere.invalid")
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", bypass)
    assert live.trouble() is None
    assert asked == [(reached, 3128 if reached == "proxy" else 443)]
