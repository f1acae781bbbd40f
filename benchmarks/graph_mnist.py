"""Digits on a grid graph by spectral filters: the table of Defferrard et al. (2016, arXiv 1606.09375, table 3).

A picture is a signal on the graph of its pixels, each joined to its 8 nearest neighbours. Spline, free and Chebyshev
filters get the same network and the same training; the last epoch is scored, on the test pictures once.
Run it on a quiet machine: python -m benchmarks.graph_mnist --data mnist.npz
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.results import Row, write_results
from datamodules.loader import EpochSampler
from lit_modules.networks.spectral.convolution import SpectralConv, chebyshev_kernels, spline_kernels
from lit_modules.networks.spectral.laplacian import fourier_basis, normalized_laplacian
from pipeline.errors import InputError, run

SIDE, NEIGHBOURS, DIGITS = 28, 8, 10
BATCH, TRAINED = 128, 55_000  # the next 5000 pictures are for validation
FILTER_RATE, WEIGHT_DECAY = 3e-2, 1e-2
SHIFT, TURN, ZOOM = 0.7, 7.0, 0.06  # of a training picture at most: pixels, degrees, share
PUBLISHED = {"spline": 97.26, "free": 95.75, "chebyshev": 97.48}
MakeKernels = Callable[[Tensor], Tensor]


def main() -> None:
    """Train each network once and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graph_mnist", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="mnist.npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--epochs", type=int, default=20, help="of one-layer networks (default: %(default)s)")
    parser.add_argument("--epochs-two", type=int, default=18, help="of the two-layer network (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few batches: does it run? writes no file")
    args = parser.parse_args()
    data = read(args.data, 2 * BATCH if args.quick else None)
    rows: list[Row] = []
    for name, make in filters(20).items():
        goal = 98.8 if name == "spline" else None
        one_layer = partial(OneLayer, make)
        rows.append(score(f"one layer, {name}", one_layer, data, args.epochs, PUBLISHED[name], goal))
    two_layers = partial(TwoLayers, filters(25)["spline"])
    rows.append(score("two layers, spline", two_layers, data, args.epochs_two, 97.15, 99.2))
    write_results("graph_mnist", rows, args.quick)


def read(path: Path, first: int | None) -> dict[str, tuple[Tensor, Tensor]]:
    """Pictures (n, 28, 28) in [0, 1] and digits of the training, validation and test split."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; see --data")
    with np.load(path) as file:
        x, y, test_x, test_y = (torch.from_numpy(file[key]) for key in ("x_train", "y_train", "x_test", "y_test"))
    splits = {
        "train": (x[:TRAINED], y[:TRAINED]),
        "validation": (x[TRAINED:], y[TRAINED:]),
        "test": (test_x, test_y),
    }
    return {name: (x[:first].float() / 255, y[:first].long()) for name, (x, y) in splits.items()}


# --- networks ------------------------------------------------------------------------------------------------


def grid_adjacency(side: int) -> Tensor:
    """Weights exp(-d^2 / s^2) between a square grid's points and their nearest neighbours, (side^2, side^2).

    s is the mean distance of the last neighbour; a pair is joined if either counts the other among its nearest.
    """
    axis = torch.arange(side, dtype=torch.float64) / side
    points = torch.cartesian_prod(axis, axis)
    distance = torch.cdist(points, points)
    nearest, index = distance.topk(NEIGHBOURS + 1, largest=False)
    weights = torch.zeros_like(distance).scatter_(1, index, (-((nearest / nearest[:, -1].mean()) ** 2)).exp())
    return weights.maximum(weights.T).fill_diagonal_(0)


class GridConv(SpectralConv):
    """Spectral convolution on one fixed graph.

    Args:
        in_channels: features of a node going in.
        out_channels: features of a node coming out.
        make_kernels: B of the eigenvalues.
        laplacian: of the graph, symmetric, shape (n, n).
    """

    basis: Tensor
    kernels: Tensor

    def __init__(self, in_channels: int, out_channels: int, make_kernels: MakeKernels, laplacian: Tensor) -> None:
        eigenvalues, basis = fourier_basis(laplacian)
        kernels = make_kernels(eigenvalues)
        power = float(kernels.double().square().sum(-1).mean())
        super().__init__(in_channels, out_channels, kernels.shape[1], power)
        self.register_buffer("basis", basis.float())
        self.register_buffer("kernels", kernels.float())

    def forward(self, signal: Tensor) -> Tensor:  # type: ignore[override]
        """Filter a signal (..., n, in_channels)."""
        return super().forward(signal, self.kernels, self.basis)


def free_kernels(eigenvalues: Tensor) -> Tensor:
    """A weight for each distinct one of ascending eigenvalues (n,), shape (n, number of distinct ones).

    Equal eigenvalues share a weight; else a filter would depend on how their eigenvectors are rotated (Bruna et al.
    2014, arXiv 1312.6203, eq. 3.2).
    """
    gaps = eigenvalues.diff() > 1e-9 * eigenvalues[-1]
    return functional.one_hot(functional.pad(gaps.cumsum(0), (1, 0)))


def filters(terms: int) -> dict[str, MakeKernels]:
    """The three kinds of kernels."""
    return {
        "spline": lambda eigenvalues: spline_kernels(eigenvalues, terms, eigenvalues[-1]),
        "free": free_kernels,
        "chebyshev": lambda eigenvalues: chebyshev_kernels(eigenvalues, terms, eigenvalues[-1]),
    }


class OneLayer(nn.Module):
    """GC10: ten filters and a softmax of all that they give."""

    rate = 8e-3

    def __init__(self, make: MakeKernels) -> None:
        super().__init__()
        self.filter = GridConv(1, 10, make, normalized_laplacian(grid_adjacency(SIDE)))
        self.classify = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(10 * SIDE**2, DIGITS))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (batch, 10) of pictures (batch, 28, 28)."""
        return self.classify(self.filter(pictures.flatten(1).unsqueeze(-1)))


