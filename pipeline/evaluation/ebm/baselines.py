"""Posteriors that need no network: Gaussians around the mean label, and around a ridge regression."""

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from torch import Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.ebm import LitEBM
from pipeline.evaluation.common.radial import TRAINING_MAPS, radial_features
from pipeline.evaluation.ebm.measures import Array, Posteriors, posteriors_of, truth

PENALTIES = (1e1, 1e2, 1e3, 1e4)  # of the ridge, chosen by leaving training maps out
NARROWEST = 1e-4  # of a Gaussian, in the unit box: maps of one age or one distance have no spread
QUANTILES = np.linspace(0.05, 0.95, 10)  # of a map's log flux


def gaussian_posteriors(mean: Tensor, residuals: Tensor, y: Tensor, nodes: int) -> Posteriors:
    """Gaussians around (maps or 1, 2) means with the covariance of residuals: quadratic energies."""
    covariance = torch.cov(residuals.T) + NARROWEST**2 * torch.eye(2)
    precision = torch.linalg.inv(covariance)

    def energy(at: Tensor) -> Tensor:
        offset = at - mean.expand_as(y)[:, None]
        return 0.5 * torch.einsum("mni,ij,mnj->mn", offset, precision, offset)

    return posteriors_of(energy, y, nodes)


def label_posteriors(model: LitEBM, data: ClusterMapsDataModule, nodes: int) -> tuple[Tensor, Posteriors]:
    """The Gaussian of the training labels, whatever the map; and its mean for each test map."""
    labels, y = truth(model, data, "train"), truth(model, data, "test")
    mean = labels.mean(0).expand_as(y)
    return mean, gaussian_posteriors(mean, labels - labels.mean(0), y, nodes)


def ridge_posteriors(model: LitEBM, data: ClusterMapsDataModule, nodes: int) -> tuple[Tensor, Posteriors]:
    """Quadratic ridge regression on radial profiles and brightness quantiles, with the residuals of validation maps."""
    every = {"train": -(-len(data.splits["train"]["age"]) // TRAINING_MAPS), "val": 1, "test": 1}
    x = {
        split: np.concatenate([features(batch["flux"]) for batch in data.observed(split, every=step)])
        for split, step in every.items()
    }
    ridge = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), RidgeCV(PENALTIES))
    ridge.fit(x["train"], truth(model, data, "train")[:: every["train"]].double().numpy())
    held_out, predicted = (torch.from_numpy(ridge.predict(x[split])).float() for split in ("val", "test"))
    residuals = truth(model, data, "val") - held_out
    return predicted, gaussian_posteriors(predicted, residuals, truth(model, data, "test"), nodes)


def features(flux: Tensor) -> Array:
    """Mean and scatter of log flux in rings around the centre of light, and its quantiles, (maps, features)."""
    log_flux = flux[:, 0].double().numpy()
    quantiles = np.quantile(log_flux.reshape(len(log_flux), -1), QUANTILES, axis=1).T
    return np.concatenate([radial_features(log_flux)[0], quantiles], 1)
