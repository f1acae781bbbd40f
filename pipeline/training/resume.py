"""Checkpoints from which a killed training goes on: by time, at a signal, and the last that is whole."""

import os
import signal
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities import rank_zero_only

from pipeline.errors import InputError, warn
from pipeline.outputs import atomic_file

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
LEAST_SECONDS = 15.0  # between checkpoints
MOST_SECONDS = 25.0  # more only by the step that is at work and a look: half a minute
SHARE_OF_TIME = 0.05  # that checkpoints may take, within these bounds
SECONDS_BETWEEN_LOOKS = 5.0  # of several processes at each other
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # of schedulers, and of `dvc repro` that ends

# Lightning asks the loader, which need not know: the data module does
warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")


def last_good(folder: Path) -> Path | None:
    """The newest checkpoint of a folder that is whole; None: the training begins anew.

    Damaged ones are told and removed.
    """
    for file in (folder / LAST, folder / PREVIOUS):
        if file.is_file():
            if _is_whole(file):
                return file
            _discard(file)
    return None


def _is_whole(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:  # torch.load does not look at checksums
                return False
        torch.load(file, weights_only=True, mmap=True)
    except Exception:  # a damaged file may fail in any way
        return False
    return True


@rank_zero_only
def _discard(file: Path) -> None:
    older = file.with_name(PREVIOUS)
    instead = f"goes on from {PREVIOUS}" if file.name == LAST and older.is_file() else "begins again"
    warn(f"{file}: damaged, the training {instead}")
    file.unlink(missing_ok=True)


class TwoCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place, and keeps the one before it as ``previous.ckpt``."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``path``, of the folder in which the other one lies."""
        with atomic_file(Path(path)) as temporary:
            torch.save(checkpoint, temporary)
            if Path(path).exists():
                os.replace(path, Path(path).with_name(PREVIOUS))


class ResumePoint(Callback):
    """Writes ``last.ckpt`` every 15 to 30 seconds, and at SIGTERM or SIGUSR1, which end the training with status 143.

    Lightning's own checkpoint callback works by steps or epochs, and its own handler of SIGTERM talks to the other
    processes at once, so that all hang where each was sent the signal. Here a signal is but noted. Several processes
    look at agreed steps whether one of them was told to end, or a checkpoint is due: saving is collective.

    What a module does after each step belongs into ``optimizer_step``: its ``on_train_batch_end`` is called after the
    checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told = False  # to end
        self.resumed_at = 0
        self.wait = LEAST_SECONDS
        self.saved = time.monotonic()

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Write by :class:`TwoCheckpoints`."""
        trainer.strategy.checkpoint_io = TwoCheckpoints()

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the step."""
        self.resumed_at = checkpoint["global_step"]

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Refuse to go on from different steps.

        Raises:
            InputError: the processes have found different checkpoints.
        """
        steps: Any = module.all_gather(torch.tensor(self.resumed_at, device=module.device))
        if steps.min() < steps.max():
            raise InputError(f"{self.path.parent}: not the same on all nodes; runs/ must be one folder for all of them")

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Note signals from now on."""
        self._looked(trainer, trainer.global_step + 1)
        for number in SIGNALS:
            signal.signal(number, self._note)  # Lightning puts back what was there before

    def _note(self, *_: Any) -> None:
        self.told = True

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Look, but not after the last batch of an epoch: a training resumed there would leave out its validation."""
        last = batch_idx + 1 == trainer.num_training_batches
        if not last and (trainer.world_size == 1 or trainer.global_step >= self.next_look):
            self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        """Look."""
        self._look(trainer)

    def _look(self, trainer: pl.Trainer) -> None:
        """Save if it is time, save and end if a process was told to.

        Raises:
            SystemExit: with status 143, on all processes.
        """
        told, due = self.told, time.monotonic() - self.saved >= self.wait
        if trainer.world_size > 1:
            told, due = self._agreed(trainer, told, due)
        if told or due:
            self._save(trainer)
        if told:
            raise SystemExit(128 + signal.SIGTERM)

    def _agreed(self, trainer: pl.Trainer, told: bool, due: bool) -> tuple[bool, bool]:
        """Whether any process was told to end, and whether a checkpoint is due on the first one's clock."""
        first = trainer.is_global_zero
        own = torch.tensor([told, due and first, self._next_look(trainer) if first else 0])
        every = trainer.strategy.reduce(own.to(trainer.strategy.root_device), reduce_op="max")
        told, due, next_look = every.tolist()
        self._looked(trainer, next_look)
        return bool(told), bool(due)

    def _next_look(self, trainer: pl.Trainer) -> int:
        """The step about ``SECONDS_BETWEEN_LOOKS`` ahead, as fast as the steps were since the last look."""
        done, passed = trainer.global_step - self.step, time.monotonic() - self.looked
        return trainer.global_step + max(1, int(done * SECONDS_BETWEEN_LOOKS / passed))

    def _looked(self, trainer: pl.Trainer, next_look: int) -> None:
        self.looked, self.step, self.next_look = time.monotonic(), trainer.global_step, next_look

    def _save(self, trainer: pl.Trainer) -> None:
        start = time.monotonic()
        trainer.save_checkpoint(self.path)
        self.saved = time.monotonic()
        self.wait = min(max(LEAST_SECONDS, (self.saved - start) / SHARE_OF_TIME), MOST_SECONDS)
