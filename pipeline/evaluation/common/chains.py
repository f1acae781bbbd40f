"""How far to trust Markov chains: diagnostics by ArviZ, distance from quadrature, and a refusal of stuck ones."""

import os
import warnings
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import InputError

Array = NDArray[Any]
BINS = 16  # of a side of the histogram in which chains are compared with quadrature


def chain_diagnostics(states: Tensor, section: str) -> tuple[Array, Array]:
    """R-hat and effective sample size of chains (steps, many, chains, d), (many, d) each, by ArviZ.

    R-hat is rank-normalised and split, and the size that of the bulk (Vehtari et al. 2021, Bayesian Analysis 16, 667).

    Args:
        states: after each step.
        section: of params.yaml, whose ``evaluate`` says how long chains are.

    Raises:
        InputError: a chain never moved: it has no R-hat.
    """
    stuck = int((states == states[0]).all(0).any(-1).sum())
    if stuck:
        raise InputError(
            f"{section}: {stuck} of {states[0, ..., 0].numel()} chains never moved in {len(states)} steps; raise "
            f"{section}.evaluate.steps and burn_in, or look at the energy"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # ArviZ tells of its next version at import
        os.environ.setdefault("XDG_CACHE_HOME", str(Path("runs/cache").absolute()))  # ArviZ writes there when imported
        import arviz
    draws = {"y": states.permute(2, 0, 1, 3).numpy()}  # chains, steps, many, d
    return arviz.rhat(draws, method="rank")["y"].values, arviz.ess(draws, method="bulk")["y"].values


def divergence(points: Tensor, log_probability: Tensor) -> Tensor:
    """KL divergence of histograms of points from the exact probabilities of their bins, (many,), nats.

    Args:
        points: in [-1, 1]², (many, n, 2).
        log_probability: of the cells of a grid whose side is a multiple of ``BINS``, (many, nodes, nodes).
    """
    fine = log_probability.shape[-1] // BINS
    log_cell = log_probability.unflatten(1, (BINS, fine)).unflatten(3, (BINS, fine))
    log_exact = log_cell.transpose(2, 3).flatten(-2).logsumexp(-1).flatten(1)
    bins = ((points + 1) / 2 * BINS).long().clamp(max=BINS - 1)
    index = bins[..., 0] * BINS + bins[..., 1]
    counts = torch.stack([torch.bincount(row, minlength=BINS**2) for row in index])
    found = counts / index.shape[1]
    return (torch.special.xlogy(found, found) - found * log_exact).sum(1)
