"""Figures of fields of stars: who belongs to the cluster, what the network says, and how well it says so."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_curve

from pipeline.evaluation.common.panels import WIDTH
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, PURPLE, RED
from pipeline.evaluation.spectral.fields import THRESHOLD, Array, Fields

BINS = 10  # of stated probabilities
PALE = "#d3d6da"  # stars of the Milky Way
MEMBERSHIP = LinearSegmentedColormap.from_list("membership", [PALE, ORANGE, BLUE])
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)  # of the network and its rivals


def field_figure(fields: Fields, shown: Sequence[int], headings: Sequence[str]) -> Figure:
    """A row for each field: true members, probabilities, hits and misses on the sky, and by colour and magnitude.

    Args:
        fields: held-out ones.
        shown: rows of them.
        headings: what to write beside each.
    """
    figure, axes = plt.subplots(len(shown), 4, figsize=(WIDTH, 2.0 * len(shown) + 1.1), squeeze=False)
    for row, field, heading in zip(axes, shown, headings, strict=True):
        position, member = fields.position[field], fields.member[field] > 0
        probability, dots = fields.probability["model"][field], sizes(fields.magnitude[field])
        stars(row[0], position, dots, np.where(member, BLUE, PALE))
        image = stars(row[1], position, dots, probability, cmap=MEMBERSHIP, vmin=0, vmax=1)
        outcomes(row[2], position, dots, member, probability)
        outcomes(row[3], np.stack([fields.colour[field], fields.magnitude[field]], -1), dots, member, probability)
        for axis in row[:3]:
            sky(axis)
        row[0].set_ylabel(heading)
        row[3].invert_yaxis()
        row[3].set(ylabel="V, the faintest 0 (mag)", box_aspect=1)
        row[3].tick_params(labelsize=8)
    for axis, title in zip(axes[0], ("the cluster", "the network", "hits and misses", "their colours"), strict=True):
        axis.set_title(title)
    axes[-1, 3].set_xlabel("B - V (mag)")
    figure.colorbar(image, ax=axes, location="bottom", label="probability of membership", aspect=50, shrink=0.6)
    figure.legend(handles=legend(), loc="outside lower center", ncols=4, fontsize=9, columnspacing=1.2)
    return figure


def stars(axis: Axes, place: Array, size: Any, colour: Any, **look: Any) -> PathCollection:
    """Dots at places (n, 2) with areas and colours of their own."""
    return axis.scatter(place[:, 0], place[:, 1], s=size, c=colour, **{"lw": 0, **look})


def sky(axis: Axes) -> None:
    """A square of sky, framed, with no numbers."""
    axis.set(xticks=[], yticks=[], box_aspect=1)
    axis.spines[:].set(visible=True, color=PALE)


def sizes(magnitude: Array) -> Array:
    """Areas of dots: the brighter a star, the larger."""
    return np.interp(magnitude.max() - magnitude, [0, 5], [7, 45])


def outcomes(axis: Axes, place: Array, dots: Array, member: NDArray[np.bool_], probability: Array) -> None:
    """Stars by what became of them: members found and missed, stars of the field called members, and the rest."""
    called = probability >= THRESHOLD
    field, missed, false, found = ~member & ~called, member & ~called, ~member & called, member & called
    stars(axis, place[field], dots[field], PALE)
    stars(axis, place[found], dots[found], GREEN)
    stars(axis, place[missed], dots[missed] + 8, "none", edgecolors=BLUE, lw=1.2)
    stars(axis, place[false], dots[false] + 8, RED, marker="x", lw=1.2)


def legend() -> list[plt.Line2D]:
    """What the signs of :func:`outcomes` mean."""
    return [
        plt.Line2D([], [], color=GREEN, marker="o", ls="", label="member, found"),
        plt.Line2D([], [], color=BLUE, marker="o", mfc="none", ls="", label="member, missed"),
        plt.Line2D([], [], color=RED, marker="x", ls="", label="called a member, is none"),
        plt.Line2D([], [], color=PALE, marker="o", ls="", label="star of the Milky Way"),
    ]


def curve_figure(member: Array, probability: Mapping[str, Array]) -> Figure:
    """Precision over recall, ROC, and how often a probability comes true, of the network beside its rivals.

    Args:
        member: of stars, any shape.
        probability: of the same, by ``model`` and rival.
    """
    figure, (precision, roc, calibration) = plt.subplots(1, 3, figsize=(WIDTH, 3.9))
    truth = member.ravel()
    for (who, values), colour in zip(probability.items(), COLOURS, strict=False):
        line = {"color": colour, "lw": 2.4 if who == "model" else 1.3}
        purity, completeness, _ = precision_recall_curve(truth, values.ravel())
        precision.plot(100 * completeness, 100 * purity, **line)
        false, true, _ = roc_curve(truth, values.ravel())
        roc.plot(100 * false, 100 * true, label="spectral network" if who == "model" else who.replace("_", " "), **line)
        are, stated = calibration_curve(truth, values.ravel(), n_bins=BINS)
        calibration.plot(100 * stated, 100 * are, "o-", ms=3, **line)
    precision.axhline(100 * truth.mean(), color="black", lw=0.8, ls=":")
    precision.set(xlabel="members that are found (%)", ylabel="of those found, members (%)", title="Precision, recall")
    roc.plot([0, 100], [0, 100], color="black", lw=0.8, ls=":")
    roc.set(xlabel="stars of the field called members (%)", ylabel="members that are found (%)", title="ROC")
    calibration.plot([0, 100], [0, 100], color="black", lw=0.8, ls=":")
    calibration.set(xlabel="stated probability (%)", ylabel="are members (%)", title="Do probabilities come true?")
    figure.legend(*roc.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
