"""What the two networks of π-DOC are worth beside simple rules, and what they say of your own cluster."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.evaluation.common.result import Result, style
from pipeline.evaluation.pidoc.figures import (
    calibration,
    distributions,
    four_maps,
    label_against_label,
    labelled_maps,
    mass_against_mass,
    mass_to_light_profiles,
    own_cluster,
)
from pipeline.evaluation.pidoc.measures import (
    AGE_BINS,
    FIELD_BINS,
    MASS_BINS,
    RING_MIDDLES,
    RINGS,
    Array,
    bias_curve,
    binned_error,
    by_distance,
    log_luminosity,
    log_sum,
    percent,
    radial_features,
    ridge,
    ring_means,
    ring_numbers,
)
from pipeline.evaluation.pidoc.settings import PidocAgeDistance, PidocMass
from pipeline.inputs.observation import Observation, read_observation


def evaluate(
    model: LitPidocMass | LitPidocAgeDistance, data: ClusterMapsDataModule, params: PidocMass | PidocAgeDistance
) -> Result:
    """Score a trained network on the test maps beside simple baselines, by the authors' measures and plain ones."""
    distances = np.array(params.evaluate.distances)
    if isinstance(model, LitPidocMass):
        return evaluate_mass(model, data, distances)
    return evaluate_age_distance(model, data, distances)


# --- on the test clusters ------------------------------------------------------------------------


def evaluate_mass(model: LitPidocMass, data: ClusterMapsDataModule, distances: Array) -> Result:
    """Mass maps of the test clusters beside light times a constant, a radial regression and the mean map."""
    test = collected(model, data)
    true = test["mass"]
    predictions = {"model": test["log_mass"], **mass_baselines(data, test)}
    field, rings = log_sum(true), ring_numbers(true)[1]
    profile = ring_means(10.0**true, rings)
    rows: dict[str, Callable[[Array], float]] = {
        "pixel mass, authors' bins (%)": lambda p: binned_error(true.ravel(), p.ravel(), MASS_BINS, percent),
        "pixel mass, mean error (%)": lambda p: percent(true, p).mean(),
        "pixel mass, mean error (dex)": lambda p: np.abs(true - p).mean(),
        "field mass, authors' bins (%)": lambda p: binned_error(field, log_sum(p), FIELD_BINS, percent),
        "M/L of the field, mean error (%)": lambda p: percent(field, log_sum(p)).mean(),
        "M/L in rings, mean error (%)": lambda p: 100 * np.abs(ring_means(10.0**p, rings) / profile - 1).mean(),
    }
    z_pixel = (true - test["log_mass"]) / test["sigma"]
    z_field = (field - log_sum(test["log_mass"])) / test["field_sigma"]
    mu, _ = bias_curve(true.ravel(), test["log_mass"].ravel(), MASS_BINS)
    metrics: dict[str, Any] = {
        **{name: {who: measure(p) for who, p in predictions.items()} for name, measure in rows.items()},
        "mean |bias| of a pixel over predicted mass (dex)": np.nanmean(np.abs(mu)),
        "pixels inside their 68 % interval (%)": 100 * (np.abs(z_pixel) < 1).mean(),
        "fields inside their 68 % interval (%)": 100 * (np.abs(z_field) < 1).mean(),
    }
    with style():
        pictures = [
            four_maps(test, distances),
            mass_against_mass(test),
            mass_to_light_profiles(test, predictions, distances),
            calibration({"a pixel's mass": z_pixel, "the mass in the field": z_field}),
        ]
    return Result(finite(metrics), pictures)


def mass_baselines(data: ClusterMapsDataModule, test: dict[str, Array]) -> dict[str, Array]:
    """Log mass maps of the test clusters by three simple rules learned from the training clusters."""
    ratios, features, profiles = [], [], []
    mean_map, n = 0.0, 0
    for flux, mass, distance in training_parts(data, "flux", "mass", "distance"):
        ratios.append(log_sum(mass) - log_sum(log_luminosity(flux, distance)))
        x, radius = radial_features(flux)
        features.append(x)
        profiles.append(ring_means(mass, np.digitize(radius, RINGS) - 1))
        mean_map, n = mean_map + mass.sum(0), n + len(mass)
    x, radius = radial_features(test["flux"])
    regressed = ridge(np.concatenate(features), np.concatenate(profiles))(x)
    painted = [np.interp(r, RING_MIDDLES, profile) for r, profile in zip(radius, regressed, strict=True)]
    light = log_luminosity(test["flux"], test["distance"])
    return {
        "constant M/L, distance known": light + np.median(np.concatenate(ratios)),
        "radial ridge": np.stack(painted),
        "mean map": np.broadcast_to(mean_map / n, light.shape),
    }


