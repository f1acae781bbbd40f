"""Flux and mass maps: drawn in arcsec, and compared with those of the training."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pipeline.simulation.clusters.telescope import PIXEL

Array = NDArray[Any]
EXTRAPOLATED = "the answers are extrapolations"


def show_map(axis: Axes, values: Any, **look: Any) -> Any:
    """An image (size, size) with its centre at the origin of axes in arcsec."""
    axis.grid(False)
    half = PIXEL * len(values) / 2
    return axis.imshow(values, origin="lower", extent=(-half, half, -half, half), **look)


def outside_training(flux_range: Any, log_flux: Any) -> list[str]:
    """Where the mean and spread of a map's log flux lie outside those of all training maps.

    Args:
        flux_range: lowest and highest mean (first row) and standard deviation (second row) of a training map.
        log_flux: log10 F/(Lsun kpc⁻²), (size, size).
    """
    found = {"mean": float(log_flux.mean()), "standard deviation": float(log_flux.std())}
    return [
        f"the {name} of log flux, {value:.2f}, is outside the training maps' {low:.2f} to {high:.2f}: {EXTRAPOLATED}"
        for (name, value), (low, high) in zip(found.items(), flux_range.tolist(), strict=True)
        if not low <= value <= high
    ]


def log_sum(log_maps: Array) -> Array:
    """log10 of the sum of each map, (..., H, W) -> (...)."""
    return np.log10((10.0**log_maps).sum((-2, -1)))


def log_luminosity(log_flux: Array, distance: Array) -> Array:
    """log10 L/Lsun of each pixel from its log10 flux, F = L / (4π D²), D in kpc."""
    return log_flux + np.log10(4 * np.pi * distance**2)[..., None, None]
