"""Figures of the energy-based model: posteriors, chains, energies, and whether to trust them."""

import math

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.free_energy import free_energy
from lit_modules.networks.energy.posterior import marginals, region_level
from pipeline.evaluation.common.maps import show_map
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Picture
from pipeline.evaluation.ebm.measures import Maps, Posteriors, Sample, free_energies, minimiser, probability

LOOK = {"cmap": "inferno", "vmin": -7, "vmax": -3}  # of a flux map


def posterior_panels(
    model: LitEBM, test: Maps, chosen: Tensor, found: Posteriors, sample: Sample, best: Tensor
) -> Picture:
    """Four maps above their posteriors."""
    figure, axes = plt.subplots(2, 4, figsize=(9.2, 5.4), height_ratios=[1, 1.15])
    for k, row in enumerate(chosen.tolist()):
        image = show_map(axes[0, k], test["flux"][row, 0], **LOOK)
        distance, age = test["distance"][row], test["age"][row]
        axes[0, k].set_title(f"true: {distance:.0f} kpc, {age:.1f} Gyr", fontsize=10)
        draw_posterior(axes[1, k], model, found.log_density[row], sample.states[::50, k, ::4])
        mark(axes[1, k], distance, age, "true", ORANGE, "*")
        mark(axes[1, k], *model.from_box(best[row]), "argmin F", RED, "x")
        axes[1, k].set_xlabel("distance (kpc)")
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
    axis.contourf(distance, age, cells[0].T, [*edges, float(cells.max()) * 1.001], colors=["#b3d5e9", BLUE], alpha=0.8)
    if samples is not None:
        d, a = model.from_box(samples.reshape(-1, 2))
        axis.plot(d, a, ".", ms=1.5, color="black", alpha=0.35, label="Metropolis-Hastings")
    for colour, content in (("#b3d5e9", 95), (BLUE, 68)):
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
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if low <= tick <= high]
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


def chain_panels(model: LitEBM, test: Maps, chosen: Tensor, found: Posteriors, sample: Sample) -> Picture:
    """Trace and histogram of the chains of the map with the widest posterior: the course's two figures."""
    k = int(sample.states.var(0).mean(1).sum(1).argmax())
    row, burnt, bins = int(chosen[k]), len(sample.burn_in), 48
    trace = model.from_box(torch.cat([sample.burn_in, sample.states[:600]])[:, k, :3])
    everything = model.from_box(sample.states[:, k].reshape(-1, 2))
    exact = marginals(probability(found.log_density[row : row + 1]))
    edges = model.from_box(torch.linspace(-1, 1, bins + 1)[:, None].expand(-1, 2))
    nodes = grid_axes(model, exact[0].shape[1])
    figure, axes = plt.subplots(2, 2, figsize=(9.2, 5.0), width_ratios=[2.6, 1], sharex="col", sharey="row")
    for part, (name, unit) in enumerate((("distance", "kpc"), ("age", "Gyr"))):
        left, right = axes[part]
        for chain, colour in zip(trace[part].T, (BLUE, GREEN, PURPLE), strict=True):
            left.plot(torch.arange(len(chain)) - burnt, chain, lw=0.7, color=colour)
        left.axvspan(-burnt, 0, color=GREY, alpha=0.15, lw=0)
        share = torch.full_like(everything[part], 100 / len(everything[part]))
        right.hist(
            everything[part],
            edges[part],
            weights=share,
            orientation="horizontal",
            color=BLUE,
            alpha=0.4,
            label="chains",
        )
        right.plot(
            100 * exact[part][0] * len(nodes[part]) / bins, nodes[part], color="black", lw=1.2, label="quadrature"
        )
        for axis in (left, right):
            axis.axhline(float(test[name][row]), color=ORANGE, lw=1.5, label="true")
        left.text(-0.98 * burnt, left.get_ylim()[1], "burn-in, thrown away", va="top", fontsize=9)
        left.set_ylabel(f"{name} ({unit})")
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_yticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    axes[0, 0].minorticks_off()
    axes[0, 0].set_title("three chains, started anywhere")
    axes[0, 1].set_title("histogram of all chains")
    axes[1, 0].set(xlabel="step", xlim=(-burnt, 600))
    axes[1, 1].set_xlabel("share of a bin (%)")
    axes[0, 1].legend(fontsize=8)
    return Picture(
        "chain",
        "A Metropolis-Hastings chain wanders over distance and age, and stays longer where the energy is low. Right: "
        "how often each value was visited, beside the exact answer, which two unknowns still allow to be computed.",
        figure,
    )


