"""The posterior of distance and age of your own cluster."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.posterior import marginals, quantiles
from pipeline.evaluation.common.maps import outside_training, show_map
from pipeline.evaluation.common.result import RED, Picture, Result, style
from pipeline.evaluation.ebm.figures import LOOK, draw_posterior, grid_axes, mark
from pipeline.evaluation.ebm.measures import LEVELS, minimiser, probability
from pipeline.inputs.observation import read_observation

NODES = 128  # of a side of the grid


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
    metrics["warnings"] = seen.warnings + outside_training(model.flux_range, seen.log_flux)
    with style():
        picture = own_cluster(model, path.stem, seen.log_flux, log_density[0], best, metrics)
    return Result(metrics, [picture])


def own_cluster(
    model: LitEBM, name: str, log_flux: Any, log_density: Tensor, best: tuple[Tensor, Tensor], metrics: dict[str, Any]
) -> Picture:
    """The map given, and the posterior."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.0))
    figure.colorbar(show_map(left, log_flux, **LOOK), ax=left, label="log F (L☉ kpc⁻²)")
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
