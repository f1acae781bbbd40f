"""Measures of maps and labels: the authors' own, and plain ones."""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MASS_BINS = np.linspace(-2.0, 1.0, 50)  # log10 Msun per pixel; these three are the authors' own
FIELD_BINS = np.linspace(3.0, 4.5, 20)  # log10 Msun
AGE_BINS = np.linspace(0.0, 14.0, 20)  # Gyr
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
