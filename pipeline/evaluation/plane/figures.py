"""Figures of energies on the plane: landscapes, chains, samplers, and the ellipse's latent angle."""

import math

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from torch import Tensor

from datamodules.densities import HALF_WIDTH, SEMI_AXES
from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.free_energy import free_energy
from lit_modules.networks.energy.plane_energy import EllipseEnergy
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Picture
from pipeline.evaluation.plane.measures import Sample, joint_minima, kl

EDGES = (-HALF_WIDTH, HALF_WIDTH)
LEVELS = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12]  # of energies above the lowest
LAST = 150  # steps of a chain that are shown


def side_of(log_density: Tensor) -> Tensor:
    """Values at the nodes of a grid (nodes²,) as a picture, the first coordinate along x."""
    side = math.isqrt(len(log_density))
    return log_density.view(side, side).T


def landscape(axis: Axes, log_density: Tensor) -> QuadContourSet:
    """Energy above its minimum: dark is low."""
    picture = side_of(log_density.max() - log_density)[::3, ::3]
    nodes = torch.linspace(*EDGES, 2 * len(picture) + 1)[1::2]
    filled = axis.contourf(nodes, nodes, picture, LEVELS, cmap="Blues_r", extend="max")
    square(axis)
    return filled


def density(axis: Axes, values: Tensor, highest: float) -> None:
    """A picture of a density; black is most."""
    axis.imshow(values, cmap="magma_r", origin="lower", extent=(*EDGES, *EDGES), vmin=0, vmax=highest)
    square(axis)


def square(axis: Axes) -> None:
    """The whole box, without a grid."""
    axis.grid(False)
    axis.set(xlim=EDGES, ylim=EDGES, aspect="equal", xticks=[-4, 0, 4], yticks=[-4, 0, 4])


def plane_panels(true: dict[str, Tensor], found: dict[str, Tensor], chains: dict[str, Sample]) -> Picture:
    """A column for each density: what is true, what energy was learned, where chains went."""
    figure, axes = plt.subplots(3, len(true), figsize=(10.4, 6.6), sharex=True, sharey=True)
    for column, name in zip(axes.T, true, strict=True):
        picture = side_of(true[name].exp())
        highest = float(picture.max())
        density(column[0], picture, highest)
        filled = landscape(column[1], found[name])
        points = chains[name].states.flatten(0, 1)
        bins = 60
        counts = torch.histogramdd(points.double(), [bins, bins], range=[-1.0, 1.0, -1.0, 1.0], density=True).hist
        density(column[2], counts.T, highest)
        column[0].set_title(name.replace("_", " "), fontsize=10)
        column[1].set_title(f"KL {kl(true[name], found[name]):.4f} nats", fontsize=9)
    for axis, label in zip(axes[:, 0], ("density", "energy learned", "chains on it"), strict=True):
        axis.set_ylabel(label, fontsize=11)
    figure.colorbar(filled, ax=axes[1], label="F above its minimum", aspect=12)
    return Picture(
        "planes",
        "Five densities whose right answer is known. Top: the density that points were drawn from. Middle: the energy "
        "that was learned from points alone, low (dark) where points are; KL is what it misses, 0 is perfect. Bottom: "
        "how often Metropolis-Hastings chains that see only this energy came by; it should look like the top.",
        figure,
    )


