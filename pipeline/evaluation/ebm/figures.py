"""Figures of the energy-based model: posteriors, what a known distance adds, chains, and energies."""

import math

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.energy.free_energy import free_energy, log_gibbs
from lit_modules.networks.energy.posterior import marginals, region_level
from pipeline.evaluation.common.maps import show_map
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Picture
from pipeline.evaluation.ebm.examples import Examples
from pipeline.evaluation.ebm.known import Measurements
from pipeline.evaluation.ebm.measures import probability

LOOK = {"cmap": "inferno", "vmin": -7, "vmax": -3}  # of a flux map
PALE = "#b3d5e9"
KNOWN_TO = 0.03  # of the distance, one standard deviation: that of good parallaxes and RR Lyrae stars
LATENT = (
    " The latent z, an angle that stands for all that the map leaves open, is minimised away (F_∞) or averaged out "
    "(F_β); the colder, the nearer the two."
)
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # kpc


def posterior_panels(model: LitEBM, shown: Examples) -> Picture:
    """Four maps above their posteriors."""
    figure, axes = plt.subplots(2, 4, figsize=(9.2, 5.4), height_ratios=[1, 1.15])
    for k, (above, below) in enumerate(axes.T):
        image = show_map(above, shown.flux[k], **LOOK)
        distance, age = shown.truth["distance"][k], shown.truth["age"][k]
        above.set_title(f"true: {distance:.0f} kpc, {age:.1f} Gyr", fontsize=10)
        draw_posterior(below, model, shown.log_density[k], shown.sample.states[::50, k, ::4, :2])
        mark(below, distance, age, "true", ORANGE, "*")
        mark(below, *model.from_box(shown.best[k]), "argmin F", RED, "x")
        below.set_xlabel("distance (kpc)")
    axes[0, 0].set_ylabel("arcsec")
    axes[1, 0].set_ylabel("age (Gyr)")
    figure.colorbar(image, ax=axes[0], label="log F (L☉ kpc⁻²)", aspect=12)
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return Picture(
        "posteriors",
        "What light alone says of distance and age, for four test clusters. Shaded: the smallest regions that hold "
        "95 % and 68 % of the exact posterior P(y|x); dots: samples of Metropolis-Hastings chains, which see only "
        "energies. The whole panel is what was thought possible before looking at the map.",
        figure,
    )


def draw_posterior(axis: Axes, model: LitEBM, log_density: Tensor, samples: Tensor | None) -> None:
    """Credible regions over the whole box, and samples (..., 2)."""
    cells = probability(log_density[None])
    edges = [float(region_level(cells, content)) for content in (0.95, 0.68)]
    distance, age = grid_axes(model, log_density.shape[-1])
    axis.contourf(distance, age, cells[0].T, [*edges, float(cells.max()) * 1.001], colors=[PALE, BLUE], alpha=0.8)
    if samples is not None:
        d, a = model.from_box(samples.reshape(-1, 2))
        axis.plot(d, a, ".", ms=1.5, color="black", alpha=0.35, label="Metropolis-Hastings")
    for colour, content in ((PALE, 95), (BLUE, 68)):
        axis.fill_between([], [], color=colour, label=f"{content} % region")
    distance_axis(axis, model)
    axis.set_ylim(*model.settings.age_gyr)


def grid_axes(model: LitEBM, nodes: int) -> tuple[Tensor, Tensor]:
    """Distances (kpc) and ages (Gyr) of the nodes of a grid."""
    axis = (torch.arange(nodes, device=model.device) + 0.5) * (2 / nodes) - 1
    distance, age = model.from_box(torch.stack([axis, axis], 1))
    return distance.cpu(), age.cpu()


def distance_axis(axis: Axes, model: LitEBM) -> None:
    """Make x the distance, logarithmic over the whole box."""
    low, high = model.settings.distance_kpc
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axis.set_xscale("log")
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.set_xlim(low, high)


