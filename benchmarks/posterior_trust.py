"""Whether the posterior of the energy is to be trusted: coverage, SBC, TARP, its chains, and how fast it is drawn from.

The clusters are drawn from the prior; they had no part in training, choice of the epoch or calibration.
"""

import math
import os
import time
from typing import Any

import numpy as np
import torch
from scipy.stats import kstest
from torch import Tensor

from benchmarks.posterior_rivals import GRID, Simulations
from benchmarks.posterior_runs import Chain, log_density_at
from benchmarks.results import Row
from lit_modules.networks.energy.box import cell_volume
from lit_modules.networks.energy.map_energy import Context
from lit_modules.networks.energy.posterior import marginals, region_around
from pipeline.errors import InputError
from pipeline.evaluation.common.chains import chain_diagnostics
from pipeline.evaluation.ebm.draws import posterior_draws
from pipeline.evaluation.ebm.sampling import sampled
from pipeline.evaluation.ebm.settings import Ebm
from pipeline.progress import track

DRAWS = 1000  # of each posterior
CONTENTS = (50, 68, 90, 95)  # per cent, of regions of highest density
REFERENCES = 20  # sets of random points of TARP, over which it is averaged
NAMES = ("distance", "age", "field mass")
APART = 10  # states of each chain that are taken for independent, evenly spread
AT_ONCE = 50  # maps


@torch.no_grad()
def coverage(energy: Any, prior: Chain) -> list[Row]:
    """Of regions of highest density of distance and age; SBC and TARP as sbi computes them."""
    test = prior.in_turn("train")
    context, clusters = energy.context(test.seen), len(test.y)
    log_density = energy.log_posterior(context, GRID)
    content = region_around(log_density.exp() * cell_volume(GRID), log_density, log_density_at(energy, context, test.y))
    rows = []
    for wanted in CONTENTS:
        found, error = 100 * float((content <= wanted / 100).double().mean()), standard_error(wanted, clusters)
        note = f"{found:.4g} % of {clusters} prior-drawn clusters; one standard deviation is {error:.2g}"
        name = f"regions of {wanted} %: coverage is off by"
        rows.append(Row(name, abs(found - wanted), "points", None, max(2.0, 2 * error), "lower", note))
    draws = posterior_draws(energy, context, DRAWS, torch.Generator().manual_seed(1))[..., :2]
    return [*rows, *by_sbi(test, draws)]


def standard_error(percent: float, n: int) -> float:
    """Of the share, per cent, of n independent events that is expected to be ``percent``."""
    return 100 * math.sqrt(percent / 100 * (1 - percent / 100) / n)


class Drawn:
    """A posterior as sbi's checks ask for it, whose draws (draws, n, 2) are there already."""

    def __init__(self, draws: Tensor) -> None:
        self.draws = draws

    def sample_batched(self, *_: Any, **__: Any) -> Tensor:
        """All draws."""
        return self.draws


def by_sbi(test: Simulations, draws: Tensor) -> list[Row]:
    """SBC (Talts et al. 2018) of both marginals and TARP (Lemos et al. 2023) of draws (n, draws, 2)."""
    try:
        from sbi.diagnostics import run_sbc, run_tarp
        from sbi.diagnostics.sbc import check_uniformity_frequentist
    except ImportError as error:
        raise InputError(f"{error}: SBC and TARP are those of sbi; pip install 'sbi>=0.27'") from error
    posterior, number = Drawn(draws.transpose(0, 1)), draws.shape[1]
    ranks, _ = run_sbc(test.y, test.seen, posterior, number, show_progress_bar=False)
    rows = [
        Row(f"SBC, {name}: p of uniform ranks", float(p), "", None, 0.01, "higher", "Kolmogorov-Smirnov, by sbi")
        for name, p in zip(NAMES, check_uniformity_frequentist(ranks, number), strict=False)
    ]
    torch.manual_seed(1)
    curves = []
    for _ in range(REFERENCES):
        found, alpha = run_tarp(
            test.y, test.seen, posterior, num_posterior_samples=number, num_bins=50, show_progress_bar=False
        )
        levels = torch.linspace(0.05, 0.95, 19)
        curves.append(np.interp(levels, alpha, found) - levels.numpy())
    off = 100 * np.mean(curves, 0)
    luck = standard_error(50, len(test.y))
    note = f"mean over {REFERENCES} sets of random points; at 50 % one standard deviation is {luck:.2g}"
    rows.append(Row("TARP: coverage is off by at most", float(np.abs(off).max()), "points", None, 2.0, "lower", note))
    return rows


