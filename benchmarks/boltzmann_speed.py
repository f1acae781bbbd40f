"""Time of training restricted machines on the chain's pictures of clusters, beside scikit-learn and `rbms`."""

import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor

from benchmarks.results import Row
from lit_modules.networks.boltzmann.encoder import RBMEncoder
from lit_modules.networks.boltzmann.log_partition import bracket
from lit_modules.networks.boltzmann.pixels import stretch
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

PICTURES, HELD_OUT = 90, 20
BATCH = 10  # as scikit-learn
HIDDEN = (256, 1024)
ROUNDS = 3
RATES = (0.003, 0.01, 0.03, 0.1)
LIKELIHOOD_EPOCHS = 100
LARGE_SIZE, LARGE_HIDDEN, LARGE_EPOCHS = 255, 256, 100


# --- speed -----------------------------------------------------------------------------------------------------------


def speed(quick: bool) -> list[Row]:
    """CPU seconds of an epoch, and how likely held-out pictures are after as many updates."""
    lit = binary_clusters(50)
    rows = [row for hidden in HIDDEN for row in epoch_times(lit, hidden, 1 if quick else ROUNDS)]
    return [*rows, likelihood(lit[HELD_OUT:], lit[:HELD_OUT], 2 if quick else LIKELIHOOD_EPOCHS)]


def epoch_times(train: Tensor, hidden: int, rounds: int) -> list[Row]:
    """Of all packages at batch and updates of scikit-learn, measured in turn."""
    packages: dict[str, Callable[[int], Any]] = {
        "RBMEncoder": lambda epochs: ours(hidden, epochs, 0.01).fit(train.numpy()),
        "scikit-learn": lambda epochs: theirs(hidden, epochs, 0.01).fit(train.double().numpy()),
        "scikit-learn in single precision": lambda epochs: theirs(hidden, epochs, 0.01).fit(train.numpy()),
    }
    if find_spec("rbms"):
        packages["rbms"] = lambda epochs: by_rbms(train, hidden, epochs)
    times: dict[str, list[float]] = {name: [] for name in packages}
    for _ in range(rounds):
        for name, fit in packages.items():
            times[name].append(seconds_of_epoch(fit))
    seconds = {name: statistics.median(found) for name, found in times.items()}
    own, title = seconds.pop("RBMEncoder"), f"{PICTURES} x 2500 pictures, {hidden} hidden"
    rows = [Row(f"{title}: epoch", own, "CPU s", seconds["scikit-learn"], None, "lower", f"batches of {BATCH}")]
    for name, other in seconds.items():
        goal = 5.0 if name == "scikit-learn" else None
        rows.append(
            Row(f"{title}: {name} / ours", other / own, "x", None, goal, "higher", f"{other:.4f} CPU s an epoch")
        )
    return rows


def seconds_of_epoch(fit: Callable[[int], Any], few: int = 2, many: int = 12) -> float:
    """CPU seconds of one more epoch, free of what a fit costs to begin."""
    seconds = []
    for epochs in (few, many):
        start = time.process_time()
        fit(epochs)
        seconds.append(time.process_time() - start)
    return (seconds[1] - seconds[0]) / (many - few)


def ours(hidden: int, epochs: int, rate: float) -> RBMEncoder:
    """As scikit-learn does it: as many chains as pictures of a batch."""
    return RBMEncoder(hidden, learning_rate=rate, batch_size=BATCH, n_iter=epochs, chains=BATCH)


def theirs(hidden: int, epochs: int, rate: float) -> BernoulliRBM:
    """The rival."""
    return BernoulliRBM(hidden, learning_rate=rate, batch_size=BATCH, n_iter=epochs, random_state=0)


