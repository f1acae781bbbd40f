"""Numbers of the test maps by key, with intervals over clusters."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.evaluation.common.bootstrap import scored, with_interval
from pipeline.evaluation.common.maps import log_sum
from pipeline.evaluation.common.radial import ring_means, ring_numbers
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


def weighed(test: dict[str, Array]) -> dict[str, Array]:
    """Test maps with log10 of the mass in the field, ``field_true`` and ``field_read``, (n,), and errors over their σ.

    Those are ``z_pixel``, (n, H, W), and ``z_field``, (n,).
    """
    true, read = log_sum(test["mass"]), log_sum(test["log_mass"])
    return test | {
        "field_true": true,
        "field_read": read,
        "z_pixel": (test["mass"] - test["log_mass"]) / test["sigma"],
        "z_field": (true - read) / test["field_sigma"],
    }


def mass_errors(true: Array, predictions: dict[str, Array]) -> dict[str, dict[str, Array]]:
    """Errors of log mass maps (n, H, W), (n,) by measure and by ``model`` and each rival."""
    field, rings = log_sum(true), ring_numbers(true)[1]
    profile = ring_means(10.0**true, rings)
    measures: dict[str, Callable[[Array], Array]] = {
        "pixel_error_percent": lambda p: percent(true, p).mean((1, 2)),
        "pixel_error_dex": lambda p: np.abs(true - p).mean((1, 2)),
        "field_error_percent": lambda p: percent(field, log_sum(p)),
        "ring_error_percent": lambda p: 100 * np.abs(ring_means(10.0**p, rings) / profile - 1).mean(1),
    }
    return {what: {who: measure(p) for who, p in predictions.items()} for what, measure in measures.items()}


def mass_metrics(
    test: dict[str, Array], predictions: dict[str, Array], errors: dict[str, dict[str, Array]], look: str = ""
) -> dict[str, Any]:
    """Numbers of log mass maps (n, H, W) of the model and its rivals, by key.

    Args:
        test: of :func:`weighed`.
        predictions: by ``model`` and each rival.
        errors: of :func:`mass_errors`.
        look: begins the name of each measure.
    """
    true, field = test["mass"], test["field_true"]
    binned: dict[str, Callable[[Array], Array]] = {
        "pixel_error_binned_percent": lambda p: by_bin(true, p, MASS_BINS, percent),
        "field_error_binned_percent": lambda p: by_bin(field, log_sum(p), FIELD_BINS, percent),
    }
    bias = np.abs(bias_curve(true.ravel(), test["log_mass"].ravel(), MASS_BINS)[0])
    metrics = {f"test/{look}pixel_bias_dex": np.nanmean(bias), **of_model(test, ("pixel", "field"), look)}
    for what, values in errors.items():
        metrics |= over_clusters(f"{look}{what}", values, np.mean, test["cluster"])
    for what, measure in binned.items():
        values = {who: measure(p) for who, p in predictions.items()}
        metrics |= over_clusters(f"{look}{what}", values, mean_over_bins, test["cluster"])
    return metrics


def label_metrics(
    test: dict[str, Array], predictions: dict[str, tuple[Array, Array]], distances: Array, look: str = ""
) -> dict[str, Any]:
    """Errors of distances (kpc) and ages (Gyr), (n,) each, of the model and its rivals, by key.

    Args:
        test: of :func:`with_z`.
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
        **of_model(test, ("distance", "age"), look),
    }


def read_of(test: dict[str, Array]) -> tuple[Array, Array]:
    """Distances and ages that the model read."""
    return test["distance_read"], test["age_read"]


def with_z(test: dict[str, Array]) -> dict[str, Array]:
    """Test maps with errors of scaled distance and age over their σ, ``z_distance`` and ``z_age``, (n,)."""
    z = (test["z_true"] - test["z_mean"]) / test["z_sigma"]
    return test | {"z_distance": z[:, 0], "z_age": z[:, 1]}


def of_model(test: dict[str, Array], quantities: Sequence[str], look: str) -> dict[str, float]:
    """What rivals do not tell: how many errors z are within 1 σ, and how many maps are outside training."""
    cluster = test["cluster"]
    metrics = with_interval(f"test/{look}outside_training_percent", test["outside"], np.mean, cluster)
    for name in quantities:
        inside = inside_percent(test[f"z_{name}"])
        metrics |= with_interval(f"test/{look}{name}_in_68_percent", inside, np.mean, cluster)
    return metrics


def inside_percent(z: Array) -> Array:
    """How many of the errors z (n, ...) of each map are within 1 σ, (n,)."""
    return 100.0 * (np.abs(z) < 1).reshape(len(z), -1).mean(1)


def over_clusters(
    what: str, values: dict[str, Array], statistic: Callable[..., Any], cluster: Array
) -> dict[str, float]:
    """A measure of model and rivals from what each map adds to it, with the model's interval over clusters.

    Nothing where the measure is not defined, because no prediction falls into the authors' bins.
    """
    found = scored(what, values, statistic, cluster)
    return {key: value for key, value in found.items() if np.isfinite(value)}
