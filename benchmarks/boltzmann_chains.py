"""Bounds of log Z of restricted Boltzmann machines beside its exact value, and how fast their chains mix."""

import copy
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.results import Row
from lit_modules.networks.boltzmann.log_partition import LogPartition, bracket
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine, all_states
from lit_modules.networks.boltzmann.tempering import Ladder, Temperatures, Trajectory, exchanged
from pipeline.progress import track

PIXELS, HIDDEN = 40, 20  # of machines whose log Z is summed over all hidden states
DEVIATIONS = (0.5, 1.0, 2.0, 3.0)  # of their weights
CHAINS, STEPS = 512, 500  # of the annealing

CLUSTER_PIXELS, CLUSTER_HIDDEN = 40, 8
NOISE = 0.1  # of the pixels of a cluster's member differ from its centre
EXCHANGES = 0.4  # accepted share of those between neighbours of both ladders
RATE = 0.05  # of the learning


# --- bounds ----------------------------------------------------------------------------------------------------------


def bounds(quick: bool) -> list[Row]:
    """Share of machines whose exact log Z lies inside the bounds of 95 %, and how wide and how far off they are."""
    machines = 4 if quick else 200
    rows, inside_all = [], []
    for deviation in DEVIATIONS:
        each = machines // len(DEVIATIONS)
        seeds = track(range(each), f"deviation {deviation}", each)
        exact, found = zip(*(exact_and_annealed(seed, deviation) for seed in seeds), strict=True)
        truth, low, high = (np.array(column) for column in (exact, [e.low for e in found], [e.high for e in found]))
        inside = (low <= truth) & (truth <= high)
        inside_all += inside.tolist()
        off = np.abs(np.array([e.value for e in found]) - truth)
        name = f"annealing and its reverse, weights of deviation {deviation}"
        note = f"off by {off.mean():.2g} on average, {off.max():.2g} at most; {inside.sum()} of {each} inside"
        rows.append(Row(f"{name}: width of the bounds", float((high - low).mean()), "nats", None, None, "lower", note))
    note = f"{PIXELS} pixels, {HIDDEN} hidden units, {CHAINS} chains, {STEPS} steps"
    share = 100 * float(np.mean(inside_all))
    title = f"annealing and its reverse: exact log Z inside the bounds, {len(inside_all)} machines"
    return [Row(title, share, "%", None, 95.0, "higher", note), *rows]


def exact_and_annealed(seed: int, deviation: float) -> tuple[float, LogPartition]:
    """Exact log Z of a random machine, and as estimated."""
    torch.manual_seed(seed)
    rbm = RestrictedBoltzmannMachine(PIXELS, HIDDEN)
    rbm.start_from(0.1 + 0.8 * torch.rand(PIXELS))
    with torch.no_grad():
        rbm.weight.normal_(std=deviation)
        rbm.visible_bias.normal_()
        rbm.hidden_bias.normal_()
    return rbm.log_partition(), bracket(rbm, CHAINS, STEPS)


# --- mixing ----------------------------------------------------------------------------------------------------------


