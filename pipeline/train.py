"""Trains one model: reads its data and its section of params.yaml.

Writes models/<model>.ckpt, models/part-way/<model>/ and reports/train/<model>.csv.
A killed training goes on from runs/train/.
"""

import argparse
import fcntl
import io
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file, atomic_folder, fingerprint
from pipeline.progress import progress
from pipeline.settings.base import ModelSection
from pipeline.settings.load import Params, load_params
from pipeline.training.registry import MODELS

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch import Tensor

    from pipeline.training.callbacks import BestWeights, Curves, KeptEpochs

CODE = (
    "pipeline/train.py",
    "pipeline/training/trainer.py",
    "pipeline/training/callbacks.py",
    "pipeline/training/resume.py",
    "lit_modules",
    "datamodules",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Train the named model with the parameters of the file."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.train", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    train(args.model, load_params(args.params))


@dataclass
class Training:
    """All that one training needs, built from its parameters."""

    name: str
    section: ModelSection
    module: "pl.LightningModule"
    datamodule: "pl.LightningDataModule"
    trainer: "pl.Trainer"
    curves: "Curves"
    best: "BestWeights | None"  # None: the last weights are exported
    kept: "KeptEpochs"
    checkpoint: Path  # in runs/, the newest from which a killed training goes on

    @property
    def weights(self) -> Path:
        """Output: the exported weights."""
        return Path("models") / f"{self.name}.ckpt"

    @property
    def part_way(self) -> Path:
        """Output: a folder of the weights after the epochs that the module names."""
        return MODELS[self.name].part_way

    @property
    def curves_file(self) -> Path:
        """Output: the metrics of each epoch."""
        return Path("reports/train") / f"{self.name}.csv"

    def exported(self) -> dict[str, float]:
        """The metrics of the epoch whose weights are exported, and its number as ``epoch``."""
        epoch = self.best.epoch if self.best else self.curves.rows[-1]["epoch"]
        return next(row for row in self.curves.rows if row["epoch"] == epoch)


def train(name: str, params: Params) -> "pl.Trainer":
    """Train ``name``, write its three outputs once, and return the finished Trainer."""
    from pipeline.tracking import training as tracking

    start = time.monotonic()
    with progress(f"prepare {name}", 1):
        training = build(name, params)
    with lock(training), tracking.run_of(training) as logger:
        fit(training)
        if training.trainer.is_global_zero:
            export(training.module, training.module.state_dict(), training.weights)
            export_part_way(training)
            training.curves.write(training.curves_file)
            tracking.conclude(training, logger, time.monotonic() - start)
            shutil.rmtree(training.checkpoint.parent)
    return training.trainer


def build(name: str, params: Params) -> Training:
    """The module, its data and what it takes from them, the Trainer with its callbacks, the checkpoint to go on from.

    Raises:
        InputError: there is no such data.
    """
    from pytorch_lightning.callbacks import LearningRateMonitor

    from pipeline.tracking.callbacks import ExampleImages, StepCurves
    from pipeline.tracking.run import enabled
    from pipeline.training import callbacks
    from pipeline.training.resume import LAST, ResumePoint
    from pipeline.training.trainer import make_trainer

    model, section = MODELS[name], params.model_section(name)
    if not model.source.exists():
        raise InputError(f"{model.data}: no such data; `dvc repro train@{name}` makes it first")
    key = content_key(section, model.source)
    checkpoint = Path("runs/train") / name / key / LAST
    module = model.make_module(section)
    curves, best = callbacks.Curves(name), callbacks.BestWeights(module.monitor) if module.monitor else None
    kept = callbacks.KeptEpochs()
    trainer = make_trainer(
        section.trainer,
        params.runtime,
        logger=False,  # it begins when the folder of the checkpoint is locked
        callbacks=[
            callbacks.SeedEachBatch(section.seed),
            callbacks.TrainMeans(),
            *(each for each in (curves, callbacks.Progress(name), best, kept) if each),
            ResumePoint(checkpoint),
            LearningRateMonitor("epoch"),
            *([StepCurves(), ExampleImages()] if enabled() else []),
        ],
        single=False,
    )
    datamodule = model.make_datamodule(section)
    datamodule.setup("fit")
    module.fit_statistics(datamodule)
    return Training(name, section, module, datamodule, trainer, curves, best, kept, checkpoint)


def content_key(section: ModelSection, data: Path) -> str:
    """Hash of all that shapes the weights: parameters, code and data."""
    root = Path(__file__).parents[1]
    return fingerprint(repr(section.model_dump(exclude={"evaluate"})), [*(root / place for place in CODE), data])


def fit(training: Training) -> None:
    """Fit, from the last checkpoint of a killed training if there is one."""
    from pytorch_lightning.utilities.exceptions import SIGTERMException

    from pipeline.training.resume import last_good

    try:
        training.trainer.fit(
            training.module,
            datamodule=training.datamodule,
            ckpt_path=last_good(training.checkpoint.parent),
            weights_only=True,
        )
    except SIGTERMException:  # its status would be 0
        sys.exit(128 + signal.SIGTERM)


def lock(training: Training) -> AbstractContextManager[None]:
    """Rank 0 locks the folder of the checkpoint; the other ranks lock nothing."""
    return locked(training.checkpoint.parent) if training.trainer.is_global_zero else nullcontext()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder of one training, so that an orphan and its successor never write to it together."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder ({error.strerror}); change its permissions") from error
    with (folder.parent / f"{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another process is training this model; wait for it or end it") from error
        yield
        Path(file.name).unlink(missing_ok=True)


def export_part_way(training: Training) -> None:
    """Write the weights after the kept epochs, ``<epochs>.ckpt`` each."""
    with atomic_folder(training.part_way) as temporary:
        for epochs, weights in training.kept.weights.items():
            export(training.module, weights, temporary / f"{epochs}.ckpt")


def export(module: "pl.LightningModule", weights: "dict[str, Tensor]", path: Path) -> None:
    """Write weights and hyperparameters, in bytes that depend on nothing else."""
    import pytorch_lightning
    import torch

    content = {
        "state_dict": {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()},
        "hyper_parameters": dict(module.hparams),
        "pytorch-lightning_version": pytorch_lightning.__version__,
    }
    buffer = io.BytesIO()  # torch.save to a path puts the file's name into the bytes
    torch.save(content, buffer)
    with atomic_file(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    run(main)
