"""Bars and stripes of 3 x 3 pixels: all states can be summed, so every log-likelihood is exact.

Eight pictures have rows lit, eight have columns; none lit and all lit are twice among them. No machine gives the
16 more than 12 ln(1/16) + 4 ln(2/16) = -41.59 nats in all (MacKay 2003; Fischer & Igel 2010).
"""

import math
import time

import torch
from torch import Tensor

from benchmarks.results import Row
from lit_modules.networks.boltzmann.encoder import RBMEncoder
from lit_modules.networks.boltzmann.general import BoltzmannMachine
from lit_modules.networks.boltzmann.learning_rate import held_then_falling
from lit_modules.networks.boltzmann.negative_phase import NegativePhase
from lit_modules.networks.boltzmann.restricted import all_states

SIDE = 3
BOUND = 12 * math.log(1 / 16) + 4 * math.log(2 / 16)
MARGIN = 0.5
SEEDS = 5
HIDDEN = {"general": 4, "restricted": 8}
STEPS = 2000
RATE = 2.0  # held for a tenth of the steps, then falling to 0
CHAINS, SWEEPS, TEMPERATURES = 500, 2, 4


def bars(quick: bool) -> list[Row]:
    """Log-likelihood of the 16 pictures in all, the lowest of some seeds."""
    steps, seeds = (20, 1) if quick else (STEPS, SEEDS)
    ways = {
        f"general machine, {HIDDEN['general']} hidden units, exact gradient": lambda: general(steps, None),
        f"general machine, {HIDDEN['general']} hidden units, parallel tempering": lambda: general(
            steps, NegativePhase("pt", CHAINS, SWEEPS, TEMPERATURES)
        ),
        f"restricted machine, {HIDDEN['restricted']} hidden units, parallel tempering": lambda: restricted(steps),
    }
    rows = []
    for name, way in ways.items():
        found, start = [], time.process_time()
        for seed in range(seeds):
            torch.manual_seed(seed)
            found.append(way())
        seconds = (time.process_time() - start) / seeds
        note = f"lowest of {seeds} seeds, highest {max(found):.2f}; {seconds:.0f} CPU s each"
        title = f"bars and stripes {SIDE} x {SIDE}: {name}"
        rows.append(Row(title, min(found), "nats", BOUND, BOUND - MARGIN, "higher", note))
    return rows


def bars_and_stripes() -> Tensor:
    """The 16 pictures, (16, pixels)."""
    stripes = all_states(SIDE)[:, None].expand(-1, SIDE, -1)
    return torch.cat([stripes, stripes.mT]).flatten(1)


def general(steps: int, negative: NegativePhase | None) -> float:
    """A general machine by gradient descent; with no chains, all states are its negative phase."""
    data, states = bars_and_stripes(), all_states(SIDE**2)
    machine = BoltzmannMachine(SIDE**2, HIDDEN["general"])
    optimizer = torch.optim.SGD(machine.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: held_then_falling(step, steps))
    chains: Tensor | None = None
    for _ in range(steps):
        if negative is None:
            loss = machine.free_energy(data).mean() + torch.logsumexp(-machine.free_energy(states), 0)
        else:
            chains = negative.step(machine, chains, data)
            loss = machine.free_energy(data).mean() - machine.free_energy(chains[-1]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return -float(machine.free_energy(data).detach().sum()) - len(data) * machine.log_partition()


def restricted(steps: int) -> float:
    """A restricted machine: each of the steps sees all pictures."""
    data, seed = bars_and_stripes().numpy(), torch.initial_seed()
    encoder = RBMEncoder(
        HIDDEN["restricted"], RATE, len(data), steps, "pt", CHAINS, SWEEPS, TEMPERATURES, random_state=seed
    )
    return float(encoder.fit(data).score_samples(data).sum())
