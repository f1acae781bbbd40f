"""Restricted machines of pictures of star clusters: held-out log-likelihood, and artificial pictures beside real ones.

The 84 real pictures are those of the folder globular_clusters of STAR_CLUSTER_DATA, the mocks those of the chain.
"""

import copy
import csv
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.results import Row
from lit_modules.networks.boltzmann.convolutional import ConvolutionalBoltzmannMachine
from lit_modules.networks.boltzmann.log_partition import exact, from_both_sides
from lit_modules.networks.boltzmann.pixels import chances, drawn, mean_bits, stretch
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine
from lit_modules.networks.symmetry import random_symmetry, symmetries
from pipeline.draw_cluster_pictures import picture
from pipeline.errors import InputError
from pipeline.evaluation.common.two_sample import BINS, CONTRASTS, classifier_auc, deformed, features
from pipeline.inputs.pictures import grey_square, read_picture
from pipeline.settings.load import load_params

SIZE, PIXELS = 50, 2500
LEVELS = 8  # of grey pictures
DENSE, FILTERS = 16, 4
HELD_OUT = 5  # each so many-th picture
SECONDS, QUICK_SECONDS = 45, 2  # of training
RATE, FILTER_RATE, BIAS_RATE = 5e-3, 1e-2, 1e-3
OFFSET_RATE = 0.01
CHAINS = 32  # and pictures of a batch: filters learn from each at 2500 places
FALLS, AVERAGED = 0.3, 0.6  # share of the training after which the rate falls, and weights are averaged
FRESH, FRESH_SEED = 500, 2  # mocks; the chain's have seed 1
SWEEPS, BETWEEN = 50, 10  # of the chains before the first artificial pictures, and between any two of a chain
AIS_CHAINS, AIS_STEPS = 64, 400
DRAWS = 5  # of each picture's bits


# --- pictures --------------------------------------------------------------------------------------------------------


def mocks(splits: tuple[str, ...]) -> Tensor:
    """Mocks of the chain, stretched, (n, pixels)."""
    folder = Path(f"data/images/globular_clusters-{SIZE}")
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["split"] in splits]
    return stretched([Image.open(folder / name) for name in names])


def real_clusters() -> Tensor:
    """Real pictures, stretched, (n, pixels).

    Raises:
        InputError: STAR_CLUSTER_DATA is not set, or holds no globular_clusters.
    """
    folder = Path(os.environ.get("STAR_CLUSTER_DATA", "")) / "globular_clusters"
    files = sorted(folder.glob("*.png"))
    if not files:
        raise InputError(f"{folder}: no pictures; set STAR_CLUSTER_DATA to the folder that holds globular_clusters")
    return stretched([read_picture(file.read_bytes(), str(file)) for file in files])


def fresh_mocks(n: int) -> Tensor:
    """New mocks by another seed than the chain's, stretched, (n, pixels)."""
    wanted = load_params("params.yaml").cluster_pictures
    seeds = np.random.SeedSequence(FRESH_SEED).spawn(n)
    return stretched([Image.fromarray(picture(np.random.default_rng(seed), wanted)) for seed in seeds])


def stretched(pictures: list[Image.Image]) -> Tensor:
    """Square, grey and stretched, (n, pixels)."""
    return stretch(torch.stack([grey_square(image, SIZE) for image in pictures]).float() / 255)


def squares(grey: Tensor) -> Tensor:
    """(n, pixels) -> (n, 1, size, size)."""
    return grey.view(-1, 1, SIZE, SIZE)


# --- training --------------------------------------------------------------------------------------------------------


