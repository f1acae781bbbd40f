"""Trains one model: reads its data and its section of params.yaml.

Writes models/<model>.ckpt and reports/train/<model>.csv. A killed training goes on from runs/train/.
"""

import argparse
import ctypes
import fcntl
import io
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file, fingerprint
from pipeline.settings.load import Params, load_params
from pipeline.training.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytorch_lightning as pl

CODE = ("pipeline/train.py", "pipeline/training", "lit_modules", "datamodules")


def main(argv: Sequence[str] | None = None) -> None:
    """Train the named model with the parameters of the file."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.train", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    die_with_parent()
    train(args.model, load_params(args.params))


def die_with_parent() -> None:
    """Ask Linux to end this process when the `dvc repro` that started it ends, however it ends."""
    if sys.platform == "linux" and "DVC_ROOT" in os.environ:
        ctypes.CDLL("libc.so.6").prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG


def train(name: str, params: Params) -> "pl.Trainer":
    """Train ``name``, write its two outputs once, and return the finished Trainer."""
    from pipeline.training import tracking, trainer
    from pipeline.training.callbacks import BestWeights, Curves, ExampleImages, ResumePoint, SeedEachBatch

    model, section = MODELS[name], params.model_section(name)
    if not Path(model.data).exists():
        raise InputError(f"{model.data}: no such data; `dvc repro train@{name}` makes it first")
    code = (Path(__file__).parents[1] / place for place in CODE)
    key = fingerprint(repr(section.model_dump(exclude={"evaluate"})), [*code, Path(model.data)])
    resume = Path("runs/train") / name / key / "last.ckpt"
    module = model.make_module(section)
    datamodule = model.make_datamodule(section)
    curves = Curves(name)
    callbacks: list[Any] = [SeedEachBatch(section.seed), curves]
    if module.monitor:
        callbacks.append(BestWeights(module.monitor))
    callbacks += [ResumePoint(resume), ExampleImages()]
    logger = tracking.make_logger(name, "train", section.model_dump(), run_id=f"{name}-{key}")
    fit = trainer.make_trainer(section.trainer, params.runtime, logger=logger, callbacks=callbacks, single=False)
    with locked(resume.parent) if fit.is_global_zero else no_lock():
        datamodule.setup("fit")
        module.fit_statistics(datamodule.splits["train"])
        fit.fit(module, datamodule=datamodule, ckpt_path=resume if resume.is_file() else None, weights_only=False)
        if fit.is_global_zero:
            export(module, Path("models") / f"{name}.ckpt")
            curves.write(Path("reports/train") / f"{name}.csv")
            shutil.rmtree(resume.parent)
    if fit.is_global_zero:
        tracking.finish()
    return fit


@contextmanager
def locked(folder: Path) -> "Iterator[None]":
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


@contextmanager
def no_lock() -> "Iterator[None]":
    """The other ranks hold none."""
    yield


def export(module: "pl.LightningModule", path: Path) -> None:
    """Write weights and hyperparameters, in bytes that depend on nothing else."""
    import pytorch_lightning
    import torch

    content = {
        "state_dict": {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()},
        "hyper_parameters": dict(module.hparams),
        "pytorch-lightning_version": pytorch_lightning.__version__,
    }
    buffer = io.BytesIO()  # torch.save to a path puts the file's name into the bytes
    torch.save(content, buffer)
    with atomic_file(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    run(main)
