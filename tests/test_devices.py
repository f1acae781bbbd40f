"""Several processes do what one does, on one node or two; they write each file once, and log one run."""

import csv
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import ROOT, edit_params, section_of

from pipeline.training.registry import MODELS

# Models of which several processes see what one alone would see, once nothing is dropped. In the others each process
# draws random numbers of its own: turns of maps and pictures, and the chains of Boltzmann machines.
EQUAL: dict[str, dict[str, object]] = {
    "gnn": {},
    "spectral": {},
    "autoencoder-healthy": {},
    "autoencoder-covid": {},
    "ebm": {"ebm.model.dropout": 0.0},
    "pidoc-age-distance": {"pidoc-age-distance.model.dropout": 0.0},
}
NODES = "two nodes of two"


def started(workspace: Path, *command: str, **variables: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", **variables}
    return subprocess.Popen([sys.executable, *command], cwd=workspace, env=environment, text=True)


def run(workspace: Path, *command: str) -> None:
    assert started(workspace, *command).wait(900) == 0


def train(workspace: Path, name: str, processes: int | str) -> None:
    """Train by so many processes that Lightning starts, or by two of each of two torchruns, as two nodes do."""
    edit_params(workspace, {"runtime.devices": 1 if processes == NODES else processes})
    if processes != NODES:
        return run(workspace, "-m", "pipeline.train", name)
    where = ["--nnodes", "2", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    where += ["--rdzv-endpoint", f"127.0.0.1:{free_port()}"]
    nodes = [started(workspace, "-m", "torch.distributed.run", *where, "-m", "pipeline.train", name) for _ in range(2)]
    assert [node.wait(900) for node in nodes] == [0, 0]


def losses(workspace: Path, name: str) -> list[float]:
    with (workspace / f"reports/train/{name}.csv").open(newline="", encoding="utf-8") as file:
        return [
            float(row[f"{split}/{MODELS[name].curve}"]) for row in csv.DictReader(file) for split in ("train", "val")
        ]


def metrics(workspace: Path, name: str) -> dict[str, float]:
    run(workspace, "-m", "pipeline.evaluate", name)
    return json.loads((workspace / f"reports/evaluate/{name}.json").read_text(encoding="utf-8"))


def prepare(workspace: Path, name: str) -> None:
    trainer = f"{section_of(name)}.trainer"
    shorter = {f"{trainer}.max_epochs": 2, f"{trainer}.threads": 1, "runtime.accelerator": "cpu"}
    edit_params(workspace, {**shorter, **EQUAL.get(name, {})})


def written_once(workspace: Path, name: str, runs: int) -> None:
    """One checkpoint and one run of W&B for each training."""
    assert sorted(path.name for path in (workspace / "models").iterdir()) == sorted([f"{name}.ckpt", "part-way"])
    assert len(list((workspace / "runs/wandb/wandb").glob("offline-run-*"))) == runs


@pytest.mark.slow
@pytest.mark.parametrize("name", EQUAL)
def test_processes_have_the_curves_of_one(
    workspace: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    prepare(workspace, name)
    train(workspace, name, 1)
    alone, largest = losses(workspace, name), 0.0
    for runs, processes in enumerate((2, 4, NODES), 2):
        train(workspace, name, processes)
        found = losses(workspace, name)
        largest = max(largest, *(abs(b / a - 1) for a, b in zip(alone, found, strict=True)))
        record_property("largest relative difference", largest)  # the last one counts, for benchmarks.scale
        assert found == pytest.approx(alone, rel=1e-4), processes
        written_once(workspace, name, runs)


@pytest.mark.slow
def test_tasks_of_srun_have_the_curves_of_one(workspace: Path) -> None:
    """Two processes with the variables that srun sets, as its manual says; no SLURM is at hand."""
    prepare(workspace, "spectral")
    train(workspace, "spectral", 1)
    alone = losses(workspace, "spectral")
    job = {"SLURM_JOB_ID": str(free_port()), "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NNODES": "1"}
    step = {
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "localhost",
    }
    tasks = [
        started(workspace, "-m", "pipeline.train", "spectral", **job, **step, SLURM_PROCID=rank, SLURM_LOCALID=rank)
        for rank in ("0", "1")
    ]
    assert [task.wait(900) for task in tasks] == [0, 0]
    assert losses(workspace, "spectral") == pytest.approx(alone, rel=1e-4)
    written_once(workspace, "spectral", 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS if name not in EQUAL])
def test_random_numbers_are_each_process_own_and_reproducible(workspace: Path, name: str) -> None:
    prepare(workspace, name)
    weights = []
    for runs, processes in enumerate((1, 2, 2, NODES, NODES), 1):
        train(workspace, name, processes)
        weights.append((workspace / f"models/{name}.ckpt").read_bytes())
        written_once(workspace, name, runs)
    one, two, again, four, repeated = weights
    assert (two, four) == (again, repeated)
    assert len({one, two, four}) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spectral", "autoencoder-healthy"])
def test_metrics_of_two_processes(workspace: Path, name: str) -> None:
    prepare(workspace, name)
    found = []
    for processes in (1, 2):
        train(workspace, name, processes)
        found.append(metrics(workspace, name))
    assert found[1] == pytest.approx(found[0], rel=1e-4)


@pytest.mark.slow
def test_a_training_by_torchrun_is_committed(tmp_path: Path) -> None:
    """As docs/machines.md says: DVC makes the data, torchrun trains, DVC takes note and goes on."""
    from test_chain import checkout, environment

    def dvc(*words: str) -> str:
        command = [sys.executable, "-m", "dvc", *words]
        return subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=True).stdout

    folder = checkout(tmp_path / "clone")
    surroundings = environment() | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "pipeline.scale", "tiny"], cwd=folder, env=surroundings, check=True)
    dvc("repro", "draw_star_fields")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pipeline.train"]
    subprocess.run([sys.executable, *torchrun, "spectral"], cwd=folder, env=surroundings, check=True)
    dvc("commit", "-f", "train@spectral")
    assert "up to date" in dvc("status", "train@spectral")
    said = dvc("repro", "--dry", "evaluate@spectral")
    assert "Running stage 'evaluate@spectral'" in said and "Running stage 'train" not in said


