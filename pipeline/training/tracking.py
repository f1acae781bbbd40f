"""Weights & Biases: one run a stage, offline unless WANDB_MODE=online, its folders inside the project."""

import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import warn

if TYPE_CHECKING:
    from pytorch_lightning.loggers import WandbLogger

PROJECT = "star-clusters"
FOLDER = Path("runs/wandb")
API_HOST = "api.wandb.ai"


def run_group() -> str:
    """What groups the runs of one `dvc repro`: WANDB_RUN_GROUP, the DVC experiment, or the commit."""
    named = os.environ.get("WANDB_RUN_GROUP") or os.environ.get("DVC_EXP_NAME")
    if named:
        return named
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return commit.stdout.strip() or "no-commit"


def make_logger(model: str, job_type: str, config: dict[str, Any], run_id: str | None = None) -> "WandbLogger":
    """A Lightning logger whose trouble never stops a stage.

    The mode comes from WANDB_MODE: offline (default), online, disabled. Online without a key or
    a network warns once and goes on offline; `wandb sync` sends such runs later.

    Args:
        model: the run's name and tag.
        job_type: the stage, ``train`` or ``evaluate``.
        config: parameters shown with the run.
        run_id: fixed for a training, so that a resumed one continues its run.
    """
    folder = FOLDER.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for variable in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        os.environ.setdefault(variable, str(folder))
    os.environ.setdefault("WANDB_SILENT", "true")
    from pytorch_lightning.loggers import WandbLogger

    logger = WandbLogger(
        name=model,
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        group=run_group(),
        job_type=job_type,
        tags=[model],
        config=config,
        id=run_id,
        resume="allow" if run_id else None,
        mode=_mode(),
        save_dir=str(folder),
        log_model=False,
    )
    logger._wandb_init.pop("anonymous", None)  # wandb 0.31 warns of it at every start, even where it is None
    return logger


def _mode() -> str:
    mode = os.environ.get("WANDB_MODE", "offline")
    if mode != "online":
        return mode
    trouble = _online_trouble()
    if trouble is None:
        return "online"
    os.environ["WANDB_MODE"] = "offline"
    warn(f"W&B stays offline: {trouble}; send the runs later by `wandb sync runs/wandb/wandb/offline-run-*`")
    return "offline"


def _online_trouble() -> str | None:
    """Why an online run would fail, or None: without a key wandb asks, without a server it hangs."""
    import wandb

    if not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
        return "no API key (set WANDB_API_KEY or run `wandb login`)"
    base_url = os.environ.get("WANDB_BASE_URL", f"https://{API_HOST}")
    scheme, _, address = base_url.partition("://")
    host, _, port = address.strip("/").partition(":")
    try:
        socket.create_connection((host, int(port or (80 if scheme == "http" else 443))), timeout=5).close()
    except OSError as error:
        return f"{host} cannot be reached ({error})"
    return None


def finish() -> None:
    """Close the run of this process, if any."""
    import wandb

    wandb.finish()
