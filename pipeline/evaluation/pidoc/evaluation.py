"""What the two networks of π-DOC are worth beside simple rules."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.evaluation.common.maps import log_luminosity, log_sum
from pipeline.evaluation.common.radial import RING_MIDDLES, RINGS, radial_features, ridge, ring_means, ring_numbers
from pipeline.evaluation.common.result import Result, style
from pipeline.evaluation.pidoc.figures import (
    calibration,
    distributions,
    four_maps,
    label_against_label,
    labelled_maps,
    mass_against_mass,
    mass_to_light_profiles,
)
from pipeline.evaluation.pidoc.measures import (
    AGE_BINS,
    FIELD_BINS,
    MASS_BINS,
    Array,
    bias_curve,
    binned_error,
    by_distance,
    percent,
)
from pipeline.evaluation.pidoc.settings import PidocAgeDistance, PidocMass


def evaluate(
    model: LitPidocMass | LitPidocAgeDistance, data: ClusterMapsDataModule, params: PidocMass | PidocAgeDistance
) -> Result:
    """Score a trained network on the test maps beside simple baselines, by the authors' measures and plain ones."""
    distances = np.array(params.evaluate.distances)
    if isinstance(model, LitPidocMass):
        return evaluate_mass(model, data, distances)
    return evaluate_age_distance(model, data, distances)


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
    regressed = ridge(np.concatenate(features), np.concatenate(profiles)).predict(x)
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
    regressed = ridge(x, y).predict(radial_features(test["flux"])[0])
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
