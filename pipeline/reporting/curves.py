"""Training curves as drawings that follow the page's colours: the metrics of each epoch, as W&B has them."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.reporting.numbers import number

INK = "#010203"  # stands for the colour of the page's text, which differs between light and dark
COLOURS = {"train": "#e07b00", "val": "#2b83ba", "rate": "#7a8599"}  # seen on white and on black
WORDS = {"train": "training", "val": "validation", "rate": "rate"}
DASHES = {"train": "-", "val": "--", "rate": "-"}  # told apart without colour
LOGARITHMIC = 10.0  # from this ratio of largest to smallest on
FORMAT: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.size": 9,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "path.simplify_threshold": 0.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def curves(path: Path, first: str, monitor: str | None) -> dict[str, Any]:
    """All curves of a training.

    Args:
        path: reports/train/<model>.csv, a row an epoch.
        first: the metric whose curves come first.
        monitor: the metric whose lowest value picked the weights; None: the last epoch's were kept.

    Returns:
        ``epochs``; ``exported``, the epoch whose weights were kept; ``panels``, of each metric its name, a text and a
        drawing.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {key: [float(row[key]) for row in rows] for key in rows[0]}
    kept = columns[monitor].index(min(columns[monitor])) if monitor else len(rows) - 1
    exported = int(columns["epoch"][kept])
    panels = [panel(name, lines, columns["epoch"], exported) for name, lines in grouped(columns, first).items()]
    return {"epochs": len(rows), "exported": exported, "panels": panels}


def grouped(columns: dict[str, list[float]], first: str) -> dict[str, dict[str, list[float]]]:
    """Curves that belong in one panel: a metric in training and validation; the rate last."""
    found: dict[str, dict[str, list[float]]] = {first: {}}
    for key, values in columns.items():
        split, _, name = key.partition("/")
        if split in ("train", "val"):
            found.setdefault(name, {})[split] = values
    rates = [values for key, values in columns.items() if key.startswith("lr-")]
    return found | {"learning rate": {"rate": rates[0]}} if rates else found


def panel(name: str, lines: dict[str, list[float]], epochs: Sequence[float], exported: int) -> dict[str, Any]:
    """One metric in words and, of more than one epoch, as a drawing."""
    name = name.replace("_", " ")
    if len(epochs) == 1:
        found = ", ".join(f"{WORDS[split]} {number(values[0], '.3g')}" for split, values in lines.items())
        return {"name": name, "text": found, "svg": None}
    ends = (f"{WORDS[split]} from {number(y[0], '.3g')} to {number(y[-1], '.3g')}" for split, y in lines.items())
    text = f"{name} by epoch: {', '.join(ends)}; epoch {exported} was kept"
    return {"name": name, "text": text, "svg": drawing(lines, epochs, exported)}


def drawing(lines: dict[str, list[float]], epochs: Sequence[float], exported: int) -> str:
    """Curves against the epoch, with a line at the one whose weights were kept, as an SVG element."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    from pipeline.evaluation.common.result import style

    with style(), plt.rc_context(FORMAT):  # type: ignore[arg-type]  # its keys are spelled out since 3.11
        figure, axes = plt.subplots(figsize=(3.3, 2.1), layout="constrained")
        for split, values in lines.items():
            axes.plot(epochs, values, DASHES[split], color=COLOURS[split])
        axes.axvline(exported, color=INK, linewidth=1, linestyle=":")
        values = [value for line in lines.values() for value in line]
        if min(values) > 0 and max(values) > LOGARITHMIC * min(values):
            axes.set_yscale("log")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return themed(buffer.getvalue())


def themed(svg: str) -> str:
    """The element alone, its text and axes in the colour of the page's text."""
    element = svg[svg.index("<svg") :]
    return element.replace(INK, "currentColor").replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