def energy_panels(model: LitEBM, test: Maps, row: int) -> Picture:
    """The energy landscape of a map, and a cut through its minimum: energies of each latent, F_inf and F_beta."""
    nodes, beta, flux = 160, model.settings.beta, test["flux"][row : row + 1]
    features, context = model.net.encoder(model.statistics(flux)), model.context(flux)
    best = minimiser(model, context, beta)
    distance, age = grid_axes(model, nodes)
    landscape = free_energies(model, context, unit_grid(nodes), beta).reshape(nodes, nodes)
    cut = torch.stack([torch.linspace(-1, 1, 400), best[0, 1].expand(400)], 1)
    energies = torch.stack([model.net(features, cut[None], z.expand(1, 400))[0] for z in model.net.latent], 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 4.0))
    above = landscape - landscape.min()
    filled = left.contourf(
        distance, age, above.T, [0, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32], cmap="Blues_r", extend="max"
    )
    figure.colorbar(filled, ax=left, label="F_β above its minimum")
    left.grid(False)
    mark(left, *model.from_box(best[0]), "argmin F", RED, "x")
    mark(left, test["distance"][row], test["age"][row], "true", ORANGE, "*")
    left.axhline(float(model.from_box(best[0])[1]), color="black", lw=0.8, ls=":")
    left.set(ylabel="age (Gyr)", title="free energy of distance and age")
    along = model.from_box(cut)[0]
    right.plot(along, energies, color=GREY, lw=0.6, alpha=0.7)
    right.plot([], [], color=GREY, lw=0.6, label="E (x, y, z) for each z")
    for temperature, colour, label in (
        (math.inf, "black", "F_∞"),
        (beta, BLUE, f"F_β, β = {beta:g}"),
        (beta / 10, ORANGE, f"F_β, β = {beta / 10:g}"),
    ):
        right.plot(along, free_energy(energies, temperature), color=colour, lw=1.8, label=label)
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
        "the cross. Right: a cut at that age. The latent z, an angle that stands for all that the map leaves open, is "
        "minimised away (F_∞) or averaged out (F_β); the colder, the nearer the two.",
        figure,
    )


def trust_panels(model: LitEBM, test: Maps, posteriors: dict[str, Posteriors]) -> Picture:
    """Calibration, and all point estimates with their intervals."""
    figure, (left, *others) = plt.subplots(1, 3, figsize=(9.6, 3.5))
    left.plot([0, 100], [0, 100], color=GREY, lw=1, ls="--", label="perfect")
    for (who, found), colour in zip(posteriors.items(), (BLUE, ORANGE, GREEN), strict=True):
        content = found.content().sort().values
        left.plot(100 * content, torch.linspace(0, 100, len(content)), color=colour, label=who.replace("_", " "))
    left.set(xlabel="content of the region (%)", ylabel="truth found inside (%)", title="honesty")
    left.legend(fontsize=8)
    ends = model.from_box(posteriors["model"].quantiles()[:, 1:4].transpose(0, 1))
    for axis, name, unit, (low, median, high) in zip(others, ("distance", "age"), ("kpc", "Gyr"), ends, strict=True):
        true = test[name]
        bars = torch.stack([median - low, high - median]).clamp(min=0)
        axis.errorbar(true, median, bars, fmt="o", ms=2.5, lw=0.6, color=BLUE, alpha=0.4)
        range_ = {"distance": model.settings.distance_kpc, "age": model.settings.age_gyr}[name]
        axis.plot(range_, range_, color=GREY, lw=1, ls="--")
        axis.set(xlabel=f"true {name} ({unit})", ylabel=f"median of the posterior ({unit})", title=name)
    distance_axis(others[0], model)
    others[0].set_yscale("log")
    others[0].set_yticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    others[0].minorticks_off()
    return Picture(
        "trust",
        "All test maps. Left: of the regions that claim to hold the truth in, say, 68 % of cases, so many do; below "
        "the dashed line a model is too sure of itself. Middle and right: median and 68 % interval against the truth.",
        figure,
    )
