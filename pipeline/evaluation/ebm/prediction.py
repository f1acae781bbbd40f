"""The posterior of distance and age of your own cluster."""

import math
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.posterior import marginals, quantiles
from pipeline.evaluation.common.maps import outside_training
from pipeline.evaluation.common.observed import show_observation, warn_below
from pipeline.evaluation.common.result import RED, Picture, Result, short, style
from pipeline.evaluation.ebm.figures import LOOK, draw_posterior, grid_axes, mark
from pipeline.evaluation.ebm.measures import LEVELS, probability
from pipeline.inputs.observation import Observation, read_observation
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.training_maps import TrainingMaps

NODES = 128  # of a side of the grid
CAPTION = (
    "The field that was read, and which distances and ages fit it; medians with 68 % intervals above. Pixels that had "
    "no value are blue; what is warned of stands below."
)


@torch.no_grad()
def predict(models: list[LitEBM], path: Path, options: FitsOptions = FitsOptions()) -> Result:  # noqa: B008
    """State the posterior of distance and age of a cluster's flux map.

    What calibration and noise leave open is part of it: densities are averaged over maps that may be true.

    Args:
        models: the one trained model.
        path: a FITS or NPY map.
        options: what the header of a FITS file leaves open.

    Raises:
        InputError: the file is no usable map, see ``pipeline.inputs.observation``.
    """
    (model,) = models
    seen = read_observation(path, TrainingMaps.of(model), options)
    log_density = averaged(model, torch.from_numpy(seen.possible).float()[:, None].to(model.device))
    marginal = [part.cpu() for part in marginals(probability(log_density))]
    best = model.from_box(unit_grid(NODES).to(model.device)[log_density.argmax()][None])
    metrics: dict[str, Any] = {"input": path.name, "interval": "68 %"}
    for part, (name, unit) in enumerate((("distance", "kpc"), ("age", "Gyr"))):
        ends = quantiles(marginal[part], LEVELS)[0, :, None].expand(-1, 2)
        low_95, low, median, high, high_95 = model.from_box(ends.to(model.device))[part].tolist()
        metrics[name] = {
            "value": median,
            "low": low,
            "high": high,
            "unit": unit,
            "low_95": low_95,
            "high_95": high_95,
            "mean": float((marginal[part][0] * grid_axes(model, NODES)[part]).sum()),
            "most_probable": float(best[part]),
        }
    metrics["warnings"] = seen.warnings + outside_training(model.flux_range, seen.log_flux)
    with style():
        picture = own_cluster(model, path.stem, seen, log_density[0].cpu(), best, metrics)
    return Result(metrics, [picture])


def averaged(model: LitEBM, flux: Tensor) -> Tensor:
    """Log of the mean density at the nodes of ``unit_grid`` over maps (n, 1, H, W), (1, nodes, nodes)."""
    each = model.log_posterior(model.context(flux), NODES)
    return each.logsumexp(0, keepdim=True) - math.log(len(each))


def own_cluster(
    model: LitEBM,
    name: str,
    seen: Observation,
    log_density: Tensor,
    best: tuple[Tensor, Tensor],
    metrics: dict[str, Any],
) -> Picture:
    """The map given, and the posterior."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.4))
    figure.suptitle(f"{name} (in brackets: {metrics['interval']} intervals)")
    low, high = np.quantile(seen.log_flux, [0.005, 0.995])
    image = show_observation(left, seen, cmap=LOOK["cmap"], vmin=low, vmax=high)
    figure.colorbar(image, ax=left, label="log F (L☉ kpc⁻²)")
    draw_posterior(right, model, log_density, None)
    mark(right, *best, "most probable", RED, "x")
    stated = []
    for key in ("distance", "age"):
        found = metrics[key]
        stated.append(f"{key} {short(found['value'])} ({short(found['low'])}–{short(found['high'])}) {found['unit']}")
    right.set(title="\n".join(stated), xlabel="distance (kpc)", ylabel="age (Gyr)")
    right.legend(loc="best")
    warn_below(figure, metrics["warnings"])
    return Picture("posterior", CAPTION, figure)
