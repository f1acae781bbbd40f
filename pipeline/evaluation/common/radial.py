"""Radial profiles of maps, and a ridge regression on them: the rival of every reader of maps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.simulation.clusters.telescope import PIXEL

Array = NDArray[Any]

TRAINING_MAPS = 3000  # at most, evenly chosen, to which a rule is fitted: it has few numbers
RINGS = np.array([0.0, 2, 4, 6, 8, 10, 12, 14, 17, 20])  # arcsec, around the centre of light or mass
RING_MIDDLES = 0.5 * (RINGS[1:] + RINGS[:-1])


def ring_numbers(log_maps: Array) -> tuple[Array, Array]:
    """Radius in arcsec of each pixel from the map's centre, and the number of its ring.

    The centre weighs pixels by the square root of their light or mass: a few giants hold most light.
    """
    weight = 10.0 ** (0.5 * log_maps)
    y, x = PIXEL * np.indices(log_maps.shape[1:], dtype=log_maps.dtype)
    total = weight.sum((1, 2))
    centre_y, centre_x = ((weight * axis).sum((1, 2)) / total for axis in (y, x))
    radius = np.hypot(y - centre_y[:, None, None], x - centre_x[:, None, None])
    return radius, np.digitize(radius, RINGS) - 1


def ring_means(maps: Array, rings: Array) -> Array:
    """Mean over the pixels of each ring, (n, H, W) -> (n, rings)."""
    n, k = len(maps), len(RINGS)  # the last takes what lies outside
    key = (rings + k * np.arange(n)[:, None, None]).ravel()
    sums = np.bincount(key, maps.ravel(), n * k).reshape(n, k)
    return sums[:, :-1] / np.bincount(key, minlength=n * k).reshape(n, k)[:, :-1]


def radial_features(log_flux: Array) -> tuple[Array, Array]:
    """Mean and scatter of log flux in each ring, (n, 2 rings), and the radius of each pixel."""
    radius, rings = ring_numbers(log_flux)
    mean = ring_means(log_flux, rings)
    scatter = np.sqrt(np.maximum(ring_means(log_flux**2, rings) - mean**2, 0))
    return np.concatenate([mean, scatter], 1), radius


def ridge(x: Array, y: Array) -> Pipeline:
    """Linear regression of y (n, targets) on standardised features x (n, features) with a unit penalty, fitted."""
    return make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(x, y)