def mixing(quick: bool) -> list[Row]:
    """Autocorrelation times of which cluster chains are in, on a machine that learned two clusters."""
    chains, sweeps = (4, 500) if quick else (50, 20000)
    torch.manual_seed(1)
    centres = torch.rand(2, CLUSTER_PIXELS).round()
    machines = learned(centres, steps=300 if quick else 1000)
    rbm, rungs = machines[-1], len(machines)
    axis = centres[1] - centres[0]
    alone = Temperatures(rbm, torch.ones(1))
    gibbs = autocorrelation_time(trace(alone, rbm, axis, chains, sweeps))
    ladders: dict[str, Ladder] = {
        "parallel tempering": Temperatures(rbm, torch.linspace(0, 1, rungs)),
        "trajectory tempering": Trajectory(machines),
    }
    conditions = f"{CLUSTER_PIXELS} pixels, {CLUSTER_HIDDEN} hidden units; {chains} chains of {sweeps} sweeps"
    rows = [Row("Gibbs: autocorrelation time", gibbs, "sweeps", None, None, "lower", conditions)]
    for name, ladder in ladders.items():
        time = autocorrelation_time(trace(ladder, rbm, axis, chains, sweeps // 10))
        note = f"{time:.3g} sweeps of {rungs} rungs; of equal work shorter by {gibbs / time / rungs:.3g}"
        rows.append(Row(f"{name}: autocorrelation time, shorter by", gibbs / time, "x", None, 20.0, "higher", note))
    return rows


@torch.no_grad()
def trace(ladder: Ladder, rbm: RestrictedBoltzmannMachine, axis: Tensor, chains: int, sweeps: int) -> Tensor:
    """Projection on the axis of the clusters after each sweep of chains that start in equilibrium, (sweeps, chains)."""
    states = exact_samples(rbm, chains).expand(ladder.rungs, -1, -1)
    found = []
    for sweep in range(sweeps):
        states = ladder.gibbs(states)
        states = exchanged(states, ladder.log_ratios(states), sweep % 2)
        found.append(states[-1] @ axis)
    return torch.stack(found)


def autocorrelation_time(trace: Tensor) -> float:
    """Steps that one independent sample costs, (steps, chains): their number by the effective sample size of ArviZ."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # ArviZ tells of its next version at import
        os.environ.setdefault("XDG_CACHE_HOME", str(Path("runs/cache").absolute()))  # ArviZ writes there when imported
        import arviz
    return trace.numel() / float(arviz.ess(trace.T.numpy(), method="mean"))


def learned(centres: Tensor, steps: int) -> list[RestrictedBoltzmannMachine]:
    """Machines along a training on two clusters by the exact gradient; neighbours exchange states at ``EXCHANGES``."""
    rbm = RestrictedBoltzmannMachine(CLUSTER_PIXELS, CLUSTER_HIDDEN)
    rbm.start_from(centres.mean(0).clamp(NOISE, 1 - NOISE))
    optimizer = torch.optim.SGD(rbm.parameters(), lr=RATE)
    machines = [copy.deepcopy(rbm)]
    for _ in range(steps):
        before = copy.deepcopy(rbm)
        optimizer.zero_grad()
        (rbm.free_energy(members(centres, 200)).mean() + hidden_log_weights(rbm)[1].logsumexp(0)).backward()
        optimizer.step()
        if exchange_rate(machines[-1], rbm) < EXCHANGES:
            machines.append(before)
    return [*machines, rbm]


def hidden_log_weights(rbm: RestrictedBoltzmannMachine) -> tuple[Tensor, Tensor]:
    """All states of the hidden layer and log p(h) + log Z, (states, hidden) and (states,)."""
    states = all_states(rbm.n_hidden)
    return states, (states - rbm.hidden_offset) @ rbm.hidden_bias + rbm.log_visible_sum(rbm.visible_field(states))


@torch.no_grad()
def exact_samples(rbm: RestrictedBoltzmannMachine, n: int) -> Tensor:
    """Independent draws from a machine with few hidden units, (n, pixels)."""
    states, log_weight = hidden_log_weights(rbm)
    return rbm.sample_visible(states[log_weight.softmax(0).multinomial(n, replacement=True)])


@torch.no_grad()
def exchange_rate(easier: RestrictedBoltzmannMachine, rbm: RestrictedBoltzmannMachine) -> float:
    """Share of exchanges that two machines accept."""
    samples = torch.stack([exact_samples(easier, 200), exact_samples(rbm, 200)])
    up, down = Trajectory([easier, rbm]).log_ratios(samples)
    return float((up + down).clamp(max=0).exp().mean())


def members(centres: Tensor, n: int) -> Tensor:
    """Pictures of clusters, each pixel turned over with probability ``NOISE``, (n, pixels)."""
    turned = torch.rand(n, centres.shape[1]) < NOISE
    return (centres[torch.randint(len(centres), (n,))] - turned.float()).abs()
