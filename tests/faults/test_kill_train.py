"""A training is killed, told to end, or finds a damaged checkpoint: the same weights and curves, little done twice."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from faults.harness import environment, kill, killed_at, pause, run, setting, stage, start
from faults.wall_clock import clock

pytestmark = pytest.mark.fault

BATCH = ("pipeline.training.callbacks", "SeedEachBatch.on_train_batch_start")
AT_EACH_STEP = (
    ("pipeline.training.resume", "LEAST_SECONDS", -1.0),
    ("pipeline.training.resume", "MOST_SECONDS", -1.0),
)


def checkpoint(name: str, file: str = "last.ckpt") -> Path:
    [found] = Path("runs/train", name).glob(f"*/{file}")
    return found


def step_of(file: Path) -> int:
    return int(torch.load(file, weights_only=True)["global_step"])


def run_id(name: str) -> str:
    return checkpoint(name, "run_id").read_text()


@pytest.mark.parametrize("name, inside", [("gnn", 5), ("rbm", 3), ("pidoc-mass", 4)])
def test_killed_at_three_places(name: str, inside: int, workspace: Path, same: Callable[..., None]) -> None:
    """At the first batch, inside an epoch, and between the two renames of the second checkpoint."""
    command = stage("train", name)
    often = setting(command, *AT_EACH_STEP)
    killed_at(pause(command, *BATCH), SET=often)
    begun_as = run_id(name)
    killed_at(pause(command, *BATCH, others=inside), SET=often)
    assert step_of(checkpoint(name)) == inside, "a step is done again"
    killed_at(pause(command, "os", "replace", "/.last.", others=1), SET=often)
    assert run_id(name) == begun_as
    assert not list(workspace.glob("models/*.ckpt"))
    run(command, env=environment(SET=often))
    same("train", name)
    assert list(workspace.glob("runs/train/*/*")) == []


def test_told_to_end_inside_an_epoch(workspace: Path, same: Callable[..., None]) -> None:
    """A scheduler, DVC or a person sends SIGTERM: a checkpoint first, and no step is done again."""
    command = stage("train", "gnn")
    place = pause(command, *BATCH, others=3)
    training = start(command, env=place.env())
    place.reached(training)
    kill(training, signal.SIGTERM)
    place.go_on()
    assert training.end() == 128 + signal.SIGTERM, training.output
    assert "Traceback" not in training.output
    assert step_of(checkpoint("gnn")) == 4
    run(command)
    same("train", "gnn")


def cut(file: Path) -> None:
    """As a crash of the machine leaves it."""
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def flip(file: Path) -> None:
    """One bit of one tensor: what a bad disk does."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "harm, files", [(cut, ["last.ckpt"]), (flip, ["last.ckpt"]), (flip, ["last.ckpt", "previous.ckpt"])]
)
def test_damaged_checkpoint(
    harm: Callable[[Path], None], files: list[str], workspace: Path, same: Callable[..., None]
) -> None:
    command = stage("train", "rbm")
    killed_at(pause(command, *BATCH, others=4), SET=setting(command, *AT_EACH_STEP))
    for file in files:
        harm(checkpoint("rbm", file))
    training = run(command)
    warnings = [line for line in training.output.splitlines() if line.startswith("warning: ")]
    assert [file for file, line in zip(files, warnings, strict=True) if file in line and "damaged" in line] == files
    assert ("previous.ckpt" if len(files) == 1 else "begins again") in warnings[-1]
    same("train", "rbm")


def test_the_clock_is_set_back(workspace: Path, same: Callable[..., None]) -> None:
    """By a day between kill and resume, and by another while it trains."""
    command = stage("train", "rbm")
    often = setting(command, *AT_EACH_STEP)
    killed_at(pause(command, *BATCH, others=2), SET=often)
    place = pause(command, *BATCH, others=2)
    training = start(command, env=place.env(SET=often, **clock(-86_400)))
    place.reached(training)
    clock(-2 * 86_400)
    place.go_on()
    assert training.end() == 0, training.output
    same("train", "rbm")
