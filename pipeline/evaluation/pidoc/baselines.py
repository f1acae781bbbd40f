"""Simple rules for masses, distances and ages, learned from the training clusters: the rivals of π-DOC."""

from collections.abc import Iterator

import numpy as np

from datamodules.cluster_maps import ClusterMapsDataModule
from pipeline.evaluation.common.maps import log_luminosity, log_sum
from pipeline.evaluation.common.radial import (
    RING_MIDDLES,
    RINGS,
    TRAINING_MAPS,
    radial_features,
    ridge,
    ring_means,
)
from pipeline.evaluation.pidoc.measures import Array


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


def training_maps(data: ClusterMapsDataModule, *names: str) -> Iterator[tuple[Array, ...]]:
    """Maps (n, H, W) and labels (n,) of at most ``TRAINING_MAPS`` training clusters, evenly chosen, some at a time."""
    every = -(-len(data.splits["train"]["age"]) // TRAINING_MAPS)
    for batch in data.observed("train", every=every):
        yield tuple((batch[name][:, 0] if batch[name].ndim == 4 else batch[name].double()).numpy() for name in names)
