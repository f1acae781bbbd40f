"""Figures of how far to trust posteriors: regions, ranks, errors, and mocks of named clusters."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from scipy.stats import binom
from torch import Tensor

from lit_modules.ebm import LitEBM
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, Picture
from pipeline.evaluation.ebm.figures import distance_axis
from pipeline.evaluation.ebm.measures import Seen

BINS = 10  # of a rank histogram
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
NAMES = ("clean", "noisy")
COLOURS = (BLUE, ORANGE)
RANKED = {"distance": "distance", "age": "age", "field_mass": "mass in the field"}
STATED = {"distance": "distance (kpc)", "age": "age (Gyr)", "mass_to_light": "M/L (M☉/L☉)"}


def trust_panels(model: LitEBM, test: Sequence[Seen]) -> Picture:
    """Contents of regions that reach the truth, and medians with intervals of all test maps seen clean."""
    figure, (left, *others) = plt.subplots(1, 4, figsize=(12, 3.4))
    left.plot([0, 100], [0, 100], color=GREY, lw=1, ls="--", label="perfect")
    for maps, name, colour in zip(test, NAMES, COLOURS, strict=False):
        content = maps.posterior.content().sort().values
        left.plot(100 * content, torch.linspace(0, 100, len(content)), color=colour, label=name)
    left.set(xlabel="content of the region (%)", ylabel="truth found inside (%)", title="regions of distance and age")
    left.legend(fontsize=8)
    for axis, (name, label) in zip(others, STATED.items(), strict=True):
        true, draws = test[0].truth[name], test[0].draws[name]
        low, median, high = draws.quantile(torch.tensor([0.16, 0.5, 0.84]), 1)
        axis.errorbar(true, median, torch.stack([median - low, high - median]), fmt="o", ms=2.5, lw=0.6, alpha=0.4)
        ends = [float(true.min()), float(true.max())]
        axis.plot(ends, ends, color=GREY, lw=1, ls="--")
        axis.set(xlabel=f"true {label}", ylabel="median and 68 % interval", title=label.split(" (")[0])
    distance_axis(others[0], model)
    others[0].set_yscale("log")
    others[0].set_yticks(others[0].get_xticks(), others[0].get_xticklabels())
    others[0].minorticks_off()
    for scale in (others[2].set_xscale, others[2].set_yscale):
        scale("log")
    return Picture(
        "trust",
        "All test maps. Left: of the regions that claim to hold the truth in, say, 68 % of cases, so many do; below "
        "the dashed line a model is too sure of itself. The others: median and 68 % interval against the truth, of "
        "maps seen clean.",
        figure,
    )


def rank_panels(val: Seen, test: Sequence[Seen]) -> Picture:
    """Rank histograms of distance, age and mass: clusters drawn from the prior, and test clusters."""
    sets = {"drawn from the prior": val, **{f"four distances, {n}": m for n, m in zip(NAMES, test, strict=False)}}
    figure, axes = plt.subplots(len(sets), len(RANKED), figsize=(9.2, 1.9 * len(sets)), sharex=True, squeeze=False)
    for row, (title, maps), colour in zip(axes, sets.items(), (GREEN, *COLOURS), strict=False):
        row[0].set_ylabel(f"{title}\nmaps (%)", fontsize=9)
        for axis, (name, heading) in zip(row, RANKED.items(), strict=True):
            rank_histogram(axis, maps.ranks(name), colour)
            if maps is val:
                axis.set_title(heading, fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("draws below the truth (%)")
    return Picture(
        "ranks",
        "Rank of the truth among draws of its posterior. Where posteriors are honest, every rank is as frequent; the "
        "grey band holds 95 % of the bars then. A hump in the middle: too wide; high ends: too narrow; a slope: too "
        "high or too low. An honest posterior is flat for clusters drawn from the prior; the four fixed distances are "
        "not drawn from it, so theirs need not be.",
        figure,
    )


def rank_histogram(axis: Axes, ranks: Tensor, colour: str) -> None:
    """Shares of the ranks in bins, and the band in which 95 % of the bars of uniform ranks lie."""
    n = len(ranks)
    low, high = (100 * binom.ppf(level, n, 1 / BINS) / n for level in (0.025, 0.975))
    axis.axhspan(low, high, color=GREY, alpha=0.25, lw=0)
    axis.axhline(100 / BINS, color=GREY, lw=1, ls="--")
    share = (100 * torch.histc(ranks, BINS, 0, 1) / n).numpy()
    axis.bar((np.arange(BINS) + 0.5) * 100 / BINS, share, 0.9 * 100 / BINS, color=colour, alpha=0.8)
    axis.set_xlim(0, 100)


def named_panels(mocks: Mapping[tuple[str, bool], Seen]) -> Picture:
    """Intervals that the model states of each mock of the named clusters, and the truth."""
    clusters = list(dict.fromkeys(name for name, _ in mocks))
    figure, axes = plt.subplots(len(STATED), 1, figsize=(9.2, 6.4), sharex=True)
    for axis, (name, label) in zip(axes, STATED.items(), strict=True):
        for (cluster, noisy), maps in mocks.items():
            start = 2.4 * clusters.index(cluster) + 1.1 * noisy
            draw_intervals(axis, start, maps, name, COLOURS[noisy])
        axis.set_ylabel(label)
        axis.margins(y=0.18)
        if name != "age":
            axis.set_yscale("log")
            low, high = axis.get_ylim()
            axis.set_yticks([tick for tick in TICKS if low < tick < high], minor=False)
            axis.yaxis.set_major_formatter("{x:g}")
            axis.minorticks_off()
        axis.grid(False, axis="x")
    axes[-1].set_xticks([2.4 * k + 1.05 for k in range(len(clusters))], [f"mocks of {name}" for name in clusters])
    for name, colour in (("seen clean", BLUE), ("as Pan-STARRS 1 sees them", ORANGE), ("true", "black")):
        axes[0].plot([], [], color=colour, label=name)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return Picture(
        "named",
        "Mocks of four clusters of the Milky Way, made to their distances, masses, sizes, metallicities and ages. Each "
        "bar is the 68 % interval of one mock, with its median; above each group, how many of them hold the truth.",
        figure,
    )


def draw_intervals(axis: Axes, start: float, maps: Seen, name: str, colour: str) -> None:
    """68 % intervals of a quantity side by side, in the order of their medians, with the truth behind them."""
    low, median, high = maps.draws[name].quantile(torch.tensor([0.16, 0.5, 0.84]), 1)
    order = median.argsort()
    at = start + torch.linspace(0, 1, len(order))
    axis.vlines(at, low[order], high[order], color=colour, lw=1.1, alpha=0.6)
    axis.plot(at, median[order], ".", color=colour, ms=3)
    true = maps.truth[name].median()
    axis.hlines(true, start - 0.03, start + 1.03, color="black", lw=1.2, zorder=3)
    share = 100 * maps.inside(name).float().mean()
    axis.annotate(
        f"{share:.0f} %", (start + 0.5, 0.99), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=9
    )
