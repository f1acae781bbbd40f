"""What the tracker is told of a training, and that the telling leaves no trace in it."""

import math
from contextlib import AbstractContextManager, suppress
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers.logger import DummyLogger
from torch.utils.data import DataLoader

from pipeline.tracking import callbacks
from pipeline.tracking.callbacks import PICTURES, ExampleImages, StepCurves, pixels

EPOCHS, STEPS, RATE = 5, 8, 0.05


class Recorder(DummyLogger):
    """Remembers what was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[tuple[int, dict[str, float]]] = []
        self.images: list[tuple[int, str, np.ndarray[Any, Any]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        if "step/loss" in metrics:
            self.points.append((step, metrics))

    def log_image(self, key: str, images: list[Any], step: int) -> None:
        self.images.append((step, key, images[0]))

    def forgiving(self) -> AbstractContextManager[None]:
        return suppress(ValueError)


class Line(pl.LightningModule):
    """y = w x, from w = 2, with dropout that draws random numbers; plain gradient descent."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(self.net.weight, 2.0)
        self.dropout = torch.nn.Dropout(0.5)
        self.frozen = torch.nn.Dropout(0.5).eval()
        self.modes: list[bool] = []

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        self.modes += [self.dropout.training, self.frozen.training, self.training]
        return self.net(batch["x"]).square().mean()

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        self.net(batch["x"])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=RATE)

    def example_images(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        assert not torch.is_grad_enabled() and not self.dropout.training
        torch.rand(1)
        return {"weight": self.net.weight.detach().clone().view(1, 1, 1) / 2}


class Data(pl.LightningDataModule):
    def _loader(self) -> Any:
        return DataLoader([{"x": torch.full((1,), 3.0)}] * (2 * STEPS), batch_size=2)

    train_dataloader = val_dataloader = _loader


class Draws(pl.Callback):
    """The random numbers that a training sees."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self.seen.append(torch.rand(1).item())


def fit(*watchers: pl.Callback) -> tuple[Recorder, Line, list[float]]:
    torch.manual_seed(0)
    recorder, module, draws = Recorder(), Line(), Draws()
    trainer = pl.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", logger=recorder, callbacks=[draws, *watchers],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        gradient_clip_val=1.0,
    )  # fmt: skip
    trainer.fit(module, datamodule=Data())
    return recorder, module, draws.seen


def test_curves_of_steps_are_those_of_gradient_descent(monkeypatch: pytest.MonkeyPatch) -> None:
    """loss = 9 w², gradient 18 w before clipping to 1."""
    monkeypatch.setattr(callbacks, "SECONDS_BETWEEN_POINTS", 0.0)
    recorder, *_ = fit(StepCurves())
    assert [step for step, _ in recorder.points] == list(range(EPOCHS * STEPS))
    weight = 2.0
    for _, point in recorder.points:
        assert point["step/loss"] == pytest.approx(9 * weight**2, rel=1e-4)
        assert point["step/gradient_norm"] == pytest.approx(18 * weight, rel=1e-4)
        weight -= RATE * min(18 * weight, 1.0)
        assert point["step/weight_norm"] == pytest.approx(weight, rel=1e-4)
        assert point["step/lr"] == RATE
        assert 10 < point["step/samples_per_second"] < 1e6 and 0.05 < point["step/memory_gb"] < 100


def test_curves_are_paced_by_time_and_validation_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which a step takes 0.4 s and a validation 100 s."""
    now = 0.0

    class Clock(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            nonlocal now
            now += 0.4

        def on_validation_batch_end(self, *_: Any) -> None:
            nonlocal now
            now += 100 / STEPS

    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now)
    recorder, *_ = fit(Clock(), StepCurves())
    steps = [step for step, _ in recorder.points]
    assert steps[:3] == [0, 4, 8], "1.2 s after the end of a step is the first start of another after a second"
    assert all(point["step/samples_per_second"] == pytest.approx(2 / 0.4) for _, point in recorder.points[1:])


def test_pictures_are_spread_over_the_steps_and_end_with_the_last_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "SHARE_OF_TIME", math.inf)
    recorder, module, _ = fit(ExampleImages())
    steps = [step for step, *_ in recorder.images]
    assert len(steps) == PICTURES and steps[0] == 0 and steps[-1] == EPOCHS * STEPS - 1
    assert set(np.diff(steps)) == {3, 4}
    assert {key for _, key, _ in recorder.images} == {"examples/weight"}
    values = [int(image[0, 0, 0]) for *_, image in recorder.images]
    assert values == sorted(values, reverse=True) and values[-1] == round(255 * float(module.net.weight) / 2)


def test_pictures_that_take_long_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which a step takes 1 s and a picture 0.1 s, which may be drawn again when 10 s have passed."""
    now = 0.0

    def step(self: Line, *_: Any) -> None:
        nonlocal now
        now += 1.0

    def draw(self: Line, batch: Any) -> dict[str, torch.Tensor]:
        nonlocal now
        now += 0.1
        return {"weight": torch.zeros(1, 1, 1)}

    monkeypatch.setattr(callbacks.time, "process_time", lambda: now)
    monkeypatch.setattr(Line, "on_train_batch_start", step)
    monkeypatch.setattr(Line, "example_images", draw)
    recorder, *_ = fit(ExampleImages())
    assert [step for step, *_ in recorder.images] == [0, 4, 11, 21, 32, 39]


def test_watching_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "SECONDS_BETWEEN_POINTS", 0.0)
    monkeypatch.setattr(callbacks, "SHARE_OF_TIME", math.inf)
    _, alone, drawn_alone = fit()
    _, watched, drawn = fit(StepCurves(), ExampleImages())
    assert torch.equal(alone.net.weight, watched.net.weight) and drawn == drawn_alone
    assert watched.modes == alone.modes == [True, False, True] * (EPOCHS * STEPS)


def test_pictures_that_cannot_be_drawn_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(*_: Any) -> None:
        raise ValueError("no star in the picture")

    monkeypatch.setattr(Line, "example_images", draw)
    _, alone, drawn_alone = fit()
    recorder, watched, drawn = fit(ExampleImages())
    assert torch.equal(alone.net.weight, watched.net.weight) and drawn == drawn_alone
    assert watched.modes == alone.modes and not recorder.images


def test_pixels() -> None:
    image = torch.tensor([[[0.0, 2.0], [-1.0, torch.nan]]]).repeat_interleave(300, -1)
    picture = pixels(image)
    assert picture.shape == (2, 600, 1) and picture.dtype == np.uint8
    assert (picture[0, 300:] == 255).all() and not picture[:, :300].any() and not picture[1].any()
    assert pixels(torch.zeros(3, 10, 20)).shape == (200, 400, 3)
