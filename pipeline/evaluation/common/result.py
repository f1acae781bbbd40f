"""What an evaluation or prediction returns: numbers, figures with captions, and maps."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

# One palette for the whole report (Okabe & Ito 2008: told apart by colour-blind readers too).
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#6b7280"
STYLE: dict[str, Any] = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, RED, PURPLE, GREY]),
    "axes.grid": True,
    "grid.alpha": 0.25,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
    "legend.frameon": False,
}
ROUND_OFF = 1e-24  # what is smaller is zero but for the order of additions, which differs from processor to processor


@contextmanager
def style() -> Iterator[None]:
    """The look of every figure of the project."""
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]  # its keys are spelled out since 3.11
        yield


@dataclass(frozen=True)
class Picture:
    """A figure with its file name (no suffix) and a caption that a newcomer understands."""

    name: str
    caption: str
    figure: Figure


@dataclass
class Result:
    """What was found out.

    Attributes:
        metrics: a number, text or list each; or, for a comparison, a dictionary
            ``{"model": value, "<baseline>": value, ...}`` that becomes a row of a table.
        pictures: figures in reading order.
        hdus: file name to an astropy HDU list, for maps.
    """

    metrics: dict[str, Any]
    pictures: list[Picture] = field(default_factory=list)
    hdus: dict[str, Any] = field(default_factory=dict)


def write_json(values: dict[str, Any], path: Path) -> None:
    """Write JSON with sorted nesting as given and floats to seven digits, those below ``ROUND_OFF`` as 0.

    Raises:
        ValueError: a number is not finite; a metric is never silently NaN.
    """
    path.write_text(json.dumps(_rounded(values, ""), indent=2, allow_nan=False) + "\n")


def _rounded(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {str(name): _rounded(item, f"{key}/{name}") for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item, key) for item in value]
    if isinstance(value, (bool, str, int)) or value is None:
        return value
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{key.lstrip('/')} is {number}")
    return float(f"{number:.7g}") if abs(number) >= ROUND_OFF else 0.0


def write_pictures(pictures: list[Picture], folder: Path) -> None:
    """Save each figure as PNG, with no date in it, and the captions as ``captions.json``."""
    for picture in pictures:
        picture.figure.savefig(folder / f"{picture.name}.png", metadata={"Software": None})
        plt.close(picture.figure)
    captions = {picture.name: picture.caption for picture in pictures}
    (folder / "captions.json").write_text(json.dumps(captions, indent=2, ensure_ascii=False) + "\n")
