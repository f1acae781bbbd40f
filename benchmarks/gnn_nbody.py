"""The pipeline's graph network on the pipeline's own simulations: accuracy, filters, long rollouts, and PyG.

The networks are trained by the chain's stages in runs/benchmarks/gnn/<name>, each with a params.yaml of its own; a
killed benchmark goes on where it was. Half the time of a dense layer is φ of all pairs, which PyG needs too. The
narrower φ is, the larger the ratio of the two, so it is taken at the width of the chain's network and at twice that.
Run it on a quiet machine: python -m benchmarks.gnn_nbody
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch_geometric.loader import DataLoader

from benchmarks.chain import Settings, evaluated, make_folder, stage
from benchmarks.pyg_rivals import EquivariantNetwork, by_scatter, scatterable_network
from benchmarks.results import Row, write_results
from datamodules.loader import EpochSampler, TensorLoader
from datamodules.nbody import NBodyDataModule
from lit_modules.gnn import LitGNN
from pipeline.errors import run
from pipeline.training.registry import load_checkpoint

BATCH = 200
WIDTHS = {32: 8.0, 64: None}  # of φ, in the layer that is timed, with the goal: that of the chain, and twice as wide
ONE_STEP = "one-step position MSE"
RIVAL = "leapfrog, dt/10"
RIVALS = {"constant velocity": "constant_velocity", "leapfrog, dt": "leapfrog", RIVAL: "leapfrog_10_substeps"}


def main() -> None:
    """Train, measure and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gnn_nbody", description=__doc__)
    parser.add_argument("--simulations", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=40, help="on all of them (default: %(default)s)")
    parser.add_argument("--filter-epochs", type=int, default=20, help="on a fifth of them, a filter (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="few simulations: does it run? writes no file")
    args = parser.parse_args()
    simulations, epochs, filter_epochs = (
        (100, 2, 1) if args.quick else (args.simulations, args.epochs, args.filter_epochs)
    )
    torch.set_num_threads(1)  # the matrices are small
    rows, folder = accuracy(simulations, epochs)
    rows += long_rollout(simulations, epochs // 2 + 1) + filters(simulations // 5, filter_epochs)
    rows += message_passing(simulations // 5, filter_epochs) + speed(folder, 1 if args.quick else 5)
    write_results("gnn_nbody", rows, args.quick)


def simulated(name: str, simulations: int, settings: Settings) -> Path:
    """Folder with simulations of five stars and parameters for the network."""
    settings = {**settings, "nbody": {"n_simulations": simulations, **settings.get("nbody", {})}}
    folder = make_folder(f"gnn/{name}-{simulations}", settings)
    stage(folder, "data/synthetic/nbody", "generate_nbody")
    stage(folder, "data/nbody", "import_nbody")
    return folder


# --- quality -----------------------------------------------------------------------------------------------------


def accuracy(simulations: int, epochs: int) -> tuple[list[Row], Path]:
    """One step and ten, beside constant velocity and leapfrog; the folder of the trained network."""
    folder = simulated("all", simulations, {"gnn": {"trainer.max_epochs": epochs}})
    metrics = evaluated(folder, "gnn")
    note = f"{simulations} simulations, {epochs} epochs, {metrics['minutes']:.1f} CPU min, one seed"
    rows = []
    for title, key, unit, goal, scale in (
        (ONE_STEP, "one_step_position_mse", "", 1e-5, 1),
        ("relative position error after 10 steps, median", "rollout_position_error", "%", None, 100),
        ("energy error after 10 steps, median", "rollout_energy_error", "", None, 1),
    ):
        rivals = {who: scale * metrics[f"baseline/{slug}/{key}"] for who, slug in RIVALS.items()}
        reference, model = rivals.pop(RIVAL), scale * metrics[f"test/{key}"]
        rows.append(Row(title, model, unit, reference, goal or reference, "lower", f"{note}; reference: {RIVAL}"))
        for other, value in rivals.items():
            rows.append(Row(f"{title}: {other}", value, unit, None, None, "lower"))
    return rows, folder


def long_rollout(simulations: int, epochs: int) -> list[Row]:
    """A hundred outputs, to t = 10, on simulations that run so long."""
    folder = simulated("long", simulations // 8, {
        "nbody": {"t_end": 10.0},
        "gnn": {"trainer.max_epochs": epochs, "data.test_fraction": 0.2, "evaluate.rollout_steps": 100},
    })  # fmt: skip
    metrics = evaluated(folder, "gnn")
    share, median = "rollout_energy_kept_percent", "rollout_energy_error"
    rival = f"baseline/{RIVALS[RIVAL]}"
    note = f"{simulations // 8} simulations to t = 10, a fifth held out; reference: {RIVAL}; not finite fails"
    return [
        Row("100 steps: energy error always below 1", metrics[f"test/{share}"], "%", metrics[f"{rival}/{share}"],
            95.0, "higher", note),
        Row("100 steps: energy error, median", metrics[f"test/{median}"], "", metrics[f"{rival}/{median}"], None,
            "lower", note),
    ]  # fmt: skip


def filters(simulations: int, epochs: int) -> list[Row]:
    """The three filters under the same training."""
    rows = []
    for name in ("linear", "polynomial", "spline"):
        metrics = evaluated(filter_folder(name, simulations, epochs), "gnn")
        note = f"{simulations} simulations, {epochs} epochs, {metrics['minutes']:.1f} CPU min"
        rows.append(
            Row(f"{name} filter: {ONE_STEP}", metrics["test/one_step_position_mse"], "", None, None, "lower", note)
        )
    return rows


def filter_folder(name: str, simulations: int, epochs: int) -> Path:
    """Folder in which a filter is trained."""
    return simulated(name, simulations, {"gnn": {"model.filter": name, "trainer.max_epochs": epochs}})


WINDOWS = {"batch_size": BATCH, "horizon": 1, "val_fraction": 0.1, "test_fraction": 0.1}


def windows_of(folder: Path) -> NBodyDataModule:
    """The windows of a run, split as the chain splits them."""
    data = NBodyDataModule(folder / "data/nbody", seed=1, **WINDOWS)
    data.setup()
    return data


def message_passing(simulations: int, epochs: int) -> list[Row]:
    """An E(n)-equivariant network of PyG, of more weights, beside our linear filter: same windows, as much CPU time."""
    folder = filter_folder("linear", simulations, epochs)
    ours, seconds = load_checkpoint(LitGNN, folder / "models/gnn.ckpt"), 60 * evaluated(folder, "gnn")["minutes"]
    data = windows_of(folder)
    torch.manual_seed(1)
    network = EquivariantNetwork(4, 12, ours.net.size, ours.net.time)
    [train], [test] = data.windows("train"), data.windows("test")
    loader = TensorLoader(train, EpochSampler(len(train["position"]), BATCH, shuffle=True, seed=1))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-6)
    start, epoch = time.process_time(), 0
    while time.process_time() - start < seconds:
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            done = min(1.0, (time.process_time() - start) / seconds)
            optimizer.param_groups[0]["lr"] = 2e-3 * (1 - done) + 1e-6
            optimizer.zero_grad()
            predicted = network(batch["position"][:, 0], batch["velocity"][:, 0])
            (predicted - batch["position"][:, 1]).square().mean().div(ours.motion**2).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimizer.step()
            if done == 1:
                break
        epoch += 1
    with torch.no_grad():
        parts = zip(test["position"].split(2000), test["velocity"].split(2000), strict=True)
        errors = [(network(x[:, 0], v[:, 0]) - x[:, 1]).square().mean((1, 2)) for x, v in parts]
    sizes = [sum(p.numel() for p in module.parameters()) for module in (network, ours.net)]
    note = f"EGNN-like, {sizes[0]} weights (ours {sizes[1]}), as much CPU time as ours: {epoch} epochs"
    return [Row(f"message passing on PyG: {ONE_STEP}", float(torch.cat(errors).mean()), "", None, None, "lower", note)]


# --- speed -------------------------------------------------------------------------------------------------------


def speed(folder: Path, rounds: int) -> list[Row]:
    """Training steps of one layer, dense batches against PyG's loader and scatter; and their difference."""
    data = windows_of(folder)
    windows = {name: tensor[: 20 * BATCH] for name, tensor in data.windows("train")[0].items()}
    dense = TensorLoader(windows, EpochSampler(len(windows["position"]), BATCH, shuffle=True, seed=1))
    sparse = DataLoader(data.to_pyg("train")[: 20 * BATCH], batch_size=BATCH, shuffle=True)
    rows = []
    for width, goal in WIDTHS.items():
        epochs = epochs_of_a_layer(width, dense, sparse)
        ms = {name: 1000 * seconds / len(dense) for name, seconds in timed(epochs, rounds).items()}
        note = (
            f"forward and back, CPU ms a batch of {BATCH}: {ms['dense']:.2f}, of which φ alone {ms['weights']:.2f}, "
            f"against {ms['sparse']:.2f}, of which the loader alone {ms['loader']:.2f}"
        )
        title = f"dense layer / PyG loader and scatter, φ {width} wide, CPU time"
        rows.append(Row(title, ms["sparse"] / ms["dense"], "x", None, goal, "higher", note))
    apart = difference(folder, data)
    return [*rows, Row("difference of their velocities", apart, "", None, 1e-6, "lower", "trained network")]


def epochs_of_a_layer(width: int, dense: TensorLoader, sparse: DataLoader) -> dict[str, Callable[[], None]]:
    """An epoch of a dense layer and of the same by PyG, and of two parts of them.

    The parts are PyG's loader, and φ of a dense batch's pairs, half as many as PyG's edges.
    """
    torch.manual_seed(1)
    net = scatterable_network(layers=1, hidden=width)
    pairs = torch.randn(10, 3, BATCH, requires_grad=True)

    def dense_epoch() -> None:
        for batch in dense:
            x, v = net(batch["position"][:, 0], batch["velocity"][:, 0])
            loss(x, v, batch["position"][:, 1], batch["velocity"][:, 1]).backward()

    def sparse_epoch() -> None:
        for batch in sparse:
            x, v = by_scatter(net, batch.pos, batch.vel, batch.edge_index)
            loss(x, v, batch.y_pos[:, 0], batch.y_vel[:, 0]).backward()

    def weights_epoch() -> None:
        for _ in range(len(dense)):
            net.weights[0](pairs, pairs, [])[0].sum().backward()

    def loader_epoch() -> None:
        for _ in sparse:
            pass

    return {"dense": dense_epoch, "sparse": sparse_epoch, "weights": weights_epoch, "loader": loader_epoch}


def timed(epochs: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """CPU seconds of each, the median of rounds in turn after one that warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for turn in range(rounds + 1):
        for name, epoch in epochs.items():
            start = time.process_time()
            epoch()
            if turn:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def loss(x: Tensor, v: Tensor, true_x: Tensor, true_v: Tensor) -> Tensor:
    """Squared errors of positions and velocities."""
    return (x - true_x).square().mean() + (v - true_v).square().mean()


@torch.no_grad()
def difference(folder: Path, data: NBodyDataModule) -> float:
    """Largest difference between the trained network, dense, and the same by scatter, over the largest velocity."""
    net = load_checkpoint(LitGNN, folder / "models/gnn.ckpt").net.double()
    batch = next(iter(DataLoader(data.to_pyg("train")[:BATCH], batch_size=BATCH)))
    [windows] = data.windows("train")
    dense = net(windows["position"][:BATCH, 0].double(), windows["velocity"][:BATCH, 0].double())[1].flatten(0, 1)
    scattered = by_scatter(net, batch.pos.double(), batch.vel.double(), batch.edge_index)[1]
    return float((dense - scattered).abs().max() / scattered.abs().max())


if __name__ == "__main__":
    run(main)
