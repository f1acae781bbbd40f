"""Restricted machines of handwritten digits: MNIST with 16 and 500 hidden units, scikit-learn's digits with 16."""

import statistics
import sys
import time
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from benchmarks.mnist import read_mnist
from benchmarks.results import Row
from lit_modules.networks.boltzmann.encoder import RBMEncoder
from lit_modules.networks.boltzmann.log_partition import (
    ESS_FRACTION,
    LADDER_CHAINS,
    POPULATIONS,
    adaptive_betas,
    annealed,
    reverse_annealed,
    spaced,
)
from lit_modules.networks.boltzmann.maximum_likelihood import maximise
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine

SEEDS = (1, 2, 3)
STOCHASTIC, EXACT, LAST = 20, 30, 10  # epochs by persistent chains, then passes of exact ascent; the last are averaged
PYDEEP = {"MNIST": -142.56, "flipped MNIST": -142.09}  # its documentation, last of 50 epochs
LARGE: dict[str, Any] = {"learning_rate": 0.2, "batch_size": 500, "chains": 500}
EPOCHS = 60
AIS_CHAINS, AIS_STEPS = 512, 2000
REVERSE_SWEEPS = 1000  # from the training's chains to samples
DIGITS = 1500  # of training; the last 297 are for the test
DIGITS_EPOCHS = 400


# --- 784x16 ----------------------------------------------------------------------------------------------------------


def mnist16(quick: bool) -> list[Row]:
    """The exact test log-likelihood of 16 hidden units, of digits and of their negatives."""
    train, test = mnist(quick)
    rows: list[Row] = []
    for name, pictures in (("MNIST", (train, test)), ("flipped MNIST", (1 - train, 1 - test))):
        goal = rows[0].value - 1 if rows else -136.5
        start, found = time.process_time(), []
        for seed in SEEDS[:1] if quick else SEEDS:
            tell(f"{name}, seed {seed}")
            found.append(last_epochs(*pictures, seed, quick))
        minutes = (time.process_time() - start) / 60 / len(found)
        mean = statistics.mean(found)
        seeds = ", ".join(f"{value:.2f}" for value in found)
        epochs = f"last {LAST} of {STOCHASTIC} epochs by chains and {EXACT} exact"
        note = f"{epochs}; seeds {seeds}; {minutes:.1f} CPU min each"
        rows.append(Row(f"{name}, 784x16, exact", mean, "nats", PYDEEP[name], goal, "higher", note))
    return rows


def last_epochs(train: Tensor, test: Tensor, seed: int, quick: bool) -> float:
    """Mean of the exact test log-likelihood over the last epochs of 50: an epoch is a pass through the data."""
    stochastic, passes = (1, 3) if quick else (STOCHASTIC, EXACT)
    encoder = RBMEncoder(16, learning_rate=0.2, n_iter=stochastic, random_state=seed).fit(train.numpy())
    states = [parameters(encoder.machine_)]
    maximise(encoder.machine_, train, passes, lambda: states.append(parameters(encoder.machine_)))
    found = []
    for state in states[-LAST:]:
        encoder.machine_.load_state_dict(state)
        found.append(float(encoder.score_samples(test.numpy()).mean()))
    return statistics.mean(found)


def parameters(rbm: RestrictedBoltzmannMachine) -> dict[str, Tensor]:
    """A copy of all that the machine is."""
    return {name: tensor.clone() for name, tensor in rbm.state_dict().items()}


# --- 784x500 ---------------------------------------------------------------------------------------------------------


def mnist500(quick: bool) -> list[Row]:
    """The test log-likelihood of 500 hidden units, by log Z from below and from above."""
    train, test = mnist(quick)
    start = time.process_time()
    encoder = RBMEncoder(500, **LARGE, n_iter=1 if quick else EPOCHS, random_state=SEEDS[0]).fit(train.numpy())
    minutes = (time.process_time() - start) / 60
    steps, chains = (50, 64) if quick else (AIS_STEPS, AIS_CHAINS)
    rbm = encoder.machine_
    betas = spaced(adaptive_betas(rbm, LADDER_CHAINS, ESS_FRACTION), steps)
    below = annealed(rbm, chains, betas)
    above = reverse_annealed(rbm, samples(encoder, chains), betas)
    free_energy = float(rbm.free_energy(test).mean().detach())
    note = "log Z {0.value:.2f}, 95 %: {0.low:.2f} to {0.high:.2f}"
    apart = abs(above.value - below.value)
    title = "MNIST, 784x500"
    return [
        Row(f"{title}, AIS", -free_energy - below.value, "nats", -84.86, -84.0, "higher", note.format(below)),
        Row(
            f"{title}, reverse AIS from the training's chains",
            -free_energy - above.value,
            "nats",
            -96.61,
            None,
            "higher",
            note.format(above),
        ),
        Row(f"{title}: AIS and reverse AIS are apart by", apart, "nats", 11.75, 1.0, "lower"),
        Row(f"{title}: training", minutes, "CPU min", 77.0, 78.0, "lower", f"{EPOCHS} epochs, one thread"),
    ]


def samples(encoder: RBMEncoder, chains: int) -> Tensor:
    """The training's chains, many times and many sweeps later, (populations, chains, pixels)."""
    states = encoder.states_[-1]
    starts = states[torch.arange(POPULATIONS * (chains // POPULATIONS)) % len(states)]
    return encoder.machine_.gibbs(starts, REVERSE_SWEEPS).unflatten(0, (POPULATIONS, -1))


# --- digits ----------------------------------------------------------------------------------------------------------


def digits(quick: bool) -> list[Row]:
    """The exact test log-likelihood of scikit-learn's digits, 8 x 8."""
    lit = (load_digits().data > 8).astype(np.float32)  # of 16
    train, test = lit[:DIGITS], lit[DIGITS:]
    start, found = time.process_time(), []
    for seed in SEEDS[:1] if quick else SEEDS:
        encoder = RBMEncoder(16, learning_rate=0.2, n_iter=10 if quick else DIGITS_EPOCHS, random_state=seed)
        found.append(float(encoder.fit(train).score_samples(test).mean()))
    seconds = (time.process_time() - start) / len(found)
    note = f"seeds {', '.join(f'{value:.2f}' for value in found)}; {seconds:.0f} CPU s each"
    return [Row("digits 8x8, 16 hidden, exact", statistics.mean(found), "nats", -18.95, -18.3, "higher", note)]


# --- data ------------------------------------------------------------------------------------------------------------


def mnist(quick: bool) -> tuple[Tensor, Tensor]:
    """Binary pictures of training and test, (pictures, 784)."""
    train, test = read_mnist(quick)
    return (train >= 0.5).float(), (test >= 0.5).float()


def tell(name: str) -> None:
    """What is at work, on stderr."""
    print(f"boltzmann: {name}", file=sys.stderr, flush=True)