def evaluate_age_distance(model: LitPidocAgeDistance, data: ClusterMapsDataModule, distances: Array) -> Result:
    """Distances and ages of the test clusters beside a radial regression and the mean of the training clusters."""
    test = collected(model, data)
    predictions = {"model": (test["distance_read"], test["age_read"]), **label_baselines(data, test)}
    distance, age = test["distance"], test["age"]
    rows: dict[str, Callable[[Array, Array], float]] = {
        "distance, authors' mean over distances (kpc)": lambda d, _: by_distance(
            np.abs(d - distance), distance, distances
        ),
        "distance, mean error (kpc)": lambda d, _: np.abs(d - distance).mean(),
        "distance, mean error (%)": lambda d, _: 100 * np.abs(d / distance - 1).mean(),
        "age, authors' bins (Gyr)": lambda _, a: binned_error(age, a, AGE_BINS, lambda x, y: np.abs(x - y)),
        "age, mean error (Gyr)": lambda _, a: np.abs(a - age).mean(),
    }
    scaled = model.net.scale(torch.from_numpy(distance), torch.from_numpy(age)).numpy()
    z = dict(zip(("distance", "age"), ((scaled - test["z_mean"]) / test["z_sigma"]).T, strict=True))
    metrics: dict[str, Any] = {
        **{name: {who: measure(*pair) for who, pair in predictions.items()} for name, measure in rows.items()},
        **{f"{name} inside its 68 % interval (%)": 100 * (np.abs(x) < 1).mean() for name, x in z.items()},
    }
    with style():
        pictures = [
            labelled_maps(test, distances),
            label_against_label(test),
            distributions(test, distances),
            calibration(z),
        ]
    return Result(finite(metrics), pictures)


