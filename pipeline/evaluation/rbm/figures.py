"""Pictures of what a restricted machine recognises and invents."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine
from pipeline.evaluation.common.panels import WIDTH, bare, mosaic, picture_rows
from pipeline.evaluation.common.pictures import tiles
from pipeline.evaluation.common.surprise import COLOURS
from pipeline.evaluation.common.two_sample import (
    CONTRASTS,
    Array,
    nearest,
    power_spectrum,
    radial_profile,
    star_counts,
)

FILTERS = 60  # hidden units shown, at most


def squares(pixels: Tensor) -> Array:
    """Grey pictures (n, pixels) as (n, size, size)."""
    return tiles(pixels, round(pixels.shape[1] ** 0.5)).cpu().numpy()


def rows_of(rows: Mapping[str, Tensor], title: str, columns: Sequence[str] = ()) -> Figure:
    """A row of pictures, (n, pixels), for each label."""
    return picture_rows({label: squares(pixels) for label, pixels in rows.items()}, title, columns)


def beside_nearest(rows: Mapping[str, Tensor], memory: Tensor, title: str) -> Figure:
    """The same, and below the last row the training picture nearest to each, with its distance.

    Args:
        rows: label to pictures, (n, pixels); the last one is compared.
        memory: pictures of the training, (m, pixels).
        title: of the figure.
    """
    last = list(rows.values())[-1]
    number, distance = nearest(last.cpu().numpy(), memory.cpu().numpy())
    figure = rows_of({**rows, "nearest\noriginal": memory[number]}, title)
    for axis, apart in zip(figure.axes[-len(last) :], distance, strict=True):
        axis.set_xlabel(f"{apart:.2f}", labelpad=1)
    return figure


def filter_figure(net: RestrictedBoltzmannMachine) -> Figure:
    """The weights of the hidden units that have the largest ones, mean over the levels of a pixel."""
    weight = net.grey(net.weight.T)
    filters = squares(weight[weight.norm(dim=1).argsort(descending=True)][:FILTERS])
    columns = int(np.ceil(1.25 * len(filters) ** 0.5))
    picture = mosaic(filters, columns, gap=2, fill=np.nan)
    figure, axis = plt.subplots(figsize=(WIDTH, 0.85 * WIDTH * len(picture) / picture.shape[1] + 0.5))
    limit = float(np.quantile(np.abs(filters), 0.995))
    image = axis.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="antialiased")
    of_all = "" if len(filters) == len(weight) else f" strongest of {len(weight)}"
    axis.set_title(f"What the {len(filters)}{of_all} hidden units look at")
    bare(axis)
    figure.colorbar(image, ax=axis, shrink=0.8, label="weight w (nats)")
    return figure


def likeness_figure(kinds: Mapping[str, Array]) -> Figure:
    """Radial profile, power spectrum and star counts of four kinds of pictures, (n, size, size): median, spread."""
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 3.1))
    for name, pictures in kinds.items():
        colour = COLOURS[name]
        for axis, values in zip(
            axes, (radial_profile(pictures), power_spectrum(pictures), star_counts(pictures)), strict=True
        ):
            place = CONTRASTS if axis is axes[2] else (np.arange(values.shape[1]) + 0.5) / values.shape[1]
            low, middle, high = np.quantile(values, [0.16, 0.5, 0.84], axis=0)
            axis.fill_between(place, low, high, color=colour, alpha=0.15, lw=0)
            axis.plot(place, middle, color=colour, label=name, lw=2)
    axes[0].set(title="Radial profile", xlabel="radius (half-pictures)", ylabel="grey")
    axes[1].set(title="Power spectrum", xlabel="frequency (of the highest)", ylabel="power (grey²)", yscale="log")
    axes[2].set(title="Stars in a picture", xlabel="brighter than around by (grey)", ylabel="number")
    axes[2].set_ylim(bottom=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
