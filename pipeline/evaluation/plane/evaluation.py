"""How near energies on the plane come to the densities, and what chains on them do."""

import math
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from datamodules.densities import DENSITIES, HALF_WIDTH
from datamodules.planes import PlanesDataModule
from lit_modules.ebm_plane import LitPlanes
from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.energy.free_energy import log_gibbs
from pipeline.evaluation.common.chains import chain_diagnostics, divergence
from pipeline.evaluation.common.result import Result, compared, style
from pipeline.evaluation.plane.charts import density_chart, density_pictures, held_out
from pipeline.evaluation.plane.figures import chain_panels, latent_panels, plane_panels, sampler_panels
from pipeline.evaluation.plane.measures import (
    Sample,
    coldest,
    entropy,
    joint_minima,
    kl,
    mixture,
    on_grid,
    sampled,
    samplers,
    two_step_minima,
)
from pipeline.evaluation.plane.settings import EbmPlane

RIVALS = {"gaussian": 1, "gaussian_mixture": 16}  # components
SEPARATE = "eight_gaussians"  # whose modes lie far apart
GIVEN = 200  # values of y1 for which y2 and z are looked for

TITLES = {name: name.replace("_", " ") for name in DENSITIES}
LABELS = {
    "loss": "negative log-likelihood of a point in the unit box, mean of the densities (nats)",
    **{name: f"negative log-likelihood of a point in the unit box, {title} (nats)" for name, title in TITLES.items()},
    "kl_nats": "Kullback-Leibler divergence from the density, mean of the densities (nats)",
    **{f"{name}_kl_nats": f"the same, {title} (nats)" for name, title in TITLES.items()},
    **{f"{name}_nll_nats": f"negative log-likelihood by quadrature, {title} (nats)" for name, title in TITLES.items()},
    "ellipse_f_inf_kl_nats": "divergence from the ellipse if its angle is minimised, not averaged (nats)",
    "ellipse_long_axis": "longer semi-axis of the ellipse (true: 2)",
    "ellipse_short_axis": "shorter semi-axis of the ellipse (true: 1.5)",
    "ellipse_noise": "noise around the ellipse (true: 0.2236)",
    "joint_minimum_gap_nats": "energy of the joint argmin over y and z above the minimum of F∞, largest (nats)",
    "chain_acceptance_percent": "accepted proposals of the Metropolis-Hastings chains (%)",
    "chain_rhat": "rank-normalised split R-hat of the chains, worst",
    "chain_effective_size": "effective sample size of the chains, worst",
    "chain_divergence_nats": "Kullback-Leibler divergence of the chains from quadrature, worst (nats)",
    "walk_divergence_nats": "the same of a random walk from one mode of the eight (nats)",
    "langevin_divergence_nats": "the same of Langevin steps (nats)",
    "tempering_divergence_nats": "the same of parallel tempering (nats)",
}


@torch.no_grad()
def evaluate(model: LitPlanes, data: PlanesDataModule, params: EbmPlane) -> Result:
    """Compare energies with the densities by quadrature, chains with energies, F_∞ with F_β; draw all of it."""
    nodes = params.evaluate.nodes
    true, found = on_grid(model, nodes)
    chains = {name: sampled(model, name, params) for name in DENSITIES}
    ways = samplers(model, SEPARATE, data.splits["test"][SEPARATE][0], params)
    metrics = {
        **divergences(true, found, data, nodes, params.seed),
        **latent_measures(model, true["ellipse"], data.splits["test"]["ellipse"], nodes),
        **chain_measures(found, chains),
    }
    for way, states in ways.items():
        metrics[f"model/{way}_divergence_nats"] = from_quadrature(states, found[SEPARATE])
    with style():
        pictures = [
            plane_panels(true, found, chains),
            chain_panels(found["moons"], chains["moons"]),
            sampler_panels(found[SEPARATE], ways),
            latent_panels(deepcopy(model.ellipse).cpu(), data.splits["test"]["ellipse"]),
        ]
    return Result(
        metrics,
        pictures,
        judged_by=f"{len(DENSITIES)} densities",
        charts=[density_chart(true, found)],
        items=held_out(list(DENSITIES), metrics),
        thumbnails=density_pictures(true, found),
    )


def divergences(
    true: dict[str, Tensor], found: dict[str, Tensor], data: PlanesDataModule, nodes: int, seed: int
) -> dict[str, Any]:
    """KL from each density, of the model and of mixtures of Gaussians, and the likelihood beside its bound."""
    metrics: dict[str, Any] = {}
    every: dict[str, list[float]] = {who: [] for who in ("model", *RIVALS)}
    for name in DENSITIES:
        densities = {"model": found[name]} | {
            who: mixture(data.splits["train"][name], components, nodes, seed) for who, components in RIVALS.items()
        }
        values = {who: kl(true[name], density) for who, density in densities.items()}
        bound = entropy(true[name]) + 2 * math.log(HALF_WIDTH)
        metrics |= compared(f"{name}_kl_nats", values)
        metrics |= compared(f"{name}_nll_nats", {"model": bound + values["model"], "entropy": bound})
        for who, value in values.items():
            every[who].append(value)
    return compared("kl_nats", {who: sum(values) / len(values) for who, values in every.items()}) | metrics


def latent_measures(model: LitPlanes, true: Tensor, points: Tensor, nodes: int) -> dict[str, float]:
    """What the ellipse's energy found of the ellipse, and that two ways to its minimum agree."""
    ellipse = model.ellipse
    long, short = (HALF_WIDTH * torch.linalg.svdvals(ellipse.curve.weight)).tolist()
    given = points[:GIVEN, 0].to(model.device)
    lowest = joint_minima(ellipse, given, unit_grid(6).to(given).expand(len(given), -1, -1))[1]
    gap = lowest.double() - two_step_minima(ellipse, given)
    minimised = log_gibbs(coldest(ellipse, unit_grid(nodes).to(model.device)).cpu(), 1.0, cell_volume(nodes))
    return {
        "test/ellipse_f_inf_kl_nats": kl(true, minimised),
        "model/ellipse_long_axis": long,
        "model/ellipse_short_axis": short,
        "model/ellipse_noise": HALF_WIDTH * float(ellipse.log_sigma.exp()),
        "test/joint_minimum_gap_nats": float(gap.max()),
    }


def chain_measures(found: dict[str, Tensor], chains: dict[str, Sample]) -> dict[str, float]:
    """Diagnostics of the chains of all densities; the worst of each."""
    rhat, size = chain_diagnostics(torch.stack([sample.states for sample in chains.values()], 1), "ebm-plane")
    return {
        "model/chain_acceptance_percent": 100 * sum(sample.acceptance for sample in chains.values()) / len(chains),
        "model/chain_rhat": rhat.max(),
        "model/chain_effective_size": size.min(),
        "model/chain_divergence_nats": max(from_quadrature(chains[name].states, found[name]) for name in chains),
    }


def from_quadrature(states: Tensor, log_density: Tensor) -> float:
    """KL of the histogram of chains (steps, chains, 2) from a log density at the nodes of a grid (nodes²,)."""
    side = math.isqrt(len(log_density))
    log_probability = torch.log_softmax(log_density, 0).view(1, side, side)
    return float(divergence(states.flatten(0, 1)[None], log_probability))
