"""Posteriors that need no network: Gaussians around the mean label, and around a ridge regression."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from torch import Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.map_energy import LOG_LIGHT
from pipeline.evaluation.common.radial import TRAINING_MAPS, radial_features
from pipeline.evaluation.ebm.draws import quantities
from pipeline.evaluation.ebm.measures import Array, Posteriors, box_points, posteriors_of

PENALTIES = (1e1, 1e2, 1e3, 1e4)  # of the ridge, chosen by leaving training maps out
NARROWEST = 1e-4  # of a Gaussian, in the unit box: maps of one age or one distance have no spread
QUANTILES = np.linspace(0.05, 0.95, 10)  # of a map's log flux


class Rival(NamedTuple):
    """What a simple method says of the test maps.

    Attributes:
        points: distance, age, field_mass and mass_to_light, (maps,) each.
        posterior: of distance and age.
    """

    points: dict[str, Tensor]
    posterior: Posteriors


def rivals(model: LitEBM, data: ClusterMapsDataModule, look: int, nodes: int) -> dict[str, Rival]:
    """Quadratic ridge regression and the mean of the labels, of the test maps in a look."""
    read = ridge_points(model, data, look)
    train, test = (box_points(model, data.splits[split]) for split in ("train", "test"))
    answers = {
        "radial_ridge": (read["test"], (box_points(model, data.splits["val"]) - read["val"])),
        "gaussian_of_labels": (train.mean(0).expand_as(test), train - train.mean(0)),
    }
    log_light = data.splits["test"]["statistics"][:, look, LOG_LIGHT].float()
    found = {}
    for name, (points, residuals) in answers.items():
        of_points = {key: value[:, 0] for key, value in quantities(model, points[:, None], log_light).items()}
        found[name] = Rival(of_points, gaussian_posteriors(points[:, :2], residuals[:, :2], test[:, :2], nodes))
    return found


def gaussian_posteriors(mean: Tensor, residuals: Tensor, y: Tensor, nodes: int) -> Posteriors:
    """Gaussians around (maps or 1, 2) means with the covariance of residuals: quadratic energies."""
    covariance = torch.cov(residuals.T) + NARROWEST**2 * torch.eye(2)
    precision = torch.linalg.inv(covariance)

    def energy(at: Tensor) -> Tensor:
        offset = at - mean.expand_as(y)[:, None]
        return 0.5 * torch.einsum("mni,ij,mnj->mn", offset, precision, offset)

    return posteriors_of(energy, y, nodes)


def ridge_points(model: LitEBM, data: ClusterMapsDataModule, look: int) -> dict[str, Tensor]:
    """Distance, age and mass, see ``box_points``, of validation and test maps by a quadratic ridge regression.

    It sees radial profiles and brightness quantiles of maps in the same look, their PSF and their noise.
    """
    train = data.splits["train"]
    every = {"train": -(-len(train["age"]) // TRAINING_MAPS), "val": 1, "test": 1}
    x = {split: observed_features(data, split, look, step) for split, step in every.items()}
    ridge = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), RidgeCV(PENALTIES))
    ridge.fit(x["train"], box_points(model, train)[:: every["train"]].double().numpy())
    return {split: torch.from_numpy(ridge.predict(x[split])).float() for split in ("val", "test")}


def observed_features(data: ClusterMapsDataModule, split: str, look: int, every: int) -> Array:
    """``features`` of the maps of a split in a look, with what an observer knows of it."""
    known = data.splits[split]["statistics"][::every, look, LOG_LIGHT + 1 :].double().numpy()
    return np.concatenate([np.concatenate([features(b["flux"]) for b in data.observed(split, look, every)]), known], 1)


def features(flux: Tensor) -> Array:
    """Mean and scatter of log flux in rings around the centre of light, and its quantiles, (maps, features)."""
    log_flux = flux[:, 0].double().numpy()
    quantiles = np.quantile(log_flux.reshape(len(log_flux), -1), QUANTILES, axis=1).T
    return np.concatenate([radial_features(log_flux)[0], quantiles], 1)
