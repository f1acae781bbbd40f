"""The posterior of distance and age of your own cluster."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.posterior import marginals, quantiles
from pipeline.evaluation.common.maps import outside_training, show_map
from pipeline.evaluation.common.result import RED, Picture, Result, short, style
from pipeline.evaluation.ebm.figures import LOOK, draw_posterior, grid_axes, mark
from pipeline.evaluation.ebm.measures import LEVELS, minimiser, probability
from pipeline.inputs.observation import TrainingMaps, read_observation

NODES = 128  # of a side of the grid


@torch.no_grad()
def predict(models: list[LitEBM], path: Path, band: str | None = None, psf_fwhm: float | None = None) -> Result:
    """State the posterior of distance and age of a cluster's flux map.

    Args:
        models: the one trained model.
        path: a FITS or NPY map.
        band: filter of a picture in counts or magnitudes whose header does not name it.
        psf_fwhm: width of its stars in arcsec, where the header does not tell it.

    Raises:
        InputError: the file is no usable map, see ``pipeline.inputs.observation``.
    """
    (model,) = models
    seen = read_observation(path, TrainingMaps.of(model), band, psf_fwhm)
    flux = torch.from_numpy(seen.log_flux).float()[None, None].to(model.device)
    context = model.context(flux)
    log_density = model.log_posterior(context, NODES)
    marginal = [part.cpu() for part in marginals(probability(log_density))]
    best = model.from_box(minimiser(model, context, model.settings.beta)[0])
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
        picture = own_cluster(model, path.stem, seen.log_flux, log_density[0].cpu(), best, metrics)
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
        found = metrics[key]
        stated.append(f"{key} {short(found['value'])} ({short(found['low'])}–{short(found['high'])}) {found['unit']}")
    right.set(title="\n".join(stated), xlabel="distance (kpc)", ylabel="age (Gyr)")
    right.legend(loc="lower left")
    return Picture(
        "posterior", "The map given, and which distances and ages fit it; medians with 68 % intervals above.", figure
    )