def mark(axis: Axes, distance: Tensor, age: Tensor, label: str, colour: str, symbol: str) -> None:
    """A point that stands out."""
    edge = {"markeredgecolor": "white"} if symbol == "*" else {"markeredgewidth": 2}
    axis.plot(
        float(distance), float(age), symbol, color=colour, ms=13 if symbol == "*" else 8, ls="", label=label, **edge
    )


def known_panels(model: LitEBM, shown: Examples) -> Picture:
    """The posterior of the map whose distance is least certain, before and after its distance is known."""
    nodes = shown.log_density.shape[-1]
    log_probability = marginals(probability(shown.log_density))[0].log().clamp_min(-50)
    k = int((log_probability.exp() * log_probability).sum(1).argmin())  # of the highest entropy
    distance, age = float(shown.truth["distance"][k]), shown.truth["age"][k]
    known = Measurements(distance=distance, distance_error=KNOWN_TO * distance)
    fine = 4 * nodes
    clamped = log_gibbs(known.energy(model, shown.context.rows([k]))(unit_grid(fine)), 1.0, cell_volume(fine))
    figure, axes = plt.subplots(1, 3, figsize=(9.2, 3.6))
    both = {"the map alone": shown.log_density[k], f"distance known to {KNOWN_TO:.0%}": clamped.view(fine, fine)}
    for axis, (title, log_density), colour in zip(axes, both.items(), (BLUE, GREEN), strict=False):
        draw_posterior(axis, model, log_density, None)
        mark(axis, torch.tensor(distance), age, "true", ORANGE, "*")
        axis.set(title=title, xlabel="distance (kpc)", ylabel="age (Gyr)")
        ages = grid_axes(model, len(log_density))[1]
        share = marginals(probability(log_density[None]))[1][0] / (ages[1] - ages[0])
        axes[2].fill_between(ages, share, color=colour, alpha=0.35, label=title)
    axes[2].axvline(float(age), color=ORANGE, lw=1.5, label="true")
    axes[2].set(title="what it says of the age", xlabel="age (Gyr)", ylabel="probability per Gyr", ylim=(0, None))
    axes[2].legend(fontsize=8)
    axes[0].legend(fontsize=8, loc="best")
    return Picture(
        "known",
        "What is known beside the map is an energy like any other: it is added to the free energy. Left: what the map "
        "alone says. Middle: the same with the distance from elsewhere. Right: the age before and after.",
        figure,
    )


def chain_panels(model: LitEBM, shown: Examples) -> Picture:
    """Trace and histogram of the chains of the map with the widest posterior: the course's two figures."""
    sample = shown.sample
    k = int(sample.states.var(0).mean(1).sum(1).argmax())
    burnt, bins = len(sample.burn_in), 48
    trace = model.from_box(torch.cat([sample.burn_in, sample.states[:600]])[:, k, :3, :2])
    everything = model.from_box(sample.states[:, k, :, :2].reshape(-1, 2))
    exact = marginals(probability(shown.log_density[k : k + 1]))
    edges = model.from_box(torch.linspace(-1, 1, bins + 1)[:, None].expand(-1, 2))
    nodes = grid_axes(model, exact[0].shape[1])
    figure, axes = plt.subplots(2, 2, figsize=(9.2, 5.0), width_ratios=[2.6, 1], sharex="col", sharey="row")
    for part, (name, unit) in enumerate((("distance", "kpc"), ("age", "Gyr"))):
        left, right = axes[part]
        for chain, colour in zip(trace[part].T, (BLUE, GREEN, PURPLE), strict=True):
            left.plot(torch.arange(len(chain)) - burnt, chain, lw=0.7, color=colour)
        left.axvspan(-burnt, 0, color=GREY, alpha=0.15, lw=0)
        right.hist(
            everything[part],
            edges[part],
            weights=torch.full_like(everything[part], 100 / len(everything[part])),
            orientation="horizontal",
            color=BLUE,
            alpha=0.4,
            label="chains",
        )
        share = 100 * exact[part][0] * len(nodes[part]) / bins
        right.plot(share, nodes[part], color="black", lw=1.2, label="quadrature")
        for axis in (left, right):
            axis.axhline(float(shown.truth[name][k]), color=ORANGE, lw=1.5, label="true")
        left.text(-0.98 * burnt, left.get_ylim()[1], "burn-in, thrown away", va="top", fontsize=9)
        left.set_ylabel(f"{name} ({unit})")
    axes[1, 0].set_xlabel("step")
    axes[1, 1].set_xlabel("share (%)")
    axes[0, 1].legend(fontsize=8)
    return Picture(
        "chains",
        "A Metropolis-Hastings chain wanders over distance, age and mass, and stays longer where the energy is low. "
        "Right: how often each value was visited, beside the exact answer, which two unknowns still allow to be "
        "computed.",
        figure,
    )


