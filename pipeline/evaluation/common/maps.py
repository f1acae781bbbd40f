"""Flux and mass maps: drawn in arcsec, and compared with those of the training."""

from functools import reduce
from operator import or_
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pipeline.simulation.clusters.telescope import PIXEL

Array = NDArray[Any]
CANNOT_TELL = "outside what it was trained on: it cannot tell"
EXTRAPOLATED = "the answers are extrapolations"
UNKNOWN = "distance, age and mass cannot be told from it"
PIXELS = 160  # of a side of a map
WIDE = 1.01  # times the widest stars of training; less is but rounding
KEEP = 0.98  # of the calibration clusters: within what counts as the training
FAR = f"{{:.1f}} times the Mahalanobis distance that {100 * KEEP:.0f} % of mock clusters keep"
LEAST_SIGNAL = 5.0  # light of the field over its noise: one mock cluster in a thousand has less


def show_map(axis: Axes, values: Any, **look: Any) -> Any:
    """An image (size, size) with its centre at the origin of axes in arcsec."""
    axis.grid(False)
    half = PIXEL * len(values) / 2
    return axis.imshow(values, origin="lower", extent=(-half, half, -half, half), **look)


def outside_training(model: Any, statistics: Any) -> list[str]:
    """One line where a map is unlike all that a network was trained on, with the reasons; else nothing.

    Args:
        model: a ``MapReader``.
        statistics: of one map, and of what its zero point leaves open, (n, N); see ``map_statistics``.
    """
    distance = model.training_space(statistics).median()
    known = statistics[:, -3:].median(0).values
    found = [reason.format(float(distance)) for reason, true in reasons(model, distance, known).items() if true]
    return [f"unlike every map of the training: {', '.join(found)}; {UNKNOWN}"] if found else []


def flagged_percent(model: Any, statistics: Any) -> Any:
    """100 for each map of which :func:`outside_training` tells something, else 0, (n,), from statistics (n, N)."""
    flags = reasons(model, model.training_space(statistics), statistics[:, -3:])
    return 100.0 * reduce(or_, flags.values())


def reasons(model: Any, distance: Any, known: Any) -> dict[str, Any]:
    """Why maps may be unlike those of the training, and of which of them it is true, (...).

    Args:
        model: a ``MapReader``.
        distance: of each map in its ``training_space``, (...); the first reason has a place for it.
        known: log10 of the light in the field, width of the PSF and log10 of the noise of each, (..., 3).
    """
    log_light, psf_sigma, log_noise = known.unbind(-1)
    return {
        f"its statistics lie at {FAR}": distance > 1,
        "its stars are wider than in any": psf_sigma > WIDE * float(model.psf_range[1]),
        "it is noisier than any": log_noise > float(model.noise_range[1]),
        "its light drowns in the noise": 10 ** (log_light - log_noise) / PIXELS < LEAST_SIGNAL,
    }


def log_sum(log_maps: Array) -> Array:
    """log10 of the sum of each map, (..., H, W) -> (...)."""
    return np.log10((10.0**log_maps).sum((-2, -1)))


def log_luminosity(log_flux: Array, distance: Array) -> Array:
    """log10 L/Lsun of each pixel from its log10 flux, F = L / (4π D²), D in kpc."""
    return log_flux + np.log10(4 * np.pi * distance**2)[..., None, None]
