"""Checkpoints come by time, damaged ones are left out, and a signal ends a training with one."""

import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pipeline.errors import InputError
from pipeline.training import resume
from pipeline.training.resume import LAST, PREVIOUS, ResumePoint, TwoCheckpoints, last_good

BATCHES = 10_000


class Training:
    """As much of a Trainer as a ResumePoint sees, on a clock of its own; of two processes, the second is this one too.

    Args:
        step: seconds that a step takes.
        save: seconds that a checkpoint takes.
    """

    num_training_batches, is_global_zero = BATCHES, True

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: float, save: float = 0.1, world_size: int = 1) -> None:
        self.now, self.step, self.save, self.world_size = 1000.0, step, save, world_size
        self.global_step, self.saves, self.looks = 0, [], 0
        self.strategy = SimpleNamespace(reduce=self.reduce, root_device="cpu")
        monkeypatch.setattr(resume, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        self.point = ResumePoint(Path(LAST))
        self.point.on_train_start(self, None)  # type: ignore[arg-type]

    def reduce(self, own: torch.Tensor, reduce_op: str) -> torch.Tensor:
        self.looks += 1
        return own

    def save_checkpoint(self, path: Path) -> None:
        self.saves.append(self.now)
        self.now += self.save

    def take(self, steps: int) -> None:
        for batch in range(steps):
            self.now += self.step
            self.global_step += 1
            self.point.on_train_batch_end(self, None, None, None, batch)  # type: ignore[arg-type]


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize(("step", "save"), [(0.01, 0.1), (0.7, 0.1), (0.7, 1.0), (4.0, 3.0), (0.3, 10.0)])
def test_checkpoints_come_at_least_each_half_minute(
    monkeypatch: pytest.MonkeyPatch, step: float, save: float, world_size: int
) -> None:
    training = Training(monkeypatch, step, save, world_size)
    training.take(min(BATCHES - 1, int(300 / step)))
    free = [b - a - save for a, b in zip([1000.0 - save, *training.saves], training.saves, strict=False)]
    assert len(free) > 3
    assert all(15 <= seconds <= 30 for seconds in free)
    if save <= 1.25:
        assert save / (save + min(free[1:])) < 0.06  # the first does not know yet what it costs


def test_two_processes_look_at_each_other_each_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, 0.01, world_size=2)
    training.take(9000)
    assert 90 / 5 <= training.looks <= 90 / 5 + 3


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_signal_is_obeyed_after_the_step(monkeypatch: pytest.MonkeyPatch, world_size: int) -> None:
    training = Training(monkeypatch, 0.5, world_size=world_size)
    training.take(3)
    training.point._note()
    with pytest.raises(SystemExit) as stop:
        training.take(11)
    assert stop.value.code == 143
    assert len(training.saves) == 1 and training.global_step <= 14


def test_another_process_was_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, 0.5, world_size=2)
    monkeypatch.setattr(training.strategy, "reduce", lambda own, reduce_op: own.maximum(torch.tensor([1, 0, 0])))
    with pytest.raises(SystemExit):
        training.take(1)
    assert len(training.saves) == 1


def test_nothing_is_saved_after_the_last_batch_of_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, 100.0)
    training.num_training_batches = 3  # type: ignore[misc]
    training.take(3)
    assert len(training.saves) == 2
    training.point.on_train_epoch_end(training, None)  # type: ignore[arg-type]
    assert len(training.saves) == 3


def test_processes_that_found_different_checkpoints_are_refused() -> None:
    point = ResumePoint(Path("runs/train/gnn/x/last.ckpt"))
    module: Any = SimpleNamespace(device="cpu", all_gather=lambda own: torch.stack([own, torch.tensor(7)]))
    with pytest.raises(InputError, match="runs/ must be one folder for all of them"):
        point.on_fit_start(None, module)  # type: ignore[arg-type]
    point.on_load_checkpoint(None, None, {"global_step": 7})  # type: ignore[arg-type]
    point.on_fit_start(None, module)  # type: ignore[arg-type]


def write(folder: Path, *numbers: int) -> None:
    for number in numbers:
        content = {"weight": torch.full((1000,), float(number)), "loops": {"step": number}}
        TwoCheckpoints().save_checkpoint(content, folder / LAST)


def number_in(file: Path | None) -> int | None:
    return None if file is None else torch.load(file, weights_only=True)["loops"]["step"]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    """One bit in the middle of the tensor."""
    with zipfile.ZipFile(file) as archive:
        [tensor] = [entry for entry in archive.infolist() if entry.file_size == 4000]
    content = bytearray(file.read_bytes())
    content[tensor.header_offset + 2000] ^= 1
    file.write_bytes(content)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def bomb(file: Path) -> None:
    torch.save({"state_dict": Bomb()}, file)


def test_the_newest_of_two_checkpoints_is_taken(tmp_path: Path) -> None:
    assert last_good(tmp_path) is None
    write(tmp_path, 1, 2)
    assert number_in(last_good(tmp_path)) == 2
    assert number_in(tmp_path / PREVIOUS) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == [LAST, PREVIOUS]


@pytest.mark.parametrize("damage", [cut, empty, flip, bomb])
def test_a_damaged_checkpoint_is_left_out(
    tmp_path: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/train/gnn")
    write(folder, 1, 2)
    damage(folder / LAST)
    assert number_in(last_good(folder)) == 1
    assert capsys.readouterr().err == f"warning: {folder / LAST}: damaged, the training goes on from previous.ckpt\n"
    write(folder, 3)
    assert number_in(folder / PREVIOUS) == 1, "not the damaged one"
    for file in (folder / LAST, folder / PREVIOUS):
        damage(file)
    assert last_good(folder) is None
    assert capsys.readouterr().err.endswith("previous.ckpt: damaged, the training begins again\n")
    assert not Path("exploded").exists()