def energy_panels(model: LitEBM, shown: Examples) -> Picture:
    """The energy landscape of a map, and a cut through its minimum: energies of each latent, F_inf and F_beta."""
    k, nodes, beta = 1, 160, model.settings.beta
    features, context, best = model.net.encoder(shown.statistics[[k]]), shown.context.rows([k]), shown.best[k]
    distance, age = grid_axes(model, nodes)
    landscape = model.free_energy(context, unit_grid(nodes), beta).reshape(nodes, nodes)
    cut = torch.stack([torch.linspace(-1, 1, 400), best[1].expand(400)], 1)
    energies = torch.stack([model.net(features, cut[None], z.expand(1, 400))[0] for z in model.net.latent], 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 4.0))
    levels = [0, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
    filled = left.contourf(distance, age, (landscape - landscape.min()).T, levels, cmap="Blues_r", extend="max")
    figure.colorbar(filled, ax=left, label="F_β above its minimum")
    left.grid(False)
    mark(left, *model.from_box(best), "argmin F", RED, "x")
    mark(left, shown.truth["distance"][k], shown.truth["age"][k], "true", ORANGE, "*")
    left.axhline(float(model.from_box(best)[1]), color="black", lw=0.8, ls=":")
    left.set(ylabel="age (Gyr)", title="free energy of distance and age", ylim=model.settings.age_gyr)
    along = model.from_box(cut)[0]
    draw_latents(right, along, energies, beta)
    lowest = float(energies.min())
    right.set(ylabel="energy", title="cut along the dotted line", ylim=(lowest - 1, lowest + 25))
    right.legend(fontsize=8)
    for axis in (left, right):
        distance_axis(axis, model)
        axis.set_xlabel("distance (kpc)")
    left.legend(loc="upper right", frameon=True, fontsize=8)
    return Picture(
        "energy",
        "Left: the free energy that the model gives to every distance and age for one map; inference goes downhill to "
        "the cross. Right: a cut at that age." + (LATENT if len(model.net.latent) > 1 else ""),
        figure,
    )


def draw_latents(axis: Axes, along: Tensor, energies: Tensor, beta: float) -> None:
    """Energies of each latent, (n, latents), and what is left of them once the latent is minimised or averaged out."""
    if energies.shape[1] == 1:
        axis.plot(along, energies[:, 0], color=BLUE, lw=1.8, label="E (x, y)")
        return
    axis.plot(along, energies, color=GREY, lw=0.6, alpha=0.7)
    axis.plot([], [], color=GREY, lw=0.6, label="E (x, y, z) for each z")
    for temperature, colour, name in (
        (math.inf, "black", "F_∞"),
        (beta, BLUE, f"F_β, β = {beta:g}"),
        (beta / 10, ORANGE, f"F_β, β = {beta / 10:g}"),
    ):
        axis.plot(along, free_energy(energies, temperature), color=colour, lw=1.8, label=name)
