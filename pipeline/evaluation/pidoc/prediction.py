"""What the two networks of π-DOC say of your own cluster: mass map, mass, distance, age and M/L."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass, load_published
from pipeline.evaluation.common.maps import (
    CANNOT_TELL,
    EXTRAPOLATED,
    log_luminosity,
    log_sum,
    outside_training,
    show_map,
)
from pipeline.evaluation.common.observed import show_observation, sign, warn_below
from pipeline.evaluation.common.result import RED, Picture, Result, short, style
from pipeline.evaluation.pidoc.answers import answers
from pipeline.evaluation.pidoc.measures import Array
from pipeline.inputs.observation import Observation, read_observation
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.training_maps import TrainingMaps

FORMATS = {".h5": load_published}  # checkpoints of others, and who reads them
CARDS = {  # of the FITS answer
    "distance": ("DISTANCE", "distance of the cluster"),
    "age": ("AGE", "age of the cluster"),
    "field_mass": ("FMASS", "mass in the field"),
    "field_luminosity": ("FLUMV", "V luminosity of the field"),
    "mass_to_light": ("M2L", "mass over V luminosity of the field"),
}
CAPTION = (
    "The field that was read, and what the networks say of it, with 68 % intervals in brackets. Pixels that had no "
    "value are blue; what is warned of stands below."
)
NAMES = {"field_mass": "mass in the field", "field_luminosity": "luminosity", "mass_to_light": "M/L"}


def predict(
    models: list[LitPidocMass | LitPidocAgeDistance],
    path: Path,
    options: FitsOptions = FitsOptions(),  # noqa: B008
) -> Result:
    """Read a cluster's flux map and state its mass map, mass, distance, age and M/L with 68 % intervals.

    What the zero point leaves open is part of the intervals: answers are averaged over the fluxes that may be true. The
    noise is known to the networks.

    Args:
        models: trained on the same maps; each adds its part, and the mass-to-light ratio needs both.
        path: a FITS or NPY map.
        options: what the header of a FITS file leaves open.

    Raises:
        InputError: the file is no usable map, see ``pipeline.inputs.observation``.
    """
    seen = read_observation(path, TrainingMaps.of(models[0]), options)
    log_flux = torch.from_numpy(seen.possible).float()[:, None].to(models[0].device)
    statistics = seen.statistics(models[0])
    found: dict[str, Any] = {}
    outside: list[str] = []
    remarks = list(seen.warnings)
    for model in models:
        outside += [x for x in outside_training(model, statistics) if x not in outside]
        found |= averaged(model, log_flux, statistics)
        if isinstance(model, LitPidocMass):
            remarks += field_outside_training(model, float(found["field"].mean()))
        if model.settings.network == "published":
            remarks.append("the network states no uncertainty of its own; its intervals are equally wide for all maps")
    if seen.flux.sum() <= 0:
        remarks.append("the light in the field is not positive: it has no luminosity and no M/L; is the sky right?")
    metrics: dict[str, Any] = {
        "input": path.name,
        "outside_training": bool(outside),
        "interval": "68 %",
        **quantities(seen, found),
        "warnings": outside + remarks,
    }
    hdus = {"mass": mass_hdus(found, seen, metrics)} if "log_mass" in found else {}
    with style():
        picture = own_cluster(path.stem, seen, found, metrics)
    return Result(metrics, [picture], hdus)


@torch.inference_mode()
def averaged(
    model: LitPidocMass | LitPidocAgeDistance, log_flux: torch.Tensor, statistics: torch.Tensor
) -> dict[str, Any]:
    """What a network says of maps (n, 1, H, W) with statistics (n, N), one of which is true.

    Returns:
        Log mass and its sigma (H, W), with log mass in the field and its sigma for each map, (n,); or distance and age,
        with the ends of their intervals.
    """
    answer = {name: tensor.cpu().double().numpy() for name, tensor in answers(model, log_flux, statistics).items()}
    if isinstance(model, LitPidocMass):
        maps = answer["log_mass"][:, 0]
        log_mass, sigma = mixed(maps, answer["sigma"][:, 0])
        return {
            "log_mass": log_mass,
            "sigma": sigma,
            "field": log_sum(maps),
            "field_sigma": answer["field_sigma"].reshape(-1),
        }
    mean, sigma = mixed(answer["z_mean"], answer["z_sigma"])
    read = {}
    for end, k in (("read", 0), ("low", -1), ("high", 1)):
        scaled = torch.from_numpy(mean + k * sigma).float().to(model.device)
        distance, age = model.net.targets.unscale(scaled[None])
        read[f"distance_{end}"], read[f"age_{end}"] = float(distance), float(age)
    return read


def mixed(mean: Array, sigma: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of a mixture of equally likely normal distributions, along the first axis."""
    return mean.mean(0), ((sigma**2).mean(0) + mean.var(0)) ** 0.5