# --- chains ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def chains(energy: Any, prior: Chain, maps: int, params: Ebm) -> list[Row]:
    """The evaluation's Metropolis-Hastings chains of all three unknowns against quadrature, and their R-hat."""
    test, settings = prior.in_turn("train"), params.evaluate
    start, rhat, p, accepted = time.perf_counter(), [], [], []
    for seen in track(test.seen[:maps].split(AT_ONCE), "chains", -(-maps // AT_ONCE)):
        context = energy.context(seen)
        sample = sampled(energy, context, params)
        accepted.append(sample.acceptance)
        rhat.append(chain_diagnostics(sample.states, "ebm")[0].max())
        density = energy.log_posterior(context, 4 * GRID).exp()
        apart = sample.states[settings.steps // APART - 1 :: settings.steps // APART]
        points = in_sigmas(energy, context, apart).transpose(0, 1).flatten(1, 2)
        p += [quantile_test(*pair) for pair in zip(points, density, strict=True)]
    length = f"{settings.chains} chains of {settings.burn_in} and {settings.steps} steps each"
    note = f"{maps} maps, {length}; {100 * np.mean(accepted):.0f} % accepted"
    rows = [Row("chains: worst R-hat", float(max(rhat)), "", None, 1.01, "lower", note)]
    for name, of_maps in zip(NAMES, np.array(p).T, strict=True):
        passed, note = 100 * float((of_maps > 0.01).mean()), f"Kolmogorov-Smirnov of {APART} states of each chain"
        rows.append(
            Row(f"chains against quadrature, {name}: maps with p > 0.01", passed, "%", None, 95.0, "higher", note)
        )
    return [*rows, Row("chains: wall time", time.perf_counter() - start, "s", None, None, "lower", "one thread")]


def in_sigmas(energy: Any, context: Context, states: Tensor) -> Tensor:
    """The third coordinate of states (steps, maps, chains, 3) made the mass's distance from its mean, in sigmas."""
    mass = energy.mass_given(context, states[..., :2])
    return torch.cat([states[..., :2], mass.z(states[..., 2])[..., None]], -1)


def quantile_test(points: Tensor, density: Tensor) -> list[float]:
    """Of Kolmogorov-Smirnov, p of independent points (n, 3): distance and age against the marginals of a grid (N, N).

    The third is compared with a normal distribution.
    """
    values = points.double().numpy().T
    edges = np.linspace(-1, 1, density.shape[-1] + 1)
    found = []
    for of_points, marginal in zip(values, marginals(density[None].double()), strict=False):
        cdf = np.concatenate([[0.0], (marginal[0].cumsum(0) / marginal.sum()).numpy()])
        found.append(float(kstest(np.interp(of_points, edges, cdf), "uniform").pvalue))
    return [*found, float(kstest(values[2], "norm").pvalue)]


# --- speed -----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def speed(energy: Any, prior: Chain, maps: int, draws: int) -> list[Row]:
    """Seconds for posterior draws of many maps, from their statistics."""
    seen, threads = prior.in_turn("train").seen[:maps], torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    start = time.perf_counter()
    posterior_draws(energy, energy.context(seen), draws, torch.Generator().manual_seed(1))
    seconds = time.perf_counter() - start
    torch.set_num_threads(threads)
    name = f"{draws} draws of distance, age and mass for each of {maps} maps"
    return [Row(name, seconds, "s", None, 30.0, "lower", f"{os.cpu_count()} cores, from their statistics")]
