"""A run of W&B: whose it is, and that its trouble stops nothing."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
from offline_runs import of_kind, records, run_folders, summary

from pipeline.tracking import run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which W&B's own variables are not set."""
    for variable in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(variable)
    for variable in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_SILENT"):
        monkeypatch.setenv(variable, "true" if variable == "WANDB_SILENT" else str(tmp_path / "runs/wandb"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def started(monkeypatch: pytest.MonkeyPatch, broken: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """What wandb.init is called with; it fails in the broken modes and begins nothing in the others."""
    calls: list[dict[str, Any]] = []

    def init(**options: Any) -> Any:
        calls.append(options)
        if options["mode"] in broken:
            raise OSError("no space left")
        return SimpleNamespace(disabled=False)

    monkeypatch.setattr(wandb, "init", init)
    return calls


def test_a_run_is_named_and_tagged_by_its_model_and_stage(here: Path) -> None:
    logger = run.start("pidoc-mass", "train", {"seed": 1})
    logger.log_metrics({"train/loss": 2.0}, step=3)
    logger.log_summary({"exported_epoch": 4})
    run.finish()
    [folder] = run_folders(here)
    found = records(folder)
    [begun] = of_kind(found, "run")
    assert (begun["display_name"], begun["job_type"], begun["tags"]) == ("pidoc-mass", "train", ["pidoc-mass", "pidoc"])
    assert begun["config"]["update"]["seed"] == 1
    numbers = summary(found)
    assert (numbers["train/loss"], numbers["trainer/global_step"], numbers["exported_epoch"]) == (2.0, 3, 4)
    assert of_kind(found, "exit")[0].get("exit_code", 0) == 0


def test_a_run_that_fails_is_marked_so(here: Path) -> None:
    with pytest.raises(KeyError), run.closing():
        run.start("gnn", "train", {})
        raise KeyError
    assert of_kind(records(run_folders(here)[0]), "exit")[0]["exit_code"] == 1
    assert wandb.run is None


def test_new_runs_have_new_ids_and_one_that_goes_on_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = started(monkeypatch)
    monkeypatch.setenv("WANDB_RUN_ID", "of-another-stage")
    file = Path("run_id")
    for job_type, run_id in (("evaluate", None), ("evaluate", None), ("train", run.kept_id(file))):
        run.start("gnn", job_type, {}, run_id)
    file_of_a_new_training = Path("new")
    ids = [call["id"] for call in calls] + [run.kept_id(file_of_a_new_training), "of-another-stage"]
    assert len(set(ids)) == 5
    assert run.kept_id(file) == calls[2]["id"]


def test_the_first_training_of_a_sweeps_trial_is_the_run_of_its_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = started(monkeypatch)

    def trial(job_type: str) -> str:
        monkeypatch.setenv("WANDB_RUN_ID", "trial1")
        monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
        run.start("gnn", job_type, {}, "own-id")
        return str(calls[-1]["id"])

    assert trial("evaluate") == "own-id" and "WANDB_SWEEP_ID" not in os.environ
    assert trial("train") == "trial1" and os.environ["WANDB_SWEEP_ID"] == "sweep1"
    (run.FOLDER / "wandb/run-20260101_000000-trial1").mkdir(parents=True)
    assert trial("train") == "own-id" and "WANDB_RUN_ID" not in os.environ


@pytest.mark.parametrize(
    ("environment", "group"),
    [
        ({"WANDB_RUN_GROUP": "mine", "DVC_EXP_NAME": "salty-apes"}, "mine"),
        ({"DVC_EXP_NAME": "salty-apes"}, "salty-apes"),
        ({}, "no-commit"),
        ({"PATH": ""}, "no-commit"),
    ],
)
def test_groups(environment: dict[str, str], group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run.run_group() == group


def test_a_run_that_cannot_be_recorded_is_told_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = started(monkeypatch, broken=("offline",))
    monkeypatch.setenv("WANDB_MODE", "online")
    run.start("gnn", "train", {})
    assert [call["mode"] for call in calls] == ["offline", "disabled"]
    [said] = capsys.readouterr().err.splitlines()
    assert "no space left" in said and "not recorded" in said


def test_a_sender_that_does_not_start_is_told_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def send(*_: Any) -> None:
        raise OSError("cannot fork")

    calls = started(monkeypatch)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(run, "_send", send)
    run.start("gnn", "train", {})
    assert [call["mode"] for call in calls] == ["offline"]
    [said] = capsys.readouterr().err.splitlines()
    assert "cannot fork; the stage goes on" in said


def test_runs_of_a_queued_experiment_lie_in_the_project(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC deletes the copy in which it runs it."""
    calls = started(monkeypatch)
    copy = here / ".dvc/tmp/exps/tmp1234"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    run.start("gnn", "train", {})
    assert calls[0]["dir"] == str(here / "runs/wandb") and not list(copy.iterdir())


def test_other_ranks_begin_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = started(monkeypatch)
    monkeypatch.setattr(run.rank_zero_only, "rank", 1)
    logger = run.start("gnn", "train", {})
    logger.log_metrics({"loss": 1.0}, step=0)
    logger.log_summary({"loss": 1.0})
    assert not calls and not list(here.iterdir())


def test_trouble_is_told_once_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started(monkeypatch)  # its run can do nothing
    logger = run.start("gnn", "train", {})
    for step in range(3):
        logger.log_metrics({"loss": 1.0}, step=step)
        logger.log_image("picture", ["no such file.png"], step=step)
        logger.log_summary({"loss": 1.0})
        logger.log_input(wandb.Artifact("data", "dataset"))
        logger.log_output(wandb.Artifact("weights", "model"))
    assert len(capsys.readouterr().err.splitlines()) == 1