def chain_panels(log_density: Tensor, sample: Sample) -> Picture:
    """The path of a chain on its landscape, its trace, and the histogram of all chains: the course's figures."""
    figure, axes = plt.subplot_mosaic(
        [["path", "trace 1", "all 1"], ["path", "trace 2", "all 2"]], figsize=(10.4, 4.4), width_ratios=[2, 2, 0.9]
    )
    left, burnt = axes["path"], len(sample.burn_in)
    figure.colorbar(landscape(left, log_density), ax=left, label="F above its minimum", shrink=0.8)
    path = HALF_WIDTH * sample.states[:LAST, 0]
    left.plot(*path.T, color=ORANGE, lw=0.8, marker=".", ms=4)
    left.plot(*path[0], "o", color=RED, ms=8, label="start", ls="")
    left.set_title(f"{LAST} steps of one chain", fontsize=10)
    left.legend(loc="lower left", frameon=True)
    probability = torch.softmax(log_density, 0).view_as(side_of(log_density))
    trace = HALF_WIDTH * torch.cat([sample.burn_in, sample.states[: 4 * LAST]])
    for part in range(2):
        along, histogram = axes[f"trace {part + 1}"], axes[f"all {part + 1}"]
        for chain, colour in zip(trace[:, :3, part].T, (BLUE, GREEN, PURPLE), strict=False):
            along.plot(torch.arange(len(chain)) - burnt, chain, lw=0.6, color=colour)
        along.axvspan(-burnt, 0, color=GREY, alpha=0.15, lw=0)
        along.set(ylabel=f"y{'₁₂'[part]}", xlim=(-burnt, 4 * LAST), ylim=EDGES)
        exact = probability.sum(1 - part)
        nodes = torch.linspace(*EDGES, 2 * len(exact) + 1)[1::2]
        values = HALF_WIDTH * sample.states[..., part].flatten()
        counts, edges = torch.histogram(values, 60, range=EDGES, density=True)
        histogram.stairs(counts, edges, orientation="horizontal", fill=True, color=BLUE, alpha=0.4, label="chains")
        histogram.plot(exact * len(exact) / (2 * HALF_WIDTH), nodes, color="black", lw=1.2, label="exact")
        histogram.set(ylim=EDGES, yticklabels=[])
    axes["trace 1"].set_title("three chains; grey: burn-in, thrown away", fontsize=10)
    axes["all 1"].set_title("all chains", fontsize=10)
    axes["all 2"].legend(fontsize=8, loc="upper right")
    axes["trace 2"].set_xlabel("step")
    axes["all 2"].set_xlabel("density")
    return Picture(
        "chain",
        "Metropolis-Hastings on the energy of the moons. A chain proposes a step, always goes downhill and sometimes "
        "uphill; now and then it jumps. How long it stays somewhere is the probability of that place: histograms of "
        "all chains beside the exact answer.",
        figure,
    )


