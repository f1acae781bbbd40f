"""What the two networks of π-DOC are worth beside simple rules."""

import numpy as np

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.evaluation.common.result import Result, style
from pipeline.evaluation.pidoc.answers import collected
from pipeline.evaluation.pidoc.baselines import label_baselines, mass_baselines
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
from pipeline.evaluation.pidoc.scores import label_metrics, label_z, mass_metrics, mass_z, read_of
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
