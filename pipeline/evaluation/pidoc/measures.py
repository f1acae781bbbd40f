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
ONE_SIGMA = NormalDist().cdf(1) - NormalDist().cdf(-1)  # content of the 68 % interval
LEVELS = np.sort([*np.linspace(0.05, 0.95, 19), ONE_SIGMA])  # nominal contents of intervals


def percent(true: Array, estimate: Array) -> Array:
    """100 |10^true - 10^estimate| / 10^true of logarithms."""
    return 100 * np.abs(1 - 10 ** (estimate - true))


def binned_error(true: Array, predicted: Array, edges: Array, error: Callable[[Array, Array], Array]) -> float:
    """The authors' error: in each bin of the prediction the mean error of its centre, then the plain mean over bins.

    Predictions outside the bins are left out; NaN where all are.
    """
    return mean_over_bins(by_bin(true.ravel()[None], predicted.ravel()[None], edges, error))


def by_bin(true: Array, predicted: Array, edges: Array, error: Callable[[Array, Array], Array]) -> Array:
    """What :func:`binned_error` averages, of each map: number and summed error of the predictions in each bin.

    Args:
        true: of each map, (n, ...).
        predicted: likewise.
        edges: of the bins, (bins + 1,).
        error: of true values and the centres of the bins that the predictions fall into.

    Returns:
        (n, bins, 2).
    """
    n, centres = len(true), 0.5 * (edges[1:] + edges[:-1])
    bins = np.digitize(predicted.reshape(n, -1), edges) - 1
    inside = (bins >= 0) & (bins < len(centres))
    row = np.broadcast_to(np.arange(n)[:, None], bins.shape)[inside]
    bins = bins[inside]
    key, size = row * len(centres) + bins, n * len(centres)
    counts = np.bincount(key, minlength=size)
    sums = np.bincount(key, error(true.reshape(n, -1)[inside], centres[bins]), size)
    return np.stack([counts, sums], 1).reshape(n, len(centres), 2)


def mean_over_bins(binned: Array) -> float:
    """The authors' error from :func:`by_bin` of some maps; NaN where no prediction fell into a bin."""
    counts, sums = binned.sum(0).T
    filled = counts > 0
    return float((sums[filled] / counts[filled]).mean()) if filled.any() else np.nan


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
