"""Posteriors of distance and age: exact by quadrature, sampled by Metropolis-Hastings, and whether to trust them."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.energy.free_energy import free_energy, log_gibbs, nll
from lit_modules.networks.energy.inference import argmin
from lit_modules.networks.energy.metropolis import burn_in, either, gaussian_walk, metropolis_hastings, uniform_in_box
from lit_modules.networks.energy.posterior import marginals, quantiles, region_around, region_level
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Picture, Result, style
from pipeline.evaluation.ebm.settings import Ebm
from pipeline.inputs.observation import PIXEL, read_observation

CONTENTS = (0.50, 0.68, 0.90)  # of credible regions, in tables
LEVELS = [0.025, 0.16, 0.5, 0.84, 0.975]  # quantiles of a marginal: 95 % and 68 % intervals, median
ACCEPTANCE = 0.35  # that a Gaussian walk in two dimensions is tuned to
BINS = 16  # of a side of the histogram in which chains are compared with quadrature
RINGS = 8  # of the ridge regression's radial profile, each 10 pixels wide
NODES = 128  # of a side of the grid for your own map


class Posteriors(NamedTuple):
    """P(y|x) of many maps on a grid of the unit box.

    Attributes:
        log_density: (maps, nodes, nodes), distance along the first of the two.
        at_truth: log density at the true y, (maps,).
    """

    log_density: Tensor
    at_truth: Tensor

    def quantiles(self) -> Tensor:
        """Of distance and age at LEVELS, in the unit box, (maps, levels, 2)."""
        return torch.stack([quantiles(marginal, LEVELS) for marginal in marginals(probability(self.log_density))], -1)

    def content(self) -> Tensor:
        """Of the smallest credible region that reaches the truth, (maps,); uniform where the posterior is honest."""
        return region_around(probability(self.log_density), self.log_density, self.at_truth)


class Sample(NamedTuple):
    """Metropolis-Hastings chains of a few maps, in the unit box.

    Attributes:
        burn_in: (steps, maps, chains, 2), while the proposal adapts; not used.
        states: (steps, maps, chains, 2).
        acceptance: accepted fraction of the proposals.
    """

    burn_in: Tensor
    states: Tensor
    acceptance: float


@torch.no_grad()
def evaluate(model: LitEBM, data: ClusterMapsDataModule, params: Ebm) -> Result:
    """Score the posteriors of the test maps beside simple ones, check chains against quadrature, draw both."""
    nodes, beta = params.evaluate.nodes, model.settings.beta
    context, y = contexts(model, data.splits["test"]["flux"]), truth(model, data, "test")
    ridge_mean, ridge = ridge_posteriors(model, data, nodes)
    label_mean, label = label_posteriors(model, data, nodes)
    posteriors = {
        "model": posteriors_of(lambda y: free_energies(model, context, y, beta), y, nodes, beta),
        "radial ridge": ridge,
        "Gaussian of labels": label,
    }
    points = {
        "model": posteriors["model"].quantiles()[:, LEVELS.index(0.5)],
        "argmin F_beta": minimiser(model, context, beta),
        "argmin F_inf": minimiser(model, context, math.inf),
        "radial ridge": ridge_mean,
        "mean of labels": label_mean,
    }
    chosen = examples(data)
    sample = sampled(model, context[chosen], params)
    metrics: dict[str, Any] = {
        "NLL of distance and age in the unit box (nats)": {
            **{who: -found.at_truth.mean() for who, found in posteriors.items()},
            "prior box": math.log(4),
        },
        **{
            f"truth in {100 * content:.0f} % regions (%)": {
                who: 100 * (found.content() <= content).float().mean() for who, found in posteriors.items()
            }
            for content in CONTENTS
        },
        **errors(model, data, points),
        "Metropolis-Hastings acceptance": sample.acceptance,
        "Gelman-Rubin R of the chains, worst": gelman_rubin(sample.states).max(),
        "KL of the chains from quadrature, worst (nats)": kl_from_quadrature(model, context[chosen], sample).max(),
    }
    with style():
        pictures = [
            posterior_panels(model, data, chosen, posteriors["model"], sample, points["argmin F_beta"]),
            chain_panels(model, data, chosen, posteriors["model"], sample),
            energy_panels(model, data, int(chosen[1])),
            trust_panels(model, data, posteriors),
        ]
    return Result(metrics, pictures)


# --- energies and posteriors of many maps -------------------------------------------------------


def contexts(model: LitEBM, flux: Tensor) -> Tensor:
    """What the energies need of each map, (maps, latent nodes, embedding)."""
    return torch.cat([model.net.context(part.float()) for part in flux.split(64)])


def truth(model: LitEBM, data: ClusterMapsDataModule, split: str) -> Tensor:
    """True points of the unit box, (maps, 2)."""
    return model.to_box(data.splits[split]["distance"], data.splits[split]["age"])


def free_energies(model: LitEBM, context: Tensor, y: Tensor, beta: float) -> Tensor:
    """F_beta of points of each map, (maps, n, 2), or of the same for all, (n, 2), a few maps at a time."""
    points = y.split(32) if y.ndim == 3 else [y] * -(-len(context) // 32)
    return torch.cat(
        [model.net.free_energy(part, at, beta) for part, at in zip(context.split(32), points, strict=True)]
    )


def posteriors_of(energy: Callable[[Tensor], Tensor], y: Tensor, nodes: int, beta: float = 1.0) -> Posteriors:
    """Gibbs distributions of any energy, restricted to the box, and their log densities at the true y."""
    energies = energy(unit_grid(nodes))
    at_truth = -nll(energy(y[:, None])[:, 0], energies, beta, cell_volume(nodes))
    return Posteriors(log_gibbs(energies, beta, cell_volume(nodes)).unflatten(-1, (nodes, nodes)), at_truth)


def probability(log_density: Tensor) -> Tensor:
    """Of each cell of the grid."""
    return log_density.exp() * cell_volume(log_density.shape[-1])


def minimiser(model: LitEBM, context: Tensor, beta: float) -> Tensor:
    """argmin_y F_beta(x, y) by descent from the four best nodes of a coarse grid, (maps, 2)."""
    grid = unit_grid(BINS)
    best = free_energies(model, context, grid, beta).topk(4, largest=False).indices
    return argmin(lambda y: free_energies(model, context, y, beta), grid[best], steps=100)[0]


# --- baselines ----------------------------------------------------------------------------------


def gaussian_posteriors(mean: Tensor, residuals: Tensor, y: Tensor, nodes: int) -> Posteriors:
    """Gaussians around (maps or 1, 2) means with the covariance of residuals: quadratic energies."""
    precision = torch.linalg.inv(torch.cov(residuals.T))

    def energy(at: Tensor) -> Tensor:
        offset = at - mean.expand_as(y)[:, None]
        return 0.5 * torch.einsum("mni,ij,mnj->mn", offset, precision, offset)

    return posteriors_of(energy, y, nodes)


def label_posteriors(model: LitEBM, data: ClusterMapsDataModule, nodes: int) -> tuple[Tensor, Posteriors]:
    """The Gaussian of the training labels, whatever the map; and its mean for each test map."""
    labels, y = truth(model, data, "train"), truth(model, data, "test")
    mean = labels.mean(0).expand_as(y)
    return mean, gaussian_posteriors(mean, labels - labels.mean(0), y, nodes)


def ridge_posteriors(model: LitEBM, data: ClusterMapsDataModule, nodes: int) -> tuple[Tensor, Posteriors]:
    """Quadratic ridge regression on radial profiles and brightness quantiles, with Gaussian residuals.

    The penalty and the covariance of the residuals are those of the validation maps.
    """
    x = {split: summaries(data.splits[split]["flux"]) for split in ("train", "val", "test")}
    mean, scale = x["train"].mean(0), x["train"].std(0) + 1e-6
    rows, columns = torch.triu_indices(len(mean), len(mean))
    features = {}
    for split, z in x.items():
        z = (z - mean) / scale
        features[split] = torch.cat([torch.ones(len(z), 1, dtype=z.dtype), z, z[:, rows] * z[:, columns]], 1)
    labels, held_out = (truth(model, data, split).double() for split in ("train", "val"))
    gram, moment = features["train"].T @ features["train"], features["train"].T @ labels
    solutions = [torch.linalg.solve(gram + penalty * torch.eye(len(gram)), moment) for penalty in (1e1, 1e2, 1e3, 1e4)]
    weights = min(solutions, key=lambda w: float((held_out - features["val"] @ w).square().sum()))
    predicted = (features["test"] @ weights).float()
    residuals = (held_out - features["val"] @ weights).float()
    return predicted, gaussian_posteriors(predicted, residuals, truth(model, data, "test"), nodes)


def summaries(flux: Tensor) -> Tensor:
    """Mean and scatter of log flux in rings around the centre of light, and its quantiles, (maps, features)."""
    return torch.cat([_summaries(part[:, 0].double()) for part in flux.split(64)])


def _summaries(log_flux: Tensor) -> Tensor:
    light = 10 ** (0.5 * log_flux)  # the square root: a few giants hold most light
    light /= light.sum((1, 2), keepdim=True)
    rows, columns = torch.meshgrid(*(torch.arange(n).double() for n in log_flux.shape[1:]), indexing="ij")
    row, column = ((light * axis).sum((1, 2))[:, None, None] for axis in (rows, columns))
    ring = (torch.hypot(rows - row, columns - column) / 10).long().clamp(max=RINGS - 1)
    features = []
    for k in range(RINGS):
        weight = (ring == k) / (ring == k).sum((1, 2), keepdim=True).clamp(min=1)
        mean = (weight * log_flux).sum((1, 2))
        scatter = ((weight * log_flux**2).sum((1, 2)) - mean**2).clamp(min=0).sqrt()
        features += [mean, scatter]
    levels = torch.linspace(0.05, 0.95, 10, dtype=torch.double)
    return torch.cat([torch.stack(features, 1), torch.quantile(log_flux.flatten(1), levels, 1).T], 1)


# --- numbers ------------------------------------------------------------------------------------


def errors(model: LitEBM, data: ClusterMapsDataModule, points: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Mean errors of point estimates in kpc, per cent and Gyr."""
    distance, age = data.splits["test"]["distance"], data.splits["test"]["age"]
    rows: dict[str, dict[str, Tensor]] = {}
    for who, point in points.items():
        d, a = model.from_box(point)
        for name, error in (
            ("distance, mean error (kpc)", (d - distance).abs()),
            ("distance, mean error (%)", 100 * (d / distance - 1).abs()),
            ("age, mean error (Gyr)", (a - age).abs()),
        ):
            rows.setdefault(name, {})[who] = error.mean()
    return rows


