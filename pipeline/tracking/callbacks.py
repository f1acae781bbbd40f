"""Callbacks that show a training to the tracker and leave no trace in it."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn.utils import get_total_norm

SECONDS_BETWEEN_POINTS = 1.0
PICTURES = 12  # of each kind in a training
SHARE_OF_TIME = 0.01  # of a process, that pictures may take beside the first and the last
WIDTH = 400  # pixels to which small pictures are enlarged


class StepCurves(Callback):
    """Logs loss, learning rate, norms, throughput and memory of one step about each second, on rank 0.

    ``step/gradient_norm`` is that before clipping; ``step/memory_gb`` the peak, of the GPU or else of the process.
    Time spent in validation does not count in ``step/samples_per_second``.
    """

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.last = float("-inf")
        self.due = False
        self.values: dict[str, Any] = {}
        self._begin_to_count()

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.due = trainer.is_global_zero and time.monotonic() - self.last >= SECONDS_BETWEEN_POINTS

    def on_before_optimizer_step(self, trainer: pl.Trainer, module: Any, optimizer: Any) -> None:
        if self.due:
            gradients = [weight.grad for weight in module.parameters() if weight.grad is not None]
            self.values = {"lr": optimizer.param_groups[0]["lr"], "gradient_norm": get_total_norm(gradients)}

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.samples += len(next(iter(batch.values()))) * trainer.world_size
        if not self.due:
            return
        self.values |= {
            "loss": outputs["loss"],
            "weight_norm": get_total_norm([weight.detach() for weight in module.parameters()]),
            "memory_gb": memory_gb(module.device),
        }
        numbers = {f"step/{name}": float(value) for name, value in self.values.items()}  # a GPU is waited for here
        self.last = time.monotonic()
        numbers["step/samples_per_second"] = self.samples / (self.last - self.since)
        trainer.logger.log_metrics(numbers, step=trainer.global_step - 1)  # type: ignore[union-attr]
        self._begin_to_count()

    def on_validation_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.paused = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, module: Any) -> None:
        self.since += time.monotonic() - self.paused

    def _begin_to_count(self) -> None:
        self.since = time.monotonic()
        self.samples = 0


class ExampleImages(Callback):
    """Logs the module's example images a dozen times, evenly over the steps, on rank 0; fewer where they take long.

    The last are those of the exported weights, if this stands after the callback that restores them.
    """

    batch: Any = None

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        last = int(trainer.estimated_stepping_batches)
        self.due = {1 + round(k * (last - 1) / (PICTURES - 1)) for k in range(PICTURES - 1)}
        self.start, self.spent = time.process_time(), 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        now = time.process_time()
        if trainer.global_step in self.due and self.spent <= SHARE_OF_TIME * (now - self.start):
            self._log(trainer, module)
            if trainer.global_step > 1:  # the first one imports what the others use
                self.spent += time.process_time() - now

    def on_train_end(self, trainer: pl.Trainer, module: Any) -> None:
        self._log(trainer, module)

    def _log(self, trainer: pl.Trainer, module: Any) -> None:
        if not trainer.is_global_zero:
            return
        logger: Any = trainer.logger
        with logger.forgiving():  # unusual data may have no picture; they can be trained on all the same
            for name, image in self._draw(trainer, module).items():
                logger.log_image(f"examples/{name}", [pixels(image)], step=trainer.global_step - 1)

    def _draw(self, trainer: pl.Trainer, module: Any) -> dict[str, Tensor]:
        with undisturbed(module), trainer.precision_plugin.forward_context():
            if self.batch is None:
                self.batch = next(iter(trainer.datamodule.val_dataloader()), None)  # type: ignore[attr-defined]
            if self.batch is None:
                return {}
            batch = trainer.precision_plugin.convert_input(trainer.strategy.batch_to_device(self.batch))
            return module.example_images(batch)


@contextmanager
def undisturbed(module: torch.nn.Module) -> Iterator[None]:
    """Evaluate without gradients, then put the modes of all layers and the state of all random numbers back."""
    training = [layer for layer in module.modules() if layer.training]
    devices = range(torch.cuda.device_count()) if module.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad():
        module.eval()
        try:
            yield
        finally:
            for layer in training:
                layer.training = True


def pixels(image: Tensor) -> np.ndarray[Any, Any]:
    """An image (1 or 3, height, width) in [0, 1] as bytes, (height, width, 1 or 3), small ones enlarged."""
    factor = max(1, round(WIDTH / image.shape[-1]))
    large = image.float().cpu().repeat_interleave(factor, -1).repeat_interleave(factor, -2)
    return (large.nan_to_num().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def memory_gb(device: torch.device) -> float:
    """The most memory that was in use: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