class TwoLayers(nn.Module):
    """GC32-P4-GC64-P4-FC512: filters on the grid and on the grid of half its side, the strongest of four nodes kept."""

    rate = 3e-3

    def __init__(self, make: MakeKernels) -> None:
        super().__init__()
        grids = [normalized_laplacian(grid_adjacency(side)) for side in (SIDE, SIDE // 2)]
        self.filters = nn.ModuleList([GridConv(1, 32, make, grids[0]), GridConv(32, 64, make, grids[1])])
        self.norms = nn.ModuleList([nn.BatchNorm2d(32), nn.BatchNorm2d(64)])
        hidden = nn.Linear(64 * (SIDE // 4) ** 2, 512)
        self.classify = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.5), hidden, nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, DIGITS)
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (batch, 10) of pictures (batch, 28, 28)."""
        maps = pictures.unsqueeze(1)
        for layer, norm in zip(self.filters, self.norms, strict=True):
            side = maps.shape[-1]
            filtered = layer(maps.flatten(2).mT).mT.unflatten(-1, (side, side))
            maps = functional.max_pool2d(norm(filtered).relu(), 2)
        return self.classify(maps)


# --- training ------------------------------------------------------------------------------------------------


def score(
    name: str,
    make_network: Callable[[], OneLayer | TwoLayers],
    data: dict[str, tuple[Tensor, Tensor]],
    epochs: int,
    published: float,
    goal: float | None,
) -> Row:
    """Make a network and train it once; its test accuracy."""
    torch.manual_seed(1)
    network, start = make_network(), time.perf_counter()
    train(name, network, *data["train"], epochs)
    minutes = (time.perf_counter() - start) / 60
    validation, test = accuracy(network, *data["validation"]), accuracy(network, *data["test"])
    print(f"{name}: test {test:.2f} %, validation {validation:.2f} %, {minutes:.1f} min", file=sys.stderr, flush=True)
    weights = sum(parameter.numel() for parameter in network.parameters())
    note = f"one seed, {epochs} epochs, {minutes:.1f} min on {torch.get_num_threads()} thread(s), {weights} weights"
    return Row(f"{name}: test accuracy", test, "%", published, goal, "higher", f"{note}; validation {validation:.2f}")


def train(name: str, network: OneLayer | TwoLayers, x: Tensor, y: Tensor, epochs: int) -> None:
    """AdamW under a one-cycle rate, on pictures that are moved a little each time."""
    spectral = [p for module in network.modules() if hasattr(module, "kernels") for p in module.parameters()]
    others = [p for p in network.parameters() if p not in set(spectral)]
    groups = [
        {"params": spectral, "lr": FILTER_RATE, "weight_decay": 0.0},
        {"params": others, "lr": network.rate, "weight_decay": WEIGHT_DECAY},
    ]
    optimizer = torch.optim.AdamW(groups)
    sampler = EpochSampler(len(x), BATCH, shuffle=True, seed=1)
    steps = epochs * len(sampler)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [FILTER_RATE, network.rate], total_steps=steps)
    for epoch in track(range(epochs), name, console=Console(stderr=True)):
        sampler.set_epoch(epoch)
        network.train()
        for rows in sampler:
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(moved(x[rows])), y[rows])
            loss.backward()
            optimizer.step()
            schedule.step()


def moved(pictures: Tensor) -> Tensor:
    """Pictures (n, 28, 28), each shifted, turned and zoomed a little at random."""
    n = len(pictures)
    angle = (torch.rand(n) * 2 - 1) * TURN * torch.pi / 180
    zoom = 1 + (torch.rand(n) * 2 - 1) * ZOOM
    shift = (torch.rand(n, 2) * 2 - 1) * SHIFT * 2 / SIDE
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    maps = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], 1).view(n, 2, 3)
    grid = functional.affine_grid(maps, [n, 1, SIDE, SIDE], align_corners=False)
    return functional.grid_sample(pictures.unsqueeze(1), grid, align_corners=False).squeeze(1)


@torch.no_grad()
def accuracy(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Per cent of the pictures whose digit is read right."""
    network.eval()
    right = sum(int((network(a).argmax(1) == b).sum()) for a, b in zip(x.split(500), y.split(500), strict=True))
    return 100 * right / len(x)


if __name__ == "__main__":
    run(main)
