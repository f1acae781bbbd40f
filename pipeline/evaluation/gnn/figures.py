"""Figures of forecasts of star systems."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from datamodules.trajectories import Units
from pipeline.evaluation.common.panels import WIDTH
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, PURPLE, RED
from pipeline.evaluation.gnn.measures import Array

STARS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)
METHODS = {"model": BLUE, "constant_velocity": GREY, "leapfrog": ORANGE, "leapfrog_10_substeps": GREEN}


class AxisUnits(NamedTuple):
    """What is written at axes."""

    length: str
    time: str
    acceleration: str

    @classmethod
    def of(cls, units: Units | None) -> "AxisUnits":
        """Those of a set of trajectories: of N-body units all have one name."""
        if units is None or units.length_unit == units.time_unit:
            return cls("N-body units", "N-body units", "N-body units")
        time = units.time_unit.partition(",")[0]
        return cls(units.length_unit, time, f"{units.length_unit} / ({time})²")


def track_figure(true: Sequence[Array], predicted: Sequence[Array], labels: Sequence[str], unit: str) -> Figure:
    """True tracks as lines and predicted places as rings, a panel a system, seen along the z axis.

    Args:
        true: (times, n, 3) of each system.
        predicted: (output times, n, 3) of each system.
        labels: what to write over each panel.
        unit: of the positions.
    """
    figure, axes = plt.subplots(1, len(labels), figsize=(WIDTH, WIDTH / max(len(labels), 2) + 0.9), squeeze=False)
    for axis, label, lines, rings in zip(axes[0], labels, true, predicted, strict=True):
        for star in range(lines.shape[1]):
            colour = STARS[star % len(STARS)]
            axis.plot(*lines[:, star, :2].T, color=colour, lw=1.3, alpha=0.8)
            axis.plot(*rings[:, star, :2].T, "o", mec=colour, mfc="none", ms=5, mew=1.1)
            axis.plot(*rings[0, star, :2], "o", color=colour, ms=6)
        axis.set(title=label, xlabel=f"x ({unit})", aspect="equal", adjustable="datalim")
    axes[0, 0].set_ylabel(f"y ({unit})")
    handles = [
        plt.Line2D([], [], color="black", lw=1.3, label="true track"),
        plt.Line2D([], [], color="black", marker="o", mfc="none", ls="", label="predicted"),
        plt.Line2D([], [], color="black", marker="o", ls="", label="start, given"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    figure.suptitle("Stars predicted from their first state")
    return figure


def growth_figure(times: Array, position: dict[str, Array], energy: dict[str, Array], lost: float, unit: str) -> Figure:
    """Errors against time, (systems, times) by method: of the positions, and of the energy if it is known."""
    panels = [("relative position error", position), *([("relative energy error", energy)] if energy else [])]
    figure, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 3.8), squeeze=False)
    for axis, (label, errors) in zip(axes[0], panels, strict=True):
        for method, error in errors.items():
            colour = METHODS[method]
            if method == "model":
                axis.fill_between(
                    times[1:], *np.quantile(error[:, 1:], (1 / 6, 5 / 6), axis=0), color=colour, alpha=0.15, lw=0
                )
            median, name = (
                np.median(error[:, 1:], axis=0),
                "graph network" if method == "model" else method.replace("_", " "),
            )
            axis.plot(times[1:], median, color=colour, lw=2.2 if method == "model" else 1.4, label=name)
        axis.set(yscale="log", xlabel=f"time ({unit})", title=label)
    axes[0, 0].axhline(lost, color="black", lw=0.8, ls=":")
    axes[0, 0].text(times[-1], lost, f"{lost:.0%} ", ha="right", va="bottom", fontsize=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(position))
    figure.suptitle("Errors of a forecast that is fed its own output")
    return figure


def force_law_figure(r: Array, learned: Array, true: Array | None, pairs: Array, name: str, units: AxisUnits) -> Figure:
    """The pull between two stars against their distance, its deviation from the law ``name``, and where data lie."""
    figure, (law, deviation) = plt.subplots(
        2, 1, figsize=(WIDTH * 0.75, 5.2), sharex=True, height_ratios=(3, 1.2)
    )  # fmt: skip
    law.plot(r, np.where(learned > 0, learned, np.nan), color=BLUE, lw=2.5, label="learned")
    if true is not None:
        law.plot(r, true, color="black", lw=1.2, ls="--", label=name)
        deviation.plot(r, 100 * (learned / true - 1), color=BLUE)
    law.set(
        xscale="log",
        yscale="log",
        ylabel=f"acceleration ({units.acceleration})",
        title="The law that the network found",
    )
    law.legend()
    deviation.axhline(0, color="black", lw=0.8, ls="--")
    deviation.set(xlabel=f"distance of two stars ({units.length})", ylabel="deviation (%)", ylim=(-12, 12))
    counts = deviation.twinx()
    counts.hist(pairs, bins=np.geomspace(r[0], r[-1], 60).tolist(), color=GREY, alpha=0.25)
    counts.set(yticks=[])
    counts.grid(False)
    return figure
