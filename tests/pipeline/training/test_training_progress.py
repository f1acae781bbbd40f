import re
import time
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from pipeline import progress
from pipeline.training.callbacks import Progress


class Slow(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        time.sleep(0.05)
        return self.net(batch).square().mean()

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        time.sleep(0.05)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(**settings: Any) -> None:
    data = DataLoader(torch.ones(8, 1), batch_size=2)
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[Progress("slow")],
        **settings,
    )
    trainer.fit(Slow(), data, data)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST", 0.05)
    monkeypatch.setattr(progress, "EVERY", 0.05)
    monkeypatch.setattr("pipeline.training.callbacks.SECONDS_BETWEEN_LOOKS", 0.0)


@pytest.mark.usefixtures("quick")
def test_lines_tell_step_epoch_loss_and_time_left(capfd: pytest.CaptureFixture[str]) -> None:
    fit()
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("train slow: ")]
    pattern = r"train slow: \d+ of 12 after \d+ s, epoch \d of 3(, validation)?, loss [\d.e+-]+, \d+ s left"
    told = [line for line in lines if re.fullmatch(pattern, line)]
    assert len(told) > 10, lines
    assert any("validation" in line for line in told)
    steps = [int(line.split()[2]) for line in lines]
    assert steps == sorted(steps)


@pytest.mark.usefixtures("quick")
def test_line_ends_with_a_training_that_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(Slow, "validation_step", fail)
    with pytest.raises(ValueError, match="no"):
        fit()
    capfd.readouterr()
    time.sleep(0.2)
    assert "train slow" not in capfd.readouterr().err


@pytest.mark.usefixtures("quick")
def test_other_ranks_tell_nothing(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pl.Trainer, "is_global_zero", False)
    fit()
    assert "train slow" not in capfd.readouterr().err


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("rank", progress.RANKS)
def test_processes_of_other_ranks_tell_nothing(
    rank: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(rank, "1")
    with progress.progress("x", 2) as show:
        show(1)
        time.sleep(0.2)
    assert capfd.readouterr().err == ""
