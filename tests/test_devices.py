"""Two CPU processes do what one does, write each file once, and log one run."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, edit_params

from pipeline.models import MODELS

EQUAL = ("gnn", "autoencoder-healthy", "autoencoder-covid")  # neither BatchNorm nor samplers


def run(workspace: Path, *command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    subprocess.run([sys.executable, *command], cwd=workspace, env=environment, check=True, timeout=300)


def losses(workspace: Path, name: str) -> list[float]:
    with (workspace / f"reports/train/{name}.csv").open(newline="") as file:
        return [float(row[key]) for row in csv.DictReader(file) for key in ("train/loss", "val/loss")]


def prepare(workspace: Path, name: str, devices: int) -> None:
    trainer = f"{name}.trainer"
    runtime = {"runtime.devices": devices, "runtime.accelerator": "cpu"}
    edit_params(workspace, {f"{trainer}.max_epochs": 2, f"{trainer}.threads": 1, **runtime})


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_two_processes(workspace: Path, name: str) -> None:
    prepare(workspace, name, devices=2)
    run(workspace, "-m", "pipeline.train", name)
    together = losses(workspace, name)
    assert len(list((workspace / "models").iterdir())) == 1
    assert len(list((workspace / "runs/wandb/wandb").glob("offline-run-*"))) == 1
    if name in EQUAL:
        prepare(workspace, name, devices=1)
        run(workspace, "-m", "pipeline.train", name)
        assert together == pytest.approx(losses(workspace, name), rel=1e-5)
    else:
        first = (workspace / f"models/{name}.ckpt").read_bytes()
        run(workspace, "-m", "pipeline.train", name)
        assert (workspace / f"models/{name}.ckpt").read_bytes() == first, "reproducible for a number of processes"


@pytest.mark.slow
def test_torchrun_line_of_the_readme(workspace: Path) -> None:
    prepare(workspace, "gnn", devices=1)
    run(workspace, "-m", "pipeline.train", "gnn")
    alone = losses(workspace, "gnn")
    line = "torchrun --standalone --nproc-per-node 2 -m pipeline.train gnn"
    assert line in (ROOT / "README.md").read_text()
    run(workspace, "-m", "torch.distributed.run", *line.split()[1:])
    assert losses(workspace, "gnn") == pytest.approx(alone, rel=1e-5)
