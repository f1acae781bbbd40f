"""Figures of the spectral domain: a field as a graph, its eigenvectors, spectra, and the filters that were learned."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from pipeline.evaluation.common.panels import WIDTH
from pipeline.evaluation.common.result import BLUE, GREY, ORANGE, RED
from pipeline.evaluation.spectral.fields import Array, Fields, adjacency
from pipeline.evaluation.spectral.figures import PALE, sky, stars

FILTERS = 12  # drawn of a layer, the strongest
STRONG = 0.02  # of the largest weight: an edge that is drawn


def graph_figure(fields: Fields, field: int) -> Figure:
    """The graph of a field, its eigenvalues, and eigenvectors from low to high frequency as colours of the stars."""
    eigenvalues, basis = fields.eigenvalues[field], fields.basis[field]
    n = len(eigenvalues)
    chosen = (1, 4, n // 8, n - 1)
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 0.68 * WIDTH))
    graph, spectrum, *waves = axes.ravel()
    draw_graph(graph, fields.position[field], adjacency(eigenvalues, basis), fields.member[field] > 0)
    spectrum.plot(np.arange(n), eigenvalues, color=GREY)
    spectrum.plot(chosen, eigenvalues[list(chosen)], "o", color=RED)
    spectrum.set(xlabel="number k", ylabel="eigenvalue λ, the frequency", title="its eigenvalues")
    for axis, k in zip(waves, chosen, strict=True):
        wave = basis[:, k] / np.abs(basis[:, k]).max()
        look = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1, "edgecolors": GREY, "lw": 0.3}
        stars(axis, fields.position[field], 22, wave, **look)
        axis.set_title(f"eigenvector {k}, λ = {eigenvalues[k]:.2f}")
    for axis in (graph, *waves):
        sky(axis)
    return figure


def draw_graph(axis: Axes, position: Array, weight: Array, member: Array) -> None:
    """Edges, the heavier the thicker, and stars, members blue."""
    first, second = np.nonzero(np.triu(weight, 1) > STRONG * weight.max())
    strength = weight[first, second] / weight.max()
    ends = list(np.stack([position[first], position[second]], 1))
    lines = LineCollection(ends, linewidths=0.3 + strength, colors=GREY)
    axis.add_collection(lines)
    stars(axis, position, 14, np.where(member, BLUE, PALE), zorder=3)
    axis.set_title("the field as a graph")


def power(signal: Array, basis: Array) -> Array:
    """Share of the power of signals (fields, n) at each frequency, mean over the fields, (n,).

    The mean of each signal is taken away first.
    """
    spectrum = np.square(np.einsum("fnk,fn->fk", basis, signal - signal.mean(1, keepdims=True)))
    return (spectrum / spectrum.sum(1, keepdims=True)).mean(0)


def filter_figure(eigenvalues: Array, spectra: Mapping[str, Array], layers: Sequence[Array]) -> Figure:
    """Mean spectra of signals, and below them the filters of each layer, over the frequency.

    Args:
        eigenvalues: mean over the fields, (n,).
        spectra: shares of power by name, (n,) each.
        layers: ŵ(λ) of each, (n, in, out).
    """
    figure = plt.figure(figsize=(WIDTH, 5.2))
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    axis = above.subplots()
    for (name, share), colour in zip(spectra.items(), (BLUE, ORANGE, GREY), strict=False):
        axis.plot(*binned(eigenvalues, share), "o-", ms=3, color=colour, label=name)
    axis.set(yscale="log", ylabel="share of the power", title="Which frequencies does it take to draw a cluster?")
    axis.legend()
    for number, (axis, response) in enumerate(
        zip(below.subplots(1, len(layers), squeeze=False)[0], layers, strict=True), 1
    ):
        draw_filters(axis, eigenvalues, response)
        axis.set_title(f"filters of layer {number}")
    below.supxlabel("eigenvalue λ, the frequency on the graph", fontsize=10)
    return figure


def draw_filters(axis: Axes, eigenvalues: Array, response: Array) -> None:
    """The strongest of the filters of a layer, (n, in, out), and the root of the mean square of all."""
    curves = response.reshape(len(eigenvalues), -1).T
    strongest = np.argsort(-np.square(curves).sum(1))[:FILTERS]
    axis.plot(eigenvalues, curves[strongest].T, color=BLUE, lw=0.8, alpha=0.5)
    axis.plot(eigenvalues, np.sqrt(np.square(curves).mean(0)), color=RED, lw=2.5)
    axis.axhline(0, color="black", lw=0.6)


def binned(x: Array, y: Array, points: int = 32) -> tuple[Array, Array]:
    """Means of neighbouring points."""
    groups = np.array_split(np.arange(len(x)), min(points, len(x)))
    return np.array([x[rows].mean() for rows in groups]), np.array([y[rows].mean() for rows in groups])