@dataclass
class Trained:
    """A machine, where its chains ended, and the CPU seconds of the training."""

    machine: RestrictedBoltzmannMachine
    chains: Tensor
    seconds: float

    def artificial(self, n: int) -> Tensor:
        """Grey pictures, (n, pixels), from chains that go on without any look at the data."""
        states, found = self.machine.gibbs(self.chains, SWEEPS), []
        for _ in range(-(-n // CHAINS)):
            states = self.machine.gibbs(states, BETWEEN)
            found.append(self.machine.grey(states))
        return torch.cat(found)[:n]


def train(machine: RestrictedBoltzmannMachine, pictures: Tensor, seconds: float) -> Trained:
    """Adam on persistent chains; the weights are the mean of those in the last part of the training.

    Chains that now and then start again at the data keep the dense units moving, but hide from the learning what
    filters do in the long run: the machine then fills whole corners with light.
    """
    start = time.process_time()
    mean = mean_bits(chances(pictures, machine.levels), machine.levels).unflatten(-1, (SIZE, SIZE))
    machine.start_from(symmetries(mean).mean(0).flatten())
    rates = {"filters": FILTER_RATE, "visible_bias": BIAS_RATE}
    groups = [{"params": [weight], "lr": rates.get(name, RATE)} for name, weight in machine.named_parameters()]
    optimiser = torch.optim.AdamW(groups, betas=(0.5, 0.99), weight_decay=0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda _: min(1.0, (1 - spent(start, seconds)) / (1 - FALLS))
    )
    average = copy.deepcopy(machine)
    states, averaged = machine.draw(machine.offset.expand(CHAINS, -1)), 0
    while spent(start, seconds) < 1:
        batch = squares(pictures[torch.randint(len(pictures), (CHAINS,))])
        data = drawn(random_symmetry(batch)[0].flatten(1), machine.levels)
        with torch.no_grad():
            machine.move_hidden_offset(machine.hidden(data).mean(0), OFFSET_RATE)
        states = machine.gibbs(states, 1)
        gap = machine.free_energy(data).mean() - machine.free_energy(states).mean()
        optimiser.zero_grad()
        gap.backward()
        optimiser.step()
        schedule.step()
        if spent(start, seconds) > AVERAGED:
            averaged += 1
            for mean, value in zip(average.state_dict().values(), machine.state_dict().values(), strict=True):
                mean.lerp_(value, 1 / averaged)
    return Trained(average, states, time.process_time() - start)


def spent(start: float, seconds: float) -> float:
    """Share of the CPU seconds that a training may take."""
    return min(1.0, (time.process_time() - start) / seconds)


# --- log-likelihood --------------------------------------------------------------------------------------------------


def pictures(quick: bool) -> list[Row]:
    """Held-out log-likelihood above that of independent pixels, by log Z between bounds or exact."""
    every = torch.cat([mocks(("train", "val", "test")), real_clusters()])
    held_out = torch.arange(len(every)) % HELD_OUT == 0
    seen, unseen = every[~held_out], every[held_out]
    seconds = QUICK_SECONDS if quick else SECONDS
    machines = ((1, DENSE, 0), (1, DENSE, FILTERS), (LEVELS, DENSE, 0), (LEVELS, DENSE, FILTERS))
    name = "84 real clusters and 90 mocks, held out, above independent pixels"
    rows = []
    for levels, dense, filters in machines[1:2] if quick else machines:
        torch.manual_seed(1)
        machine = train(new_machine(levels, dense, filters), seen, seconds)
        betas = torch.linspace(0, 1, (10 if quick else AIS_STEPS) + 1)  # finding fitting ones takes long with filters
        rbm = machine.machine
        log_z = exact(rbm) if rbm.enumerable else from_both_sides(rbm, AIS_CHAINS, betas)
        gain = above_independent_pixels(rbm, unseen, log_z.value)
        what = f"{levels} levels, rounded" if levels > 1 else "one bit, drawn"
        note = f"log Z within {log_z.low - log_z.value:+.2f} and {log_z.high - log_z.value:+.2f} nats"
        note = f"{note if log_z.low < log_z.high else 'exact log Z'}; training {machine.seconds:.0f} CPU s"
        units = f"{dense} hidden" + (f" and {filters} filters" if filters else "")
        goal = 100.0 if levels == 1 else None
        rows.append(Row(f"{name}: {what}, {units}", gain, "nats", 42 if levels == 1 else None, goal, "higher", note))
    return rows


def new_machine(levels: int, dense: int, filters: int) -> RestrictedBoltzmannMachine:
    """With or without filters beside its dense units."""
    if filters:
        return ConvolutionalBoltzmannMachine(PIXELS, dense, levels, filters)
    return RestrictedBoltzmannMachine(PIXELS, dense, levels)


@torch.no_grad()
def above_independent_pixels(machine: RestrictedBoltzmannMachine, grey: Tensor, log_z: float) -> float:
    """Mean difference of the log-likelihoods, nats a picture."""
    states = drawn(grey.repeat(DRAWS if machine.levels == 1 else 1, 1), machine.levels)
    independent = machine.free_energy(states, 0.0).double() + machine.log_partition_base()
    return float((independent - machine.free_energy(states).double() - log_z).mean())


# --- two samples -----------------------------------------------------------------------------------------------------


def two_sample(quick: bool) -> list[Row]:
    """Can logistic regression tell artificial pictures from new mocks? All are seen with the same levels of grey."""
    n = 20 if quick else FRESH
    seen, fresh = mocks(("train",)), features(as_seen(fresh_mocks(n)))
    drawn = {}
    for name, filters in (("filters", FILTERS), ("dense", 0)):
        torch.manual_seed(1)
        drawn[name] = train(new_machine(LEVELS, DENSE, filters), seen, QUICK_SECONDS if quick else SECONDS)
    independent = drawn["dense"].machine
    pixels = independent.grey(independent.draw(independent.offset.expand(n, -1)))
    turned = torch.from_numpy(deformed(squares(seen[torch.arange(n) % len(seen)])[:, 0].numpy())).float()
    samples = {
        f"{DENSE} hidden and {FILTERS} filters": drawn["filters"].artificial(n),
        f"{DENSE} hidden": drawn["dense"].artificial(n),
        "independent pixels": pixels,
        "deformed training pictures": turned.flatten(1),
        "real clusters": real_clusters(),
    }
    rows: list[Row] = []
    for name, grey in samples.items():
        found = features(as_seen(grey))
        auc = classifier_auc(fresh, found)
        profile = classifier_auc(fresh[:, :BINS], found[:, :BINS])
        counts = classifier_auc(fresh[:, -len(CONTRASTS) :], found[:, -len(CONTRASTS) :])
        note = f"{auc.low:.3f} to {auc.high:.3f}; by the profile alone {profile.value:.2f}, by stars {counts.value:.2f}"
        goal = None if rows else 0.7
        rows.append(Row(f"AUC against {n} new mocks: {name}", auc.value, "", 0.5, goal, "lower", note))
    return rows


def as_seen(grey: Tensor) -> np.ndarray:
    """Pictures in the levels of the machine, (n, size, size)."""
    return (grey * LEVELS).round().div(LEVELS).view(-1, SIZE, SIZE).numpy()