def by_rbms(train: Tensor, hidden: int, epochs: int) -> None:
    """The loop of rbms.training.pcd.train, without its files."""
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    bias = torch.logit((train.sum(0) + 0.5) / (len(train) + 1))
    machine = BBRBM(0.01 * torch.randn(train.shape[1], hidden), bias, torch.zeros(hidden))
    for parameter in machine.parameters():
        parameter.grad = torch.zeros_like(parameter)
    chains = machine.init_chains(BATCH)
    optimizer = torch.optim.SGD(machine.parameters(), lr=0.01, maximize=True)
    with torch.no_grad():
        for _ in range(epochs):
            for rows in torch.randperm(len(train)).split(BATCH):
                optimizer.zero_grad(set_to_none=False)
                batch = train[rows], torch.ones(len(rows))
                chains, _ = fit_batch_pcd(batch, chains, machine, gibbs_steps=1, beta=1.0)
                optimizer.step()


def likelihood(train: Tensor, held_out: Tensor, epochs: int) -> Row:
    """Of held-out pictures after equal updates, each package at the rate that suits it best."""
    found: dict[str, float] = {}
    for name, make in (("RBMEncoder", ours), ("scikit-learn", theirs)):
        machines = [machine_of(make(HIDDEN[0], epochs, rate).fit(train.numpy()), train) for rate in RATES]
        found[name] = max(mean_log_likelihood(machine, held_out) for machine in machines)
    note = f"log Z by annealed importance sampling; the best of rates {RATES}; {epochs} epochs"
    reference = found["scikit-learn"]
    name = f"{len(held_out)} held-out pictures, {HIDDEN[0]} hidden"
    return Row(name, found["RBMEncoder"], "nats", reference, reference, "higher", note)


def machine_of(fitted: Any, train: Tensor) -> RestrictedBoltzmannMachine:
    """Our machine, or scikit-learn's in the same form."""
    if isinstance(fitted, RBMEncoder):
        return fitted.machine_
    rbm = RestrictedBoltzmannMachine(train.shape[1], fitted.n_components)
    rbm.start_from((train.sum(0) + 0.5) / (len(train) + 1))
    with torch.no_grad():
        rbm.weight.copy_(torch.from_numpy(fitted.components_.T))
        rbm.visible_bias.copy_(torch.from_numpy(fitted.intercept_visible_))
        rbm.hidden_bias.copy_(torch.from_numpy(fitted.intercept_hidden_))
    rbm.offset.zero_()
    rbm.hidden_offset.zero_()
    return rbm


@torch.no_grad()
def mean_log_likelihood(rbm: RestrictedBoltzmannMachine, pictures: Tensor) -> float:
    """Nats a picture."""
    return float(-rbm.free_energy(pictures).mean()) - bracket(rbm, chains=128, steps=300).value


# --- large pictures --------------------------------------------------------------------------------------------------


def large(quick: bool) -> list[Row]:
    """Wall time and memory of a training on pictures of 255 pixels, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        minutes, cpu_minutes, gigabytes = pool.submit(train_large, 1 if quick else LARGE_EPOCHS).result()
    title = f"{LARGE_SIZE} px, {LARGE_HIDDEN} hidden, {LARGE_EPOCHS} epochs of {PICTURES} pictures"
    note = f"{cpu_minutes:.2f} CPU min on one thread, batches of {BATCH}, {BATCH} chains"
    return [
        Row(title, minutes, "min", None, 3.0, "lower", note),
        Row(f"{title}: peak memory", gigabytes, "GB", None, 2.0, "lower", "with Python and torch"),
    ]


def train_large(epochs: int) -> tuple[float, float, float]:
    """Minutes, CPU minutes, and the peak of the process's memory in GB."""
    torch.set_num_threads(1)
    train = binary_clusters(LARGE_SIZE).numpy()
    start, cpu = time.perf_counter(), time.process_time()
    ours(LARGE_HIDDEN, epochs, 0.01).fit(train)
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    return wall / 60, used / 60, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def binary_clusters(size: int) -> Tensor:
    """The chain's pictures of clusters, one draw of each with its stretched grey as probability, (pictures, pixels)."""
    section = load_params("params.yaml").model_section("rbm")
    data = replace(MODELS["rbm"], data=f"data/images/globular_clusters-{size}").make_datamodule(section)
    data.setup()
    grey = stretch(torch.cat([split["image"] for split in data.splits.values()]))
    generator = torch.Generator().manual_seed(0)
    return grey[torch.randperm(len(grey), generator=generator)[:PICTURES]].bernoulli(generator=generator)