def sampled(model: LitEBM, context: Tensor, params: Ebm) -> Sample:
    """Chains of P(y|x) that start anywhere in the box, adapt, and then run on with a fixed proposal."""
    settings, beta = params.evaluate, model.settings.beta
    generator = torch.Generator().manual_seed(params.seed)
    start = 2 * torch.rand(len(context), settings.chains, 2, generator=generator) - 1
    energy = model.energy_in_box(context)
    burnt, scale = burn_in(energy, start, settings.burn_in, target=ACCEPTANCE, beta=beta, generator=generator)
    propose = either(uniform_in_box, gaussian_walk(scale), model.settings.jumps)
    chains = metropolis_hastings(energy, burnt[-1], propose, settings.steps, beta=beta, generator=generator)
    return Sample(burnt, chains.states, float(chains.acceptance.mean()))


def gelman_rubin(states: Tensor) -> Tensor:
    """Potential scale reduction of chains (steps, maps, chains, 2) -> (maps, 2): 1 where all tell the same story.

    Gelman & Rubin (1992): the root of pooled over within-chain variance.
    """
    steps = len(states)
    within, between = states.var(0).mean(1), states.mean(0).var(1)
    return ((steps - 1) / steps + between / within).sqrt()


def kl_from_quadrature(model: LitEBM, context: Tensor, sample: Sample) -> Tensor:
    """KL divergence of the chains' histograms from the exact probabilities of their bins, (maps,), nats."""
    fine, beta = 8, model.settings.beta
    energies = free_energies(model, context, unit_grid(BINS * fine), beta)
    log_cell = log_gibbs(energies, beta, 1.0).unflatten(-1, (BINS, fine, BINS, fine))
    log_exact = log_cell.transpose(2, 3).flatten(-2).logsumexp(-1).flatten(1)
    bins = ((sample.states + 1) / 2 * BINS).long().clamp(max=BINS - 1)
    index = (bins[..., 0] * BINS + bins[..., 1]).transpose(0, 1).flatten(1)
    counts = torch.stack([torch.bincount(row, minlength=BINS**2) for row in index])
    found = counts / index.shape[1]
    return (torch.special.xlogy(found, found) - found * log_exact).sum(1)


