"""The figure of an answer: the map, and a corner plot of the posterior of distance, age, mass and M/L."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from pipeline.evaluation.common.maps import CANNOT_TELL
from pipeline.evaluation.common.observed import show_observation, sign, warn_below
from pipeline.evaluation.common.result import BLUE, RED, Picture, short
from pipeline.inputs.observation import Observation

Array = NDArray[Any]
COLUMNS = {"distance": "distance (kpc)", "age": "age (Gyr)", "field_mass": "log M (M☉)", "mass_to_light": "M/L (M☉/L☉)"}
NAMES = {"field_mass": "mass in the field", "mass_to_light": "M/L"}
BINS = 40
SMOOTHING = 1.2  # bins: draws are few in the wings
PALE = "#b3d5e9"
TRIMMED = 0.005  # of the draws on either side, beyond the axes
CAPTION = (
    "The field that was read, and what is possible: each panel shows two quantities, in regions that hold 68 % and "
    "95 % of the posterior; the diagonal shows each alone, with its median and the ends of its 68 % interval. Pixels "
    "that had no value are blue; what is warned of stands below."
)


def own_cluster(name: str, seen: Observation, drawn: dict[str, Tensor], metrics: dict[str, Any]) -> Picture:
    """The map given, and the corner plot."""
    figure = plt.figure(figsize=(8.6, 8.6))
    axes = figure.subplots(len(COLUMNS), len(COLUMNS), sharex="col")
    values = {key: drawn[key].numpy() for key in COLUMNS}
    values["field_mass"] = np.log10(values["field_mass"])
    corner(axes, values, metrics)
    grid = axes[0, 0].get_gridspec()
    for axis in axes[:2, 2:].flat:
        axis.remove()
    map_axis = figure.add_subplot(grid[:2, 2:])
    low, high = np.quantile(seen.log_flux, [0.005, 0.995])
    image = show_observation(map_axis, seen, cmap="inferno", vmin=low, vmax=high)
    figure.colorbar(image, ax=map_axis, label="log F (L☉ kpc⁻²)", shrink=0.85)
    colour = RED if metrics["outside_training"] else "black"
    figure.suptitle(f"{name}\n{heading(metrics)}", fontsize=10, color=colour)
    warn_below(figure, metrics["warnings"])
    return Picture("posterior", CAPTION, figure)


def heading(metrics: dict[str, Any]) -> str:
    """What the picture is of."""
    known = [f"{name} {x['mean']:g} ± {x['error']:g} {x['unit']}" for name, x in metrics["known"].items()]
    what = CANNOT_TELL if metrics["outside_training"] else "posterior of the map"
    return what + (f", with {' and '.join(known)} known" if known else "")


def corner(axes: Any, values: dict[str, Array], metrics: dict[str, Any]) -> None:
    """Each quantity alone on the diagonal, each pair below it; the upper triangle stays empty."""
    limits = {key: np.quantile(x, [TRIMMED, 1 - TRIMMED]) for key, x in values.items()}
    for row, below in enumerate(COLUMNS):
        for column, along in enumerate(COLUMNS):
            axis = axes[row, column]
            if column > row:
                axis.set_visible(False)
            elif column == row:
                alone(axis, values[along], metrics[along], along)
            else:
                pair(axis, values[along], values[below], [limits[along], limits[below]])
                axis.set_ylim(*limits[below])
            axis.set_xlim(*limits[along])
            axis.tick_params(labelsize=8, labelleft=0 == column < row)
        axes[-1, row].set_xlabel(COLUMNS[below], fontsize=9)
        if row:
            axes[row, 0].set_ylabel(COLUMNS[below], fontsize=9)


def alone(axis: Axes, x: Array, stated: dict[str, Any], key: str) -> None:
    """Histogram of a quantity, with its median and 68 % interval."""
    axis.hist(x, BINS, range=tuple(np.quantile(x, [TRIMMED, 1 - TRIMMED])), color=BLUE, alpha=0.5)
    ends = [stated[end] for end in ("low", "value", "high")]
    for end, line in zip(np.log10(ends) if key == "field_mass" else ends, (":", "-", ":"), strict=True):
        axis.axvline(end, color="black", lw=1, ls=line)
    low, value, high = (short(end) for end in ends)
    axis.set_title(f"{NAMES.get(key, key)}\n{value} ({low}–{high}) {sign(stated['unit'])}", fontsize=8)
    axis.set_yticks([])


def pair(axis: Axes, x: Array, y: Array, limits: list[Array]) -> None:
    """Regions that hold 68 and 95 % of the draws of two quantities, by a smoothed histogram."""
    counts, x_edges, y_edges = np.histogram2d(x, y, BINS, range=limits)
    density = gaussian_filter(counts, SMOOTHING, mode="nearest")
    ordered = np.sort(density.ravel())[::-1]
    held = ordered.cumsum() / ordered.sum()
    edges = [ordered[np.searchsorted(held, content)] for content in (0.95, 0.68)]
    middles = [(e[1:] + e[:-1]) / 2 for e in (x_edges, y_edges)]
    axis.contourf(*middles, density.T, [*edges, density.max() * 1.001], colors=[PALE, BLUE], alpha=0.8)
