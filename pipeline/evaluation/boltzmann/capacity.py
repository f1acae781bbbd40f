"""How many pictures a machine of pixels remembers: random ones, stored and recalled from a part of their pixels."""

import torch
from torch import Tensor

from lit_modules.networks.boltzmann.general import BoltzmannMachine

STEPS, RATE = 60, 0.05  # of Adam
SWEEPS = 2  # of contrastive divergence
CHAINS = 64  # at least, of the negative phase
RECALL_SWEEPS = 20
SHARPNESS = 16  # of Hebb's couplings; more changes nothing


@torch.no_grad()
def wrong_pixels(known: Tensor, numbers: list[int]) -> dict[str, list[float]]:
    """Share of the unknown pixels that machines recall wrongly; half of them would be chance.

    No pixel of a random picture tells about another one: what is recalled, was stored.

    Args:
        known: True at the pixels from which pictures are recalled, (pixels,).
        numbers: of pictures stored together.

    Returns:
        By learning, for each number.
    """
    rules = {"model": learned, "hebbs_rule": hebbian}
    wrong: dict[str, list[float]] = {name: [] for name in rules}
    for number in numbers:
        stored = torch.full((number, len(known)), 0.5, device=known.device).bernoulli()
        for name, store in rules.items():
            recalled = store(stored).recall(stored, torch.where(known, torch.inf, 0.0), RECALL_SWEEPS)
            wrong[name].append(float((recalled - stored)[:, ~known].abs().mean()))
    return wrong


@torch.enable_grad()
def learned(stored: Tensor) -> BoltzmannMachine:
    """A machine without hidden units, trained by contrastive divergence.

    Its chains start at the stored pictures: what recall needs is that nothing else lies beside each of them.
    """
    machine = BoltzmannMachine(stored.shape[1], 0).to(stored.device)
    machine.start_from((stored.sum(0) + 0.5) / (len(stored) + 1))
    optimizer = torch.optim.Adam(machine.parameters(), RATE)
    start = stored.repeat(-(-CHAINS // len(stored)), 1)
    for _ in range(STEPS):
        gap = machine.free_energy(stored).mean() - machine.free_energy(machine.gibbs(start, SWEEPS)).mean()
        optimizer.zero_grad()
        gap.backward()
        optimizer.step()
    return machine


def hebbian(stored: Tensor) -> BoltzmannMachine:
    """What fires together, wires together: w_ij ∝ Σ (2 s_i - 1)(2 s_j - 1) (Hopfield 1982)."""
    spins = 2 * stored - 1
    machine = BoltzmannMachine(stored.shape[1], 0).to(stored.device)
    machine.upper.copy_(SHARPNESS * spins.T @ spins / stored.shape[1])
    return machine