def sampler_panels(log_density: Tensor, ways: dict[str, Tensor]) -> Picture:
    """Three samplers that start in one mode of the eight."""
    titles = {"walk": "random walk", "langevin": "Langevin (MALA)", "tempering": "parallel tempering"}
    figure, axes = plt.subplots(2, 3, figsize=(10.4, 6.2), height_ratios=[2.2, 1], sharey="row")
    for (way, states), (above, below) in zip(ways.items(), axes.T, strict=True):
        landscape(above, log_density)
        points = HALF_WIDTH * states[:: max(1, len(states) // 30)].flatten(0, 1)
        above.plot(*points.T, ".", ms=1.5, color=ORANGE, alpha=0.6)
        above.plot(*(HALF_WIDTH * states[0].mean(0)), "o", color=RED, ms=7)
        above.set_title(f"{titles[way]}: {len(states)} steps", fontsize=10)
        angle = torch.atan2(states[..., 1], states[..., 0])
        mode = (angle / (math.pi / 4)).round().long() % 8
        share = torch.bincount(mode.flatten(), minlength=8) / mode.numel()
        below.bar(range(8), 100 * share, color=BLUE)
        below.axhline(100 / 8, color="black", lw=1, label="right")
        below.set(xlabel="well", xticks=range(8))
    axes[1, 0].set_ylabel("time spent (%)")
    axes[1, 0].legend(fontsize=8)
    return Picture(
        "samplers",
        "Three samplers on one energy with eight separate wells, all chains started in one of them (red), with about "
        "as many evaluations of the energy. Below: time spent in each well; an eighth is right. Langevin steps follow "
        "the slope, which leads back into the well; a random walk takes fewer but longer steps out of it; in parallel "
        "tempering, hot chains cross the barriers and hand on what they find.",
        figure,
    )


def latent_panels(ellipse: EllipseEnergy, points: Tensor) -> Picture:
    """The ellipse: its free energy, a cut through all of its latent angles, and both minima where y1 is given."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.4, 4.0))
    nodes = 300
    landscape(left, -ellipse(unit_grid(nodes)))
    angle = torch.linspace(0, 2 * math.pi, 400)
    curve = HALF_WIDTH * ellipse.curve(torch.stack([angle.cos(), angle.sin()], 1))
    left.plot(*(HALF_WIDTH * points[:300].T), ".", color=ORANGE, ms=2.5, label="points")
    left.plot(*curve.T, color="black", lw=1.5, label="learned")
    left.plot(SEMI_AXES[0] * angle.cos(), SEMI_AXES[1] * angle.sin(), color=RED, lw=1, ls="--", label="true")
    left.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), xticks=[-2, 0, 2], yticks=[-2, 0, 2], xlabel="y₁", ylabel="y₂")
    left.set_title("F_β, and the ellipse in it", fontsize=10)
    left.legend(fontsize=8, loc="lower left", frameon=True)
    cut_through(middle, ellipse)
    both_minima(right, ellipse)
    return Picture(
        "latent",
        "The course's ellipse. A point gives y; its angle z on the ellipse is never told. Left: the free energy "
        "learned from points. Middle: a cut at y₁ = 0; each thin line is the energy for one z. The lowest of them is "
        "F_∞, their soft average F_β; a small β blurs. Right: y₁ = 1 is given, y₂ and z are looked for together; two "
        "answers fit (crosses).",
        figure,
    )


def cut_through(axis: Axes, ellipse: EllipseEnergy) -> None:
    """Energies of each z along y1 = 0, F_inf and F_beta."""
    second = torch.linspace(-0.6, 0.6, 500)
    energies = ellipse.energies(torch.stack([torch.zeros(500), second], 1))
    axis.plot(HALF_WIDTH * second, energies, color=GREY, lw=0.5, alpha=0.6)
    axis.plot([], [], color=GREY, lw=0.5, label="E(y, z), each z")
    for beta, colour, label in (
        (math.inf, "black", "F_∞"),
        (1.0, BLUE, "F_β, β = 1"),
        (0.1, ORANGE, "F_β, β = 0.1"),
    ):
        axis.plot(HALF_WIDTH * second, free_energy(energies, beta), color=colour, lw=1.8, label=label)
    axis.set(xlabel="y₂", ylabel="energy (nats)", ylim=(-1, 40), title="cut at y₁ = 0")
    axis.title.set_fontsize(10)
    axis.legend(fontsize=8, loc="upper center", frameon=True)


def both_minima(axis: Axes, ellipse: EllipseEnergy) -> None:
    """E(y1 = 1, y2, z) over y2 and z, and its minima."""
    first = torch.tensor([1.0 / HALF_WIDTH])
    second, turn = torch.linspace(-0.6, 0.6, 200), torch.linspace(-1, 1, 200)
    y = torch.stack([first.expand(200, 200), second[:, None].expand(200, 200)], -1)
    energies = ellipse.joint(y, math.pi * turn.expand(200, 200))
    levels = [2 * level for level in LEVELS]
    axis.contourf(180 * turn, HALF_WIDTH * second, energies, levels, cmap="Blues_r", extend="max")
    axis.set(xlabel="latent angle z (°)", ylabel="y₂", xticks=[-180, -90, 0, 90, 180])
    axis.set_title("E(y₁ = 1, y₂, z): argmin over y₂ and z", fontsize=10)
    axis.grid(False)
    start = unit_grid(8)[:, None]
    minima, lowest = joint_minima(ellipse, first.expand(len(start)), start)
    best = minima[lowest < lowest.min() + 0.1]
    axis.plot(180 * best[:, 1], HALF_WIDTH * best[:, 0], "x", color=RED, ms=9, markeredgewidth=2)
