"""Measures of maps and labels: the authors' own, plain ones, radial profiles and a ridge regression."""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.simulation.clusters.telescope import PIXEL

Array = NDArray[Any]

MASS_BINS = np.linspace(-2.0, 1.0, 50)  # log10 Msun per pixel; these three are the authors' own
FIELD_BINS = np.linspace(3.0, 4.5, 20)  # log10 Msun
AGE_BINS = np.linspace(0.0, 14.0, 20)  # Gyr
RINGS = np.array([0.0, 2, 4, 6, 8, 10, 12, 14, 17, 20])  # arcsec, around the centre of light or mass
RING_MIDDLES = 0.5 * (RINGS[1:] + RINGS[:-1])
LEVELS = np.linspace(0.05, 0.95, 19)  # nominal contents of intervals


def percent(true: Array, estimate: Array) -> Array:
    """100 |10^true - 10^estimate| / 10^true of logarithms."""
    return 100 * np.abs(1 - 10 ** (estimate - true))


def binned_error(true: Array, predicted: Array, edges: Array, error: Callable[[Array, Array], Array]) -> float:
    """The authors' error: in each bin of the prediction the mean error of its centre, then the plain mean over bins.

    Predictions outside the bins are left out; NaN where all are.
    """
    centres = 0.5 * (edges[1:] + edges[:-1])
    bins = np.digitize(predicted, edges) - 1
    inside = (bins >= 0) & (bins < len(centres))
    bins = bins[inside]
    counts = np.bincount(bins, minlength=len(centres))
    sums = np.bincount(bins, error(true[inside], centres[bins]), len(centres))
    return float((sums[counts > 0] / counts[counts > 0]).mean()) if len(bins) else np.nan


def bias_curve(values: Array, by: Array, edges: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of ``values`` minus the centre of the bin that ``by`` falls into; NaN where empty."""
    centres = 0.5 * (edges[1:] + edges[:-1])
    bins = np.digitize(by, edges) - 1
    inside = (bins >= 0) & (bins < len(centres))
    bins = bins[inside]
    offsets = values[inside] - centres[bins]
    counts = np.bincount(bins, minlength=len(centres))
    with np.errstate(invalid="ignore"):
        mean, square = (np.bincount(bins, x, len(centres)) / counts for x in (offsets, offsets**2))
    return mean, np.sqrt(np.maximum(square - mean**2, 0))


def by_distance(errors: Array, distance: Array, distances: Array) -> float:
    """Mean over the authors' distances of the mean error of the maps nearest to each."""
    nearest = np.abs(np.log(distance[:, None] / distances)).argmin(1)
    return float(np.mean([errors[nearest == k].mean() for k in np.unique(nearest)]))


def coverage(z: Array) -> Array:
    """Share of normalised errors inside the central Gaussian interval of each nominal content."""
    return np.array([(np.abs(z) < NormalDist().inv_cdf(0.5 + level / 2)).mean() for level in LEVELS])


def log_sum(log_maps: Array) -> Array:
    """log10 of the sum of each map, (..., H, W) -> (...)."""
    return np.log10((10.0**log_maps).sum((-2, -1)))


def log_luminosity(log_flux: Array, distance: Array) -> Array:
    """log10 L/Lsun of each pixel from its log10 flux, F = L / (4π D²), D in kpc."""
    return log_flux + np.log10(4 * np.pi * distance**2)[..., None, None]


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


def ridge(x: Array, y: Array) -> Callable[[Array], Array]:
    """Linear regression on standardised features with a unit penalty."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = (x - mean) / scale
    weights = np.linalg.solve(z.T @ z + np.eye(z.shape[1]), z.T @ (y - y.mean(0)))
    return lambda new: y.mean(0) + (new - mean) / scale @ weights
