"""What the two networks of π-DOC are worth beside simple rules."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.evaluation.common.bootstrap import scored
from pipeline.evaluation.common.maps import log_luminosity, log_sum
from pipeline.evaluation.common.radial import (
    RING_MIDDLES,
    RINGS,
    TRAINING_MAPS,
    radial_features,
    ridge,
    ring_means,
    ring_numbers,
)
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
    by_bin,
    by_distance,
    mean_over_bins,
    percent,
)
from pipeline.evaluation.pidoc.settings import PidocAgeDistance, PidocMass

LABELS = {
    "loss": "negative log-likelihood, as trained (mass: of log10 masses in dex; distance and age: of the scaled two)",
    "pixel_mae_dex": "mean error of the log10 mass of a pixel, as trained (dex)",
    "field_mae_dex": "mean error of the log10 mass in the field, as trained (dex)",
    "distance_mae_kpc": "mean error of the distance, as trained (kpc)",
    "age_mae_gyr": "mean error of the age, as trained (Gyr)",
    "pixel_error_percent": "mean error of the mass of a pixel (%)",
    "pixel_error_binned_percent": "error of the mass of a pixel by the authors' bins (%)",
    "pixel_error_dex": "mean error of the log10 mass of a pixel (dex)",
    "field_error_percent": "mean error of the mass in the field, and of its M/L (%)",
    "field_error_binned_percent": "error of the mass in the field by the authors' bins (%)",
    "ring_error_percent": "mean error of M/L in rings around the centre (%)",
    "pixel_bias_dex": "mean offset of the log10 mass of a pixel in bins of the predicted one, without its sign (dex)",
    "pixel_in_68_percent": "pixels inside their 68 % interval (%)",
    "field_in_68_percent": "masses in the field inside their 68 % interval (%)",
    "distance_error_kpc": "mean error of the distance, mean over the authors' distances (kpc)",
    "distance_error_percent": "mean error of the distance (%)",
    "age_error_gyr": "mean error of the age (Gyr)",
    "age_error_binned_gyr": "error of the age by the authors' bins (Gyr)",
    "distance_in_68_percent": "distances inside their 68 % interval (%)",
    "age_in_68_percent": "ages inside their 68 % interval (%)",
}


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
    z_pixel = (true - test["log_mass"]) / test["sigma"]
    z_field = (field - log_sum(test["log_mass"])) / test["field_sigma"]
    measures: dict[str, Callable[[Array], Array]] = {  # of each map
        "pixel_error_percent": lambda p: percent(true, p).mean((1, 2)),
        "pixel_error_dex": lambda p: np.abs(true - p).mean((1, 2)),
        "field_error_percent": lambda p: percent(field, log_sum(p)),
        "ring_error_percent": lambda p: 100 * np.abs(ring_means(10.0**p, rings) / profile - 1).mean(1),
    }
    binned: dict[str, Callable[[Array], Array]] = {
        "pixel_error_binned_percent": lambda p: by_bin(true, p, MASS_BINS, percent),
        "field_error_binned_percent": lambda p: by_bin(field, log_sum(p), FIELD_BINS, percent),
    }
    cluster = data.splits["test"]["cluster"].numpy()
    metrics: dict[str, Any] = {
        "test/pixel_bias_dex": np.nanmean(np.abs(bias_curve(true.ravel(), test["log_mass"].ravel(), MASS_BINS)[0])),
        "test/pixel_in_68_percent": 100 * (np.abs(z_pixel) < 1).mean(),
        "test/field_in_68_percent": 100 * (np.abs(z_field) < 1).mean(),
    }
    for what, measure in measures.items():
        metrics |= over_clusters(what, {who: measure(p) for who, p in predictions.items()}, np.mean, cluster)
    for what, measure in binned.items():
        metrics |= over_clusters(what, {who: measure(p) for who, p in predictions.items()}, mean_over_bins, cluster)
    with style():
        pictures = [
            four_maps(test, distances),
            mass_against_mass(test),
            mass_to_light_profiles(test, predictions, distances),
            calibration({"a pixel's mass": z_pixel, "the mass in the field": z_field}),
        ]
    return Result(metrics, pictures)


def mass_baselines(data: ClusterMapsDataModule, test: dict[str, Array]) -> dict[str, Array]:
    """Log mass maps of the test clusters by three simple rules learned from the training clusters."""
    ratios, features, profiles = [], [], []
    mean_map, n = 0.0, 0
    for flux, mass, distance in training_maps(data, "flux", "mass", "distance"):
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
        "constant_mass_to_light": light + np.median(np.concatenate(ratios)),  # it knows the distance
        "radial_ridge": np.stack(painted),
        "mean_map": np.broadcast_to(mean_map / n, light.shape),
    }


def evaluate_age_distance(model: LitPidocAgeDistance, data: ClusterMapsDataModule, distances: Array) -> Result:
    """Distances and ages of the test clusters beside a radial regression and the mean of the training clusters."""
    test = collected(model, data)
    distance, age = test["distance"], test["age"]
    predictions = {"model": (test["distance_read"], test["age_read"]), **label_baselines(data, test)}
    kpc = {who: np.abs(d - distance) for who, (d, _) in predictions.items()}
    gyr = {who: np.abs(a - age) for who, (_, a) in predictions.items()}
    percents = {who: 100 * x / distance for who, x in kpc.items()}
    binned = {who: by_bin(age, a, AGE_BINS, lambda x, y: np.abs(x - y)) for who, (_, a) in predictions.items()}
    cluster = data.splits["test"]["cluster"].numpy()
    scaled = model.net.targets.scale(torch.from_numpy(distance), torch.from_numpy(age)).numpy()
    z = dict(zip(("distance", "age"), ((scaled - test["z_mean"]) / test["z_sigma"]).T, strict=True))

    def over_distances(pairs: Array) -> float:
        return by_distance(pairs[:, 0], pairs[:, 1], distances)

    metrics: dict[str, Any] = {
        **over_clusters(
            "distance_error_kpc", {w: np.stack([x, distance], 1) for w, x in kpc.items()}, over_distances, cluster
        ),
        **over_clusters("distance_error_percent", percents, np.mean, cluster),
        **over_clusters("age_error_gyr", gyr, np.mean, cluster),
        **over_clusters("age_error_binned_gyr", binned, mean_over_bins, cluster),
        **{f"test/{name}_in_68_percent": 100 * (np.abs(x) < 1).mean() for name, x in z.items()},
    }
    with style():
        pictures = [
            labelled_maps(test, distances),
            label_against_label(test),
            distributions(test, distances),
            calibration(z),
        ]
    return Result(metrics, pictures)


def label_baselines(data: ClusterMapsDataModule, test: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
    """Distance and age of the test clusters by two simple rules learned from the training clusters."""
    features, labels = [], []
    for flux, distance, age in training_maps(data, "flux", "distance", "age"):
        features.append(radial_features(flux)[0])
        labels.append(np.stack([np.log10(distance), age], 1))
    y = np.concatenate(labels)
    regressed = ridge(np.concatenate(features), y).predict(radial_features(test["flux"])[0])
    everywhere = np.ones(len(test["age"]))
    return {
        "radial_ridge": (10 ** regressed[:, 0], regressed[:, 1]),
        "mean": ((10 ** y[:, 0]).mean() * everywhere, y[:, 1].mean() * everywhere),
    }


def over_clusters(
    what: str, values: dict[str, Array], statistic: Callable[..., Any], cluster: Array
) -> dict[str, float]:
    """A measure of model and rivals from what each map adds to it, with the model's interval over clusters.

    Nothing where the measure is not defined, because no prediction falls into the authors' bins.
    """
    found = scored(what, values, statistic, cluster)
    return {key: value for key, value in found.items() if np.isfinite(value)}


def training_maps(data: ClusterMapsDataModule, *names: str) -> Iterator[tuple[Array, ...]]:
    """Maps (n, H, W) and labels (n,) of at most ``TRAINING_MAPS`` training clusters, evenly chosen, some at a time."""
    every = -(-len(data.splits["train"]["age"]) // TRAINING_MAPS)
    for batch in data.observed("train", every=every):
        yield tuple((batch[name][:, 0] if batch[name].ndim == 4 else batch[name].double()).numpy() for name in names)


def collected(model: LitPidocMass | LitPidocAgeDistance, data: ClusterMapsDataModule) -> dict[str, Array]:
    """All test maps (float32) and labels (float64) with the model's answers."""
    parts = []
    with torch.inference_mode():
        for batch in data.observed("test"):
            parts.append({**batch, **answers(model, batch["flux"].to(model.device))})
    whole = {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}
    return {name: (tensor[:, 0] if tensor.ndim == 4 else tensor.double()).numpy() for name, tensor in whole.items()}


def answers(model: LitPidocMass | LitPidocAgeDistance, flux: torch.Tensor) -> dict[str, torch.Tensor]:
    """Predictions for flux maps (B, 1, H, W): log mass and its uncertainties, or labels with ends of their interval."""
    found = model(flux)
    if isinstance(model, LitPidocMass):
        return {"log_mass": found.pixels.mean, "sigma": found.pixels.sigma, "field_sigma": found.field.sigma}
    read = {"z_mean": found.mean, "z_sigma": found.sigma}
    for end, k in (("read", 0), ("low", -1), ("high", 1)):
        read[f"distance_{end}"], read[f"age_{end}"] = model.net.targets.unscale(found.mean + k * found.sigma)
    return read