def quantities(seen: Observation, found: dict[str, Any]) -> dict[str, Any]:
    """Distance, age, mass in the field and M/L: value, ends of the 68 % interval and unit."""
    stated: dict[str, Any] = {}
    if "distance_read" in found:
        for name, unit in (("distance", "kpc"), ("age", "Gyr")):
            value, low, high = (max(float(found[f"{name}_{end}"]), 0.0) for end in ("read", "low", "high"))
            stated[name] = {"value": value, "low": low, "high": high, "unit": unit}
    if "log_mass" in found:
        log_mass, sigma = mixed(found["field"], found["field_sigma"])
        stated["field_mass"] = around(log_mass, sigma, "Msun")
    light = float(seen.flux.sum())
    if "distance_read" in found and "log_mass" in found and light > 0:
        zero_point = np.log10(seen.factors)
        noise = seen.noise * seen.flux.size**0.5 / light / np.log(10)  # dex
        spread = 0.5 * np.log10(found["distance_high"] / max(found["distance_low"], 0.1))
        log_light = np.log10(4 * np.pi * found["distance_read"] ** 2 * light)
        stated["field_luminosity"] = around(log_light, np.linalg.norm([zero_point.std(), noise, 2 * spread]), "Lsun")
        _, sigma = mixed(found["field"] - zero_point, found["field_sigma"])
        # errors of mass and distance taken as independent: they share a sign, so this is on the safe side
        stated["mass_to_light"] = around(log_mass - log_light, np.linalg.norm([sigma, noise, 2 * spread]), "Msun/Lsun")
    return stated


def around(log_value: Any, sigma: Any, unit: str) -> dict[str, Any]:
    """A lognormal quantity: median, ends of its 68 % interval, unit."""
    low, value, high = (float(10 ** (log_value + k * sigma)) for k in (-1, 0, 1))
    return {"value": value, "low": low, "high": high, "unit": unit}


def field_outside_training(model: LitPidocMass, log_mass: float) -> list[str]:
    """Whether the mass found in the field lies outside that of all training maps."""
    low, high = model.field_range.tolist()
    if low <= log_mass <= high:
        return []
    return [
        f"log mass in the field, {log_mass:.2f}, is outside the training maps' {low:.2f} to {high:.2f}: {EXTRAPOLATED}"
    ]


def mass_hdus(found: dict[str, Array], seen: Observation, metrics: dict[str, Any]) -> Any:
    """Mass per pixel and its uncertainty as FITS images on the sky of the input, with what else was read."""
    from astropy.io import fits

    header = seen.wcs.to_header() if seen.wcs is not None else fits.Header()
    header["OUTSIDE"] = (metrics["outside_training"], "outside what the networks were trained on")
    for quantity, (card, comment) in CARDS.items():
        if quantity in metrics:
            stated = metrics[quantity]
            header[card] = (round(stated["value"], 4), f"[{stated['unit']}] {comment}")
            header[f"{card[:5]}_LO"] = (round(stated["low"], 4), "lower end of its 68 % interval")
            header[f"{card[:5]}_HI"] = (round(stated["high"], 4), "upper end of its 68 % interval")
    images = []
    for name, values, unit, meaning in (
        ("MASS", 10 ** found["log_mass"], "solMass", "mass in the pixel, all stars and remnants"),
        ("SIGMA", found["sigma"], "dex", "standard deviation of log10 mass"),
    ):
        cards = header.copy()
        cards["BUNIT"] = (unit, meaning)
        cards["EXTNAME"] = name
        images.append((values.astype(np.float32), cards))
    return fits.HDUList([fits.PrimaryHDU(*images[0]), fits.ImageHDU(*images[1])])


def own_cluster(name: str, seen: Observation, found: dict[str, Array], metrics: dict[str, Any]) -> Picture:
    """The map given, the mass map, M/L, and the numbers: Figure 4 of the paper for one cluster."""
    panels: list[tuple[Array, str, str, str]] = [(seen.log_flux, "light seen", "log F (L☉ kpc⁻²)", "inferno")]
    if "log_mass" in found:
        panels.append((found["log_mass"], "predicted mass", "log M (M☉)", "viridis"))
    if "mass_to_light" in metrics:
        light = log_luminosity(seen.log_flux, found["distance_read"])
        panels.append((found["log_mass"] - light, "mass over light", "log M/L (M☉/L☉)", "cividis"))
    figure, axes = plt.subplots(1, len(panels), figsize=(max(5.0, 3.3 * len(panels)), 5.2), squeeze=False)
    for k, (axis, (values, title, label, colours)) in enumerate(zip(axes[0], panels, strict=True)):
        low, high = np.quantile(values, [0.005, 0.995])
        look = {"cmap": colours, "vmin": low, "vmax": high}
        image = show_map(axis, values, **look) if k else show_observation(axis, seen, **look)
        figure.colorbar(image, ax=axis, label=label, orientation="horizontal")
        if k:
            axis.set(title=title, xlabel="arcsec")
    stated = [
        f"{NAMES.get(quantity, quantity)} {short(x['value'])} ({short(x['low'])}–{short(x['high'])}) {sign(x['unit'])}"
        for quantity, x in metrics.items()
        if isinstance(x, dict)
    ]
    outside = metrics["outside_training"]
    lines = [f"{name} (in brackets: {metrics['interval']} intervals)", *([CANNOT_TELL] if outside else [])]
    lines += ["; ".join(stated[k : k + 2]) for k in range(0, len(stated), 2)]
    figure.suptitle("\n".join(lines), fontsize=9, color=RED if outside else "black")
    warn_below(figure, metrics["warnings"])
    return Picture("cluster", CAPTION, figure)
