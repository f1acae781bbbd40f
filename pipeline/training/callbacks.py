"""Callbacks that make a training exact, resumable and watchable."""

import csv
import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from pipeline.errors import InputError
from pipeline.outputs import atomic_file
from pipeline.progress import Show, progress

SECONDS_BETWEEN_LOOKS = 0.5  # at the loss: on a GPU a look waits for the step


class SeedEachBatch(Callback):
    """Seeds torch from (seed, step, rank) at each batch: a resumed training draws the same numbers.

    Lightning's checkpoints hold no state of torch's random numbers.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        # Without an accelerator torch.manual_seed writes down the whole stack for each kind: a third of a millisecond
        self.seed_all = torch.manual_seed if torch.accelerator.is_available() else torch.default_generator.manual_seed

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.seed_all((self.seed * 1_000_003 + trainer.global_step) * 4_099 + trainer.global_rank)

    def on_validation_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int, *_: Any) -> None:
        self.seed_all((self.seed * 1_000_003 + batch_idx) * 4_099 + trainer.global_rank)

    on_test_batch_start = on_validation_batch_start  # type: ignore[assignment]


class TrainMeans(Callback):
    """Logs the means of the training losses over each epoch; a checkpoint has those of an unfinished one.

    Lightning's own means are in no checkpoint. Sums are those of this process.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.rows = 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.sums = {name: value.to(module.device) for name, value in self.sums.items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        rows = len(next(iter(batch.values())))
        for name, value in outputs["losses"].items():
            precise = value.to(torch.promote_types(value.dtype, torch.float32))
            self.sums[name] = self.sums.get(name, 0.0) + precise * rows
        self.rows += rows

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        means = {f"train/{name}": value / self.rows for name, value in self.sums.items()}
        module.log_dict(means, batch_size=1, sync_dist=True)  # the batches of all processes are equally large
        self.sums, self.rows = {}, 0

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        sums = {name: every_process(module, value) for name, value in self.sums.items()}
        checkpoint["train_means"] = {"rows": self.rows, "sums": sums}

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.rows, sums = checkpoint["train_means"].values()
        for name, every in sums.items():
            self.sums[name] = every[trainer.global_rank % len(every)]


def every_process(module: pl.LightningModule, value: Tensor) -> Tensor:
    """The values () of all processes, (processes,), on the CPU."""
    every: Any = module.all_gather(value)
    return every.reshape(-1).cpu()


class Curves(Callback):
    """Keeps each epoch's metrics and stops at the first that is not finite.

    Lightning's CSVLogger starts a new file at each resume and rewrites its columns. What is logged when an epoch begins
    Lightning forgets where a training goes on in the middle of one.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.rows: list[dict[str, float]] = []
        self.metrics: dict[str, float] = {}  # so far, as a checkpoint had them

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in self.metrics.items()})

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise InputError(
                    f"{self.model}: {name} is {value} in epoch {trainer.current_epoch}; "
                    f"lower {self.model}.model.lr in params.yaml or look at the data"
                )
        self.rows.append({"epoch": trainer.current_epoch, **{name: float(f"{v:.7g}") for name, v in metrics.items()}})

    def on_save_checkpoint(self, trainer: pl.Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        checkpoint["curves"] = {"rows": self.rows, "metrics": metrics}

    def on_load_checkpoint(self, trainer: pl.Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        self.rows, self.metrics = checkpoint["curves"].values()

    def write(self, path: Path) -> None:
        """Write the curves, one row an epoch, a column a metric."""
        with atomic_file(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


class Progress(Callback):
    """Shows steps, epoch, loss and time left of a fit, on the first process alone.

    Lightning's RichProgressBar begins anew at each epoch and writes nothing to a pipe.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.shown = ExitStack()
        self.show: Show = lambda done, note="": None
        self.loss: Tensor | None = None
        self.last_look = 0.0

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        if trainer.is_global_zero:
            epochs, batches = trainer.max_epochs or 0, int(trainer.num_training_batches)
            line = progress(f"train {self.model}", epochs * batches, trainer.global_step)
            self.show = self.shown.enter_context(line)

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.loss = outputs["loss"]
        self._look(trainer, batch_idx + 1)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._look(trainer, int(trainer.num_training_batches), ", validation")

    def _look(self, trainer: pl.Trainer, batches: int, phase: str = "") -> None:
        now = time.monotonic()
        if self.loss is None or now - self.last_look < SECONDS_BETWEEN_LOOKS:
            return
        self.last_look = now
        done = trainer.current_epoch * int(trainer.num_training_batches) + batches
        epoch = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        self.show(done, f"{epoch}{phase}, loss {float(self.loss):.4g}")

    def on_train_end(self, trainer: pl.Trainer, module: Any) -> None:
        self.shown.close()

    def on_exception(self, trainer: pl.Trainer, module: Any, exception: BaseException) -> None:
        self.shown.close()


def _copy_of_weights(module: pl.LightningModule) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in module.state_dict().items()}


class BestWeights(Callback):
    """Keeps the weights of the epoch with the lowest monitored metric, and gives them back at the end.

    Lightning's ModelCheckpoint writes paths and times into its file: its bytes differ from run to run.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.best = math.inf
        self.epoch = -1
        self.weights: dict[str, Tensor] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        value = float(trainer.callback_metrics[self.monitor])
        if value < self.best:
            self.best, self.epoch = value, trainer.current_epoch
            self.weights = _copy_of_weights(module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        module.load_state_dict(self.weights)

    def on_fit_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.on_train_end(trainer, module)  # a training that was killed after its last epoch goes on with no other hook

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.epoch, self.weights = state_dict["best"], state_dict["epoch"], state_dict["weights"]


class KeptEpochs(Callback):
    """Keeps the weights after the epochs that the module names."""

    def __init__(self) -> None:
        self.weights: dict[int, dict[str, Tensor]] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        epochs = trainer.current_epoch + 1
        if epochs in module.kept_epochs:
            self.weights[epochs] = _copy_of_weights(module)

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.weights = state_dict["weights"]