# --- figures ------------------------------------------------------------------------------------


def examples(data: ClusterMapsDataModule) -> Tensor:
    """Rows of four test maps, from near to far and from young to old."""
    near_to_far = data.splits["test"]["distance"].argsort(stable=True)
    age = data.splits["test"]["age"]
    chosen = []
    for k, part in enumerate(near_to_far.tensor_split(4)):
        young_to_old = part[age[part].argsort(stable=True)]
        chosen.append(young_to_old[len(part) * (2 * k + 1) // 8])
    return torch.stack(chosen)


def posterior_panels(
    model: LitEBM, data: ClusterMapsDataModule, chosen: Tensor, found: Posteriors, sample: Sample, best: Tensor
) -> Picture:
    """Four maps above their posteriors."""
    test = data.splits["test"]
    figure, axes = plt.subplots(2, 4, figsize=(9.2, 5.4), height_ratios=[1, 1.15])
    for k, row in enumerate(chosen.tolist()):
        image = show_map(axes[0, k], test["flux"][row, 0].float())
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
    axis = (torch.arange(nodes) + 0.5) * (2 / nodes) - 1
    return model.from_box(torch.stack([axis, axis], 1))


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


def show_map(axis: Axes, log_flux: Tensor) -> Any:
    """A flux map with its centre at the origin of axes in arcsec."""
    half = PIXEL * len(log_flux) / 2
    axis.grid(False)
    return axis.imshow(log_flux, origin="lower", extent=(-half, half, -half, half), cmap="inferno", vmin=-7, vmax=-3)


def chain_panels(
    model: LitEBM, data: ClusterMapsDataModule, chosen: Tensor, found: Posteriors, sample: Sample
) -> Picture:
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
            axis.axhline(float(data.splits["test"][name][row]), color=ORANGE, lw=1.5, label="true")
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


def energy_panels(model: LitEBM, data: ClusterMapsDataModule, row: int) -> Picture:
    """The energy landscape of a map, and a cut through its minimum: energies of each latent, F_inf and F_beta."""
    test, nodes, beta = data.splits["test"], 160, model.settings.beta
    flux = test["flux"][row : row + 1].float()
    features, context = model.net.encode(flux), model.net.context(flux)
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


def trust_panels(model: LitEBM, data: ClusterMapsDataModule, posteriors: dict[str, Posteriors]) -> Picture:
    """Calibration, and all point estimates with their intervals."""
    figure, (left, *others) = plt.subplots(1, 3, figsize=(9.6, 3.5))
    left.plot([0, 100], [0, 100], color=GREY, lw=1, ls="--", label="perfect")
    for (who, found), colour in zip(posteriors.items(), (BLUE, ORANGE, GREEN), strict=True):
        content = found.content().sort().values
        left.plot(100 * content, torch.linspace(0, 100, len(content)), color=colour, label=who)
    left.set(xlabel="content of the region (%)", ylabel="truth found inside (%)", title="honesty")
    left.legend(fontsize=8)
    ends = model.from_box(posteriors["model"].quantiles()[:, 1:4].transpose(0, 1))
    for axis, name, unit, (low, median, high) in zip(others, ("distance", "age"), ("kpc", "Gyr"), ends, strict=True):
        true = data.splits["test"][name]
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


# --- your own cluster ---------------------------------------------------------------------------


@torch.no_grad()
def predict(models: list[LitEBM], path: Path) -> Result:
    """State the posterior of distance and age of a cluster's flux map.

    Raises:
        InputError: the file is no usable map, see ``pipeline.inputs.observation``.
    """
    (model,) = models
    seen = read_observation(path)
    flux = torch.from_numpy(seen.log_flux).float()[None, None]
    context = model.net.context(flux)
    log_density = model.log_posterior(context, NODES)
    marginal = marginals(probability(log_density))
    best = model.from_box(minimiser(model, context, model.settings.beta)[0])
    metrics: dict[str, Any] = {"input": path.name}
    for part, (name, unit) in enumerate((("distance", "kpc"), ("age", "Gyr"))):
        ends = quantiles(marginal[part], LEVELS)[0, :, None].expand(-1, 2)
        low95, low68, median, high68, high95 = model.from_box(ends)[part].tolist()
        metrics[name] = {
            "mean": float((marginal[part][0] * grid_axes(model, NODES)[part]).sum()),
            "median": median,
            "most probable": float(best[part]),
            "68 % interval": [low68, high68],
            "95 % interval": [low95, high95],
            "unit": unit,
        }
    metrics["warnings"] = seen.warnings + outside_training(model, flux)
    with style():
        picture = own_cluster(model, path.stem, seen.log_flux, log_density[0], best, metrics)
    return Result(metrics, [picture])


def outside_training(model: LitEBM, flux: Tensor) -> list[str]:
    """Where the mean and spread of a map's log flux lie outside those of all training maps."""
    found = (float(flux.mean()), float(flux.std()))
    return [
        f"the {name} of log flux, {value:.2f}, is outside the training maps' {low:.2f} to {high:.2f}: extrapolated"
        for name, value, (low, high) in zip(
            ("mean", "standard deviation"), found, model.flux_range.tolist(), strict=True
        )
        if not low <= value <= high
    ]


def own_cluster(
    model: LitEBM, name: str, log_flux: Any, log_density: Tensor, best: tuple[Tensor, Tensor], metrics: dict[str, Any]
) -> Picture:
    """The map given, and the posterior."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.0))
    figure.colorbar(show_map(left, log_flux), ax=left, label="log F (L☉ kpc⁻²)")
    left.set(title=name, xlabel="arcsec", ylabel="arcsec")
    draw_posterior(right, model, log_density, None)
    mark(right, *best, "most probable", RED, "x")
    stated = []
    for key in ("distance", "age"):
        low, high = metrics[key]["68 % interval"]
        stated.append(f"{key} {metrics[key]['median']:.3g} ({low:.3g}–{high:.3g}) {metrics[key]['unit']}")
    right.set(title="\n".join(stated), xlabel="distance (kpc)", ylabel="age (Gyr)")
    right.legend(loc="lower left")
    return Picture(
        "posterior", "The map given, and which distances and ages fit it; medians with 68 % intervals above.", figure
    )
