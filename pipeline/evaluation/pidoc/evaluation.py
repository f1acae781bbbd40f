"""What the two networks of π-DOC are worth beside simple rules."""

from typing import Any

import numpy as np

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.evaluation.common.looks import CLEAN, NOISY, counted
from pipeline.evaluation.common.result import Result, style
from pipeline.evaluation.pidoc.answers import both_looks
from pipeline.evaluation.pidoc.baselines import label_baselines, mass_baselines
from pipeline.evaluation.pidoc.charts import (
    label_charts,
    label_items,
    light_pictures,
    mass_charts,
    mass_items,
    mass_pictures,
)
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
from pipeline.evaluation.pidoc.measures import Array
from pipeline.evaluation.pidoc.scores import label_metrics, mass_errors, mass_metrics, read_of, weighed, with_z
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
PREFIX = {CLEAN: "", NOISY: "noisy/"}  # of keys of metrics


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
    looks = {look: weighed(seen) for look, seen in both_looks(model, data).items()}
    test = looks[CLEAN]
    predictions = {look: {"model": seen["log_mass"]} for look, seen in looks.items()}
    predictions[CLEAN] |= mass_baselines(data, test)
    errors = {look: mass_errors(seen["mass"], predictions[look]) for look, seen in looks.items()}
    metrics: dict[str, Any] = {}
    for look, seen in looks.items():
        metrics |= mass_metrics(seen, predictions[look], errors[look], PREFIX[look])
    charts = mass_charts(looks)
    with style():
        pictures = [
            four_maps(test, distances),
            *([clean_and_noisy(test, looks[NOISY], distances)] if NOISY in looks else []),
            mass_against_mass(test),
            mass_to_light_profiles(test, predictions[CLEAN], distances),
            calibration(charts[-1]),
        ]
    return Result(
        metrics,
        pictures,
        judged_by=counted(test["cluster"]),
        charts=charts,
        items=mass_items(looks, errors),
        thumbnails=mass_pictures(looks),
    )


def evaluate_age_distance(model: LitPidocAgeDistance, data: ClusterMapsDataModule, distances: Array) -> Result:
    """Distances and ages of the test clusters beside a radial regression and the mean of the training clusters."""
    looks = {look: with_z(seen) for look, seen in both_looks(model, data).items()}
    test = looks[CLEAN]
    metrics: dict[str, Any] = {}
    for look, seen in looks.items():
        rivals = label_baselines(data, seen) if look == CLEAN else {}
        metrics |= label_metrics(seen, {"model": read_of(seen), **rivals}, distances, PREFIX[look])
    charts = label_charts(looks)
    with style():
        pictures = [
            labelled_maps(test, distances),
            label_against_label(test),
            distributions(test, distances),
            calibration(charts[-1]),
        ]
    return Result(
        metrics,
        pictures,
        judged_by=counted(test["cluster"]),
        charts=charts,
        items=label_items(looks),
        thumbnails=light_pictures(looks),
    )
