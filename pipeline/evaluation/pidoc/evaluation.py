"""What the two networks of π-DOC are worth beside simple rules."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.evaluation.common.bootstrap import scored, with_interval
from pipeline.evaluation.common.maps import flagged_percent, log_luminosity, log_sum
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
    clean_and_noisy,
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
    "loss": "negative log-likelihood over all looks (mass: of log10 in dex; distance and age: of the scaled two)",
    "pixel_mae_dex": "mean error of the log10 mass of a pixel over all looks (dex)",
    "field_mae_dex": "mean error of the log10 mass in the field over all looks (dex)",
    "distance_mae_kpc": "mean error of the distance over all looks (kpc)",
    "age_mae_gyr": "mean error of the age over all looks (Gyr)",
    "pixel_error_percent": "mean error of the mass of a pixel (%)",
    "pixel_error_binned_percent": "error of the mass of a pixel by the authors' bins (%)",
    "pixel_error_dex": "mean error of the log10 mass of a pixel (dex)",
    "field_error_percent": "mean error of the mass in the field, and so of its M/L where the light is known: the "
    "published 12 % (%)",
    "field_error_binned_percent": "error of the mass in the field by the authors' bins (%)",
    "ring_error_percent": "mean error of the mass in rings around the centre (%)",
    "pixel_bias_dex": "mean offset of the log10 mass of a pixel in bins of the predicted one, without its sign (dex)",
    "pixel_in_68_percent": "pixels inside their 68 % interval (%)",
    "field_in_68_percent": "masses in the field inside their 68 % interval (%)",
    "distance_error_kpc": "mean error of the distance, mean over the authors' distances (kpc)",
    "distance_error_percent": "mean error of the distance (%)",
    "age_error_gyr": "mean error of the age (Gyr)",
    "age_error_binned_gyr": "error of the age by the authors' bins (Gyr)",
    "distance_in_68_percent": "distances inside their 68 % interval (%)",
    "age_in_68_percent": "ages inside their 68 % interval (%)",
    "outside_training_percent": "maps flagged as outside what the network was trained on (%)",
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
    test, noisy = collected(model, data), collected(model, data, look=1)
    predictions = {"model": test["log_mass"], **mass_baselines(data, test)}
    metrics = mass_metrics(test, predictions)
    if noisy:
        metrics |= mass_metrics(noisy, {"model": noisy["log_mass"]}, "noisy/")
    with style():
        pictures = [
            four_maps(test, distances),
            *([clean_and_noisy(test, noisy, distances)] if noisy else []),
            mass_against_mass(test),
            mass_to_light_profiles(test, predictions, distances),
            calibration(mass_z(test), mass_z(noisy) if noisy else {}),
        ]
    return Result(metrics, pictures)


def mass_metrics(test: dict[str, Array], predictions: dict[str, Array], look: str = "") -> dict[str, Any]:
    """Errors of log mass maps (n, H, W) of the model and its rivals, by key.

    Args:
        test: of :func:`collected`.
        predictions: by ``model`` and each rival.
        look: begins the name of each measure.
    """
    true = test["mass"]
    field, rings = log_sum(true), ring_numbers(true)[1]
    profile = ring_means(10.0**true, rings)
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
    bias = np.abs(bias_curve(true.ravel(), test["log_mass"].ravel(), MASS_BINS)[0])
    z = dict(zip(("pixel", "field"), mass_z(test).values(), strict=True))
    metrics = {f"test/{look}pixel_bias_dex": np.nanmean(bias), **of_model(test, z, look)}
    for found, statistic in ((measures, np.mean), (binned, mean_over_bins)):
        for what, measure in found.items():
            values = {who: measure(p) for who, p in predictions.items()}
            metrics |= over_clusters(f"{look}{what}", values, statistic, test["cluster"])
    return metrics


def mass_z(test: dict[str, Array]) -> dict[str, Array]:
    """Errors of log mass over their σ, of all pixels (n, H, W) and of the fields (n,)."""
    true, read = test["mass"], test["log_mass"]
    return {
        "a pixel's mass": (true - read) / test["sigma"],
        "the mass in the field": (log_sum(true) - log_sum(read)) / test["field_sigma"],
    }


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
    test, noisy = collected(model, data), collected(model, data, look=1)
    metrics = label_metrics(test, {"model": read_of(test), **label_baselines(data, test)}, distances)
    if noisy:
        metrics |= label_metrics(noisy, {"model": read_of(noisy)}, distances, "noisy/")
    with style():
        pictures = [
            labelled_maps(test, distances),
            label_against_label(test),
            distributions(test, distances),
            calibration(label_z(test), label_z(noisy) if noisy else {}),
        ]
    return Result(metrics, pictures)


def label_metrics(
    test: dict[str, Array], predictions: dict[str, tuple[Array, Array]], distances: Array, look: str = ""
) -> dict[str, Any]:
    """Errors of distances (kpc) and ages (Gyr), (n,) each, of the model and its rivals, by key.

    Args:
        test: of :func:`collected`.
        predictions: by ``model`` and each rival.
        distances: of the authors' test maps, kpc.
        look: begins the name of each measure.
    """
    distance, age, cluster = test["distance"], test["age"], test["cluster"]
    kpc = {who: np.abs(d - distance) for who, (d, _) in predictions.items()}
    gyr = {who: np.abs(a - age) for who, (_, a) in predictions.items()}
    percents = {who: 100 * x / distance for who, x in kpc.items()}
    pairs = {who: np.stack([x, distance], 1) for who, x in kpc.items()}
    binned = {who: by_bin(age, a, AGE_BINS, lambda x, y: np.abs(x - y)) for who, (_, a) in predictions.items()}

    def over_distances(errors: Array) -> float:
        return by_distance(errors[:, 0], errors[:, 1], distances)

    return {
        **over_clusters(f"{look}distance_error_kpc", pairs, over_distances, cluster),
        **over_clusters(f"{look}distance_error_percent", percents, np.mean, cluster),
        **over_clusters(f"{look}age_error_gyr", gyr, np.mean, cluster),
        **over_clusters(f"{look}age_error_binned_gyr", binned, mean_over_bins, cluster),
        **of_model(test, label_z(test), look),
    }


def read_of(test: dict[str, Array]) -> tuple[Array, Array]:
    """Distances and ages that the model read."""
    return test["distance_read"], test["age_read"]


def label_z(test: dict[str, Array]) -> dict[str, Array]:
    """Errors of scaled distance and age over their σ, (n,) each."""
    z = (test["z_true"] - test["z_mean"]) / test["z_sigma"]
    return dict(zip(("distance", "age"), z.T, strict=True))


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


def of_model(test: dict[str, Array], z: dict[str, Array], look: str) -> dict[str, float]:
    """What rivals do not tell: how many errors z are within 1 σ, and how many maps are outside training."""
    cluster = test["cluster"]
    metrics = with_interval(f"test/{look}outside_training_percent", test["outside"], np.mean, cluster)
    for name, x in z.items():
        inside = 100.0 * (np.abs(x) < 1).reshape(len(x), -1).mean(1)
        metrics |= with_interval(f"test/{look}{name}_in_68_percent", inside, np.mean, cluster)
    return metrics


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


def collected(
    model: LitPidocMass | LitPidocAgeDistance, data: ClusterMapsDataModule, look: int = 0
) -> dict[str, Array]:
    """All test maps (float32), labels and clusters (float64) in one of their looks, with the model's answers.

    Nothing where the maps have no such look.
    """
    test = data.splits["test"]
    if look >= test["looks"].shape[1]:
        return {}
    parts = []
    with torch.inference_mode():
        for batch in data.observed("test", look=look):
            seen = [batch[name].to(model.device) for name in ("flux", "statistics")]
            parts.append({**batch, **answers(model, *seen), "outside": flagged_percent(model, seen[1])})
            if isinstance(model, LitPidocAgeDistance):
                parts[-1]["z_true"] = model.net.targets.scale(batch["distance"], batch["age"])
    whole = {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]} | {"cluster": test["cluster"]}
    return {name: (tensor[:, 0] if tensor.ndim == 4 else tensor.double()).numpy() for name, tensor in whole.items()}


def answers(
    model: LitPidocMass | LitPidocAgeDistance, log_flux: torch.Tensor, statistics: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What a network says of maps (B, 1, H, W) with statistics (B, N).

    Returns:
        Log mass of the pixels and its σ, (B, 1, H, W), with that of the field, (B,); or scaled distance and age with
        their σ, (B, 2), and both in kpc and Gyr with the ends of their intervals, (B,).
    """
    if isinstance(model, LitPidocMass):
        mass = model(log_flux, statistics)
        return {"log_mass": mass.pixels.mean, "sigma": mass.pixels.sigma, "field_sigma": mass.field.sigma}
    found = model(log_flux, statistics)
    read = {"z_mean": found.mean, "z_sigma": found.sigma}
    for end, k in (("read", 0), ("low", -1), ("high", 1)):
        read[f"distance_{end}"], read[f"age_{end}"] = model.net.targets.unscale(found.mean + k * found.sigma)
    return read