@pytest.mark.slow
def test_two_processes_train_on_unequal_numbers_of_stars(workspace: Path) -> None:
    """Each step is of one number of stars, the same in both processes."""
    import polars as pl

    table = pl.read_csv("data/nbody/trajectories.csv").filter((pl.col("N_sim") % 3 > 0) | (pl.col("N_star") < 3))
    Path("data").unlink()
    Path("data/nbody").mkdir(parents=True)
    table.write_csv("data/nbody/trajectories.csv")
    prepare(workspace, "gnn")
    found = []
    for processes in (1, 2):
        train(workspace, "gnn", processes)
        found.append(losses(workspace, "gnn"))
    assert found[1] == pytest.approx(found[0], rel=1e-5)


ENCODER = {"units": 8, "features": 8, "dropout": 0.0, "lr": 1e-3, "weight_decay": 0.0}
PIDOC = {**ENCODER, "width": 0.25, "beta": 0.5}
READERS = {
    "pidoc-mass": {**PIDOC, "network": "folded", "field_weight": 0.1, "statistics_lr": 1e-3},
    "pidoc-age-distance": {**PIDOC, "network": "statistics"},
    "ebm": {
        **ENCODER, "training": "exact", "nodes": 8, "chains": 1, "steps": 1, "jumps": 0.2, "hidden": 8, "embedding": 4,
        "waves": 2, "latent_nodes": 3, "beta": 1.0, "distance_kpc": [1.0, 100.0], "age_gyr": [0.0, 14.0],
    },
}  # fmt: skip


def gradients(rank: int, name: str, world_size: int, port: int, folder: str) -> None:
    """Save the mean gradient over the ranks of a model's loss on each rank's part of eight maps."""
    from torch.nn.parallel import DistributedDataParallel

    from lit_modules.networks.maps.statistics import map_statistics
    from lit_modules.networks.pidoc.mass_map import log_sum

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world_size)
    torch.manual_seed(0)
    module = MODELS[name].module_class()(**READERS[name])
    module.double().eval()
    maps = torch.randn(2, 8, 1, 32, 32, dtype=torch.float64)
    part = slice(rank * 8 // world_size, (rank + 1) * 8 // world_size)
    parallel = DistributedDataParallel(Losses(module))
    statistics = map_statistics(10 ** maps[0, :, 0], torch.full((8,), 4.0), torch.zeros(8))
    labels = {"field": log_sum(maps[1]), "distance": torch.linspace(2, 90, 8), "age": torch.linspace(1, 13, 8)}
    batch = {"flux": maps[0], "mass": maps[1], "statistics": statistics, **labels}
    parallel({name: tensor[part] for name, tensor in batch.items()}).backward()
    if rank == 0:
        torch.save([p.grad for p in module.parameters()], f"{folder}/{world_size}.pt")
    torch.distributed.destroy_process_group()


class Losses(torch.nn.Module):
    """The loss as a forward pass, which is what DistributedDataParallel synchronises."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.module.losses(batch)["loss"]  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_two_processes_have_the_gradient_of_one(tmp_path: Path, name: str) -> None:
    for world_size in (1, 2):
        torch.multiprocessing.spawn(gradients, (name, world_size, free_port(), str(tmp_path)), nprocs=world_size)
    for alone, together in zip(torch.load(tmp_path / "1.pt"), torch.load(tmp_path / "2.pt"), strict=True):
        torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-12)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.slow
def test_torchrun_line_of_the_readme(workspace: Path) -> None:
    prepare(workspace, "gnn")
    train(workspace, "gnn", 1)
    alone = losses(workspace, "gnn")
    line = "torchrun --standalone --nproc-per-node 2 -m pipeline.train gnn"
    assert line in (ROOT / "README.md").read_text(encoding="utf-8")
    run(workspace, "-m", "torch.distributed.run", *line.split()[1:])
    assert losses(workspace, "gnn") == pytest.approx(alone, rel=1e-5)