def label_baselines(data: ClusterMapsDataModule, test: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
    """Distance and age of the test clusters by two simple rules learned from the training clusters."""
    x = np.concatenate([radial_features(flux)[0] for (flux,) in training_parts(data, "flux")])
    y = torch.stack([data.splits["train"]["distance"].log10(), data.splits["train"]["age"]], 1).double().numpy()
    regressed = ridge(x, y)(radial_features(test["flux"])[0])
    distance, age = (10 ** y[:, 0]).mean(), y[:, 1].mean()
    return {
        "radial ridge": (10 ** regressed[:, 0], regressed[:, 1]),
        "mean": (np.full(len(test["age"]), distance), np.full(len(test["age"]), age)),
    }


def training_parts(data: ClusterMapsDataModule, *names: str) -> Iterator[tuple[Array, ...]]:
    """Maps (n, H, W) and labels (n,) of the training clusters, float32, some at a time."""
    train = data.splits["train"]
    for part in zip(*(train[name].split(100) for name in names), strict=True):
        yield tuple((x[:, 0] if x.ndim == 4 else x).float().numpy() for x in part)


def collected(model: LitPidocMass | LitPidocAgeDistance, data: ClusterMapsDataModule) -> dict[str, Array]:
    """All test maps (float32) and labels (float64) with the model's answers."""
    parts = []
    with torch.inference_mode():
        for batch in data.test_dataloader():
            parts.append({**batch, **answers(model, batch["flux"].to(model.device))})
    whole = {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}
    return {name: (tensor[:, 0] if tensor.ndim == 4 else tensor.double()).numpy() for name, tensor in whole.items()}


def finite(metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics without those measures that no prediction falls into the bins of."""
    return {
        name: row
        for name, row in metrics.items()
        if np.isfinite(list(row.values()) if isinstance(row, dict) else row).all()
    }


# --- your own cluster ----------------------------------------------------------------------------


def predict(models: list[LitPidocMass | LitPidocAgeDistance], path: Path, band: str | None = None) -> Result:
    """Read a cluster's flux map and state its mass map, mass, distance, age and M/L with 68 % intervals.

    Each network given adds its part; the mass-to-light ratio needs both. ``band`` names the filter
    of a picture in counts or magnitudes whose header does not.

    Raises:
        InputError: the file is no usable map, see ``pipeline.inputs.observation``.
    """
    seen = read_observation(path, band)
    flux = torch.from_numpy(seen.log_flux).float()[None, None]
    found: dict[str, Any] = {}
    remarks = list(seen.warnings)
    with torch.inference_mode():
        for model in models:
            remarks += [x for x in outside_training(model, seen.log_flux) if x not in remarks]
            answer = {name: tensor.double().numpy().squeeze() for name, tensor in answers(model, flux).items()}
            found |= answer
            if isinstance(model, LitPidocMass):
                remarks += field_outside_training(model, float(log_sum(answer["log_mass"])))
            if not model.settings.uncertainty:
                remarks.append(
                    "the network states no uncertainty of its own; its intervals are equally wide for all maps"
                )
    metrics: dict[str, Any] = {
        "input": path.name,
        "interval": "68 %",
        **quantities(seen.log_flux, found),
        "warnings": remarks,
    }
    hdus = {"mass": mass_hdus(found, seen)} if "log_mass" in found else {}
    with style():
        picture = own_cluster(path.stem, seen, found, metrics)
    return Result(metrics, [picture], hdus)


def quantities(log_flux: Array, found: dict[str, Array]) -> dict[str, Any]:
    """Distance, age, mass in the field and M/L: value, ends of the 68 % interval and unit."""
    stated: dict[str, Any] = {}
    if "distance_read" in found:
        for name, unit in (("distance", "kpc"), ("age", "Gyr")):
            value, low, high = (max(float(found[f"{name}_{end}"]), 0.0) for end in ("read", "low", "high"))
            stated[name] = {"value": value, "low": low, "high": high, "unit": unit}
    if "log_mass" in found:
        log_mass, sigma = log_sum(found["log_mass"]), found["field_sigma"]
        stated["mass in the field"] = around(log_mass, sigma, "Msun")
    if "distance_read" in found and "log_mass" in found:
        light = log_sum(log_luminosity(log_flux, found["distance_read"]))
        spread = 0.5 * np.log10(found["distance_high"] / max(found["distance_low"], 0.1))
        stated["luminosity of the field"] = around(light, 2 * spread, "Lsun")
        # errors of mass and distance taken as independent: they share a sign, so this is on the safe side
        stated["M/L of the field"] = around(log_mass - light, np.hypot(sigma, 2 * spread), "Msun/Lsun")
    return stated


def around(log_value: Array, sigma: Array, unit: str) -> dict[str, Any]:
    """A lognormal quantity: median, ends of its 68 % interval, unit."""
    low, value, high = (float(10 ** (log_value + k * sigma)) for k in (-1, 0, 1))
    return {"value": value, "low": low, "high": high, "unit": unit}


def outside_training(model: LitPidocMass | LitPidocAgeDistance, log_flux: Array) -> list[str]:
    """Where the mean and spread of a map's log flux lie outside those of all training maps."""
    remarks = []
    for name, value, (low, high) in zip(
        ("mean", "standard deviation"), (log_flux.mean(), log_flux.std()), model.flux_range.tolist(), strict=True
    ):
        if not low <= value <= high:
            remarks.append(
                f"the {name} of log flux, {value:.2f}, is outside the training maps' {low:.2f} to {high:.2f}: "
                "the answers are extrapolations"
            )
    return remarks


def field_outside_training(model: LitPidocMass, log_mass: float) -> list[str]:
    """Whether the mass found in the field lies outside that of all training maps."""
    low, high = model.field_range.tolist()
    if low <= log_mass <= high:
        return []
    return [f"log mass in the field, {log_mass:.2f}, is outside the training maps' {low:.2f} to {high:.2f}"]


def mass_hdus(found: dict[str, Array], seen: Observation) -> Any:
    """Mass per pixel and its uncertainty as FITS images on the sky of the input."""
    from astropy.io import fits

    header = seen.wcs.to_header() if seen.wcs is not None else fits.Header()
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


# --- both ----------------------------------------------------------------------------------------


def answers(model: LitPidocMass | LitPidocAgeDistance, flux: torch.Tensor) -> dict[str, torch.Tensor]:
    """Predictions for flux maps (B, 1, H, W): log mass and its uncertainties, or labels with ends of their interval."""
    if isinstance(model, LitPidocMass):
        mass = model.read(flux)
        return {"log_mass": mass.log_mass, "sigma": mass.sigma, "field_sigma": mass.field_sigma}
    mean, sigma = model.read(flux)
    read = {"z_mean": mean, "z_sigma": sigma}
    for end, z in (("read", mean), ("low", mean - sigma), ("high", mean + sigma)):
        read[f"distance_{end}"], read[f"age_{end}"] = model.net.unscale(z)
    return read
