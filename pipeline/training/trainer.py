"""The one Trainer factory."""

import logging
import os
import warnings
from datetime import timedelta
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy, Strategy

from pipeline.errors import InputError
from pipeline.settings.base import TrainerSettings
from pipeline.settings.runtime import Runtime
from pipeline.training import launch

# Lightning 2.6 asks torch's pytree in a way that torch 2.14 deprecates; not for a user to mend.
warnings.filterwarnings("ignore", message=".*LeafSpec.*")
warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")  # epochs are what is logged

TIMEOUT = timedelta(minutes=5)  # of a process that waits for another: one that was stopped ends the training


def make_trainer(
    trainer: TrainerSettings, runtime: Runtime, *, logger: Any, callbacks: list[Callback], single: bool
) -> pl.Trainer:
    """A deterministic Trainer on the devices that ``runtime`` names.

    Args:
        trainer: epochs and their length, precision, clipping and threads: what shapes the weights.
        runtime: accelerator, devices, nodes and strategy: what must not.
        logger: of Lightning, or False.
        callbacks: of the training.
        single: one device whatever ``runtime`` says, for evaluation (several would pad or split the test set).
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # its notes on devices and files are noise here
    torch.set_num_threads(trainer.threads)
    devices, nodes = (1, 1) if single else placement(runtime)
    try:
        return pl.Trainer(
            accelerator=accelerator(runtime),
            devices=devices,
            num_nodes=nodes,
            strategy="auto" if single else strategy(runtime, devices, nodes),
            plugins=[LightningEnvironment() if single else launch.environment()],
            max_epochs=trainer.max_epochs,
            precision=precision(trainer, runtime),
            gradient_clip_val=trainer.gradient_clip_val,
            deterministic=True,
            inference_mode=False,  # energies need gradients in validation and test too
            use_distributed_sampler=False,  # datamodules/loader.py: unpadded, seeded by epoch
            sync_batchnorm=not single and runtime.accelerator != "cpu" and torch.cuda.is_available(),
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1_000_000,
            logger=logger,
            callbacks=callbacks,
        )
    except (pl.utilities.exceptions.MisconfigurationException, ValueError) as error:
        raise InputError(f"params.yaml: runtime cannot be had on this machine: {error}") from error


def accelerator(runtime: Runtime) -> str:
    """That of ``runtime``; ``auto`` is CUDA where there is a GPU, else the CPU.

    Apple's MPS must be named: no model was tried on it.
    """
    if runtime.accelerator != "auto":
        return runtime.accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"


def precision(trainer: TrainerSettings, runtime: Runtime) -> Literal["32-true", "bf16-mixed", "64-true"]:
    """That of ``trainer``; ``auto`` is bf16-mixed where the hardware multiplies bf16 itself, else 32-true.

    A processor that only emulates bf16 is slower in it than in float32.
    """
    if trainer.precision != "auto":
        return trainer.precision
    if runtime.accelerator != "cpu" and torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = torch.cpu.get_capabilities()
        native = bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return "bf16-mixed" if native else "32-true"


def placement(runtime: Runtime) -> tuple[int, int]:
    """Processes of each node, and nodes: those that torchrun or srun started, else those of ``runtime``.

    Raises:
        InputError: several nodes, of which the others would never be heard.
    """
    if started := launch.processes():
        return started
    if runtime.num_nodes > 1 and "MASTER_ADDR" not in os.environ:
        raise InputError(
            f"params.yaml: runtime.num_nodes is {runtime.num_nodes}, but nothing started this training on the other "
            "nodes; start it by torchrun or srun (docs/machines.md)"
        )
    if runtime.devices != "auto":
        return runtime.devices, runtime.num_nodes
    return torch.cuda.device_count() if accelerator(runtime) in ("cuda", "gpu") else 1, runtime.num_nodes


def strategy(runtime: Runtime, devices: int, nodes: int) -> str | Strategy:
    """That of ``runtime``; ``auto`` is DistributedDataParallel where there are several processes."""
    if runtime.strategy == "ddp" or (runtime.strategy == "auto" and devices * nodes > 1):
        return DDPStrategy(timeout=TIMEOUT, gradient_as_bucket_view=True)
    return runtime.strategy
