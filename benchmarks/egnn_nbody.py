"""The charged 5-body benchmark of EGNN (Satorras et al. 2021, arXiv 2102.09844, sec. 5.1) by the graph network.

Input: positions, velocities and charges of frame 30; target: positions of frame 40, 1000 steps later. A seed is scored
at its best validation epoch. Without --test that validation error is what is reported.
Run it on a quiet machine: python -m benchmarks.egnn_nbody --data DIR
"""

import argparse
import math
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.results import Row, write_results
from datamodules.loader import EpochSampler, TensorLoader
from lit_modules.gnn import LitGNN
from pipeline.errors import InputError, run

BATCH, CLIP = 100, 0.5
MODEL: dict[str, Any] = {
    "layers": 10,
    "hidden": 100,
    "filter": "linear",
    "coefficients": 4,
    "attribute": "charge",
    "velocities": True,
    "environment": 8,
    "symmetric": True,
    "shared": True,  # a network for each layer learns the encounters of the training by heart
    "velocity_weight": 0.01,  # velocities of the target frame are seen in training, never scored
    "delta": 0.03,
    "lr": 4e-3,
    "weight_decay": 1e-6,
}
TURNED = "root mean square distance of a star from where it should be when all systems are turned"


class Network(NamedTuple):
    """A network, the published test error beside it, whose that is, and the goals of error, median and weights."""

    name: str
    model: dict[str, Any]
    published: float
    rival: str
    error: float
    median: float | None
    weights: int


LARGE = Network("graph network", MODEL, 0.0035, "Multivector Neurons", 0.0027, 2.5e-5, 134_000)
SMALL = Network("small network", MODEL | {"hidden": 56}, 0.0071, "EGNN, 134 020 weights", 0.0055, None, 5_000)


class Data(NamedTuple):
    """Systems to train on, to choose the epoch by, and to score, and the name of the split that these are."""

    train: dict[str, Tensor]
    valid: dict[str, Tensor]
    scored: dict[str, Tensor]
    split: str


def main() -> None:
    """Train the large and the small network with each seed and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.egnn_nbody", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.npz and valid.npz")
    parser.add_argument("--test", type=Path, help="test .npz; validation is reported without it")
    parser.add_argument("--seeds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="few epochs: does it run? writes no file")
    args = parser.parse_args()
    seeds, epochs = (1, 8) if args.quick else (args.seeds, args.epochs)
    torch.set_num_threads(1)  # the matrices are small
    train, valid = read(args.data / "train.npz"), read(args.data / "valid.npz")
    data = Data(train, valid, read(args.test), "test") if args.test else Data(train, valid, valid, "validation")
    rows = [row for network in (LARGE, SMALL) for row in table(network, data, seeds, epochs)]
    write_results("egnn_nbody", rows, args.quick)


def read(path: Path) -> dict[str, Tensor]:
    """Frames 30 and 40: position and velocity (systems, 2, 5, 3), time (systems, 2), charge (systems, 5)."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; see --data")
    with np.load(path) as file:
        tensors = {name: torch.tensor(file[name], dtype=torch.float32) for name in ("position", "velocity", "charge")}
    return {**tensors, "time": torch.tensor([0.0, 1.0]).expand(len(tensors["charge"]), -1)}


def both_ways(systems: dict[str, Tensor]) -> dict[str, Tensor]:
    """The systems, and the same run backwards: the motion of charges is as true with time reversed."""
    backwards = {**systems, "position": systems["position"].flip(1), "velocity": -systems["velocity"].flip(1)}
    return {name: torch.cat([tensor, backwards[name]]) for name, tensor in systems.items()}


def table(network: Network, data: Data, seeds: int, epochs: int) -> list[Row]:
    """Rows of one network: error, median error, size and time."""
    name, split, scored = network.name, data.split, data.scored
    errors, minutes = [], []
    for seed in range(1, seeds + 1):
        start = time.process_time()
        module = best_of_training(network.model, data.train, data.valid, seed, epochs)
        minutes.append((time.process_time() - start) / 60)
        errors.append(squared_errors(module, scored))
        print(f"{name}, seed {seed}: {split} MSE {errors[-1].mean():.5f}, {minutes[-1]:.1f} CPU min", file=sys.stderr)
    each = ", ".join(f"{error.mean():.5f}" for error in errors)
    mse, median = (statistics.mean(float(of(error)) for error in errors) for of in (torch.mean, torch.median))
    note = (
        f"mean of {seeds} seed(s) at best validation epoch of {epochs}: {each}; reference: test MSE of {network.rival}"
    )
    return [
        Row(f"{name}: {split} MSE", mse, "", network.published, network.error, "lower", note),
        Row(f"{name}: median squared error", median, "", None, network.median, "lower"),
        Row(f"{name}: rotation error", rotation_error(module, scored), "", None, 1e-5, "lower", TURNED),
        Row(f"{name}: weights", size(module), "", 134_020, network.weights, "lower"),
        Row(f"{name}: training", statistics.mean(minutes), "CPU min", None, 10.0, "lower",
            f"a seed, {epochs} epochs, one thread"),
    ]  # fmt: skip


def size(module: LitGNN) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in module.parameters())


def best_of_training(
    model: dict[str, Any], train: dict[str, Tensor], valid: dict[str, Tensor], seed: int, epochs: int
) -> LitGNN:
    """Train with AdamW under a one-cycle rate; return the network of the best validation epoch.

    Raises:
        FloatingPointError: the training diverged.
    """
    torch.manual_seed(seed)
    module = LitGNN(**model)
    module.fit_statistics(SimpleNamespace(windows=lambda split: [train], units=None))
    train = both_ways(train)
    loader = TensorLoader(train, EpochSampler(len(train["charge"]), BATCH, shuffle=True, seed=seed))
    optimizer = torch.optim.AdamW(module.parameters(), model["lr"], weight_decay=model["weight_decay"], fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, model["lr"], total_steps=epochs * len(loader))
    best, weights = float("inf"), {}
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            optimizer.zero_grad()
            module.losses(batch)["loss"].backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP)
            optimizer.step()
            schedule.step()
        error = float(squared_errors(module, valid).mean())
        if not math.isfinite(error):
            raise FloatingPointError(f"seed {seed} diverged in epoch {epoch}; lower the learning rate")
        if error < best:
            best, weights = error, {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.load_state_dict(weights)
    return module


@torch.no_grad()
def squared_errors(module: LitGNN, tensors: dict[str, Tensor]) -> Tensor:
    """Squared position error of each system, mean over stars and coordinates."""
    predicted, _ = module(tensors["position"][:, 0], tensors["velocity"][:, 0], tensors["charge"])
    return (predicted - tensors["position"][:, 1]).square().mean((1, 2))


@torch.no_grad()
def rotation_error(module: LitGNN, tensors: dict[str, Tensor]) -> float:
    """Root mean square distance of the stars of turned systems from where the network puts them, turned."""
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    position, velocity = tensors["position"][:, 0], tensors["velocity"][:, 0]
    before, _ = module(position @ rotation, velocity @ rotation, tensors["charge"])
    after = module(position, velocity, tensors["charge"])[0] @ rotation
    return float((before - after).square().sum(-1).mean().sqrt())


if __name__ == "__main__":
    run(main)
