"""What an evaluation or prediction returns: numbers, figures with captions, and maps."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import readable
from pipeline.evaluation.common.charts import Chart

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
KEY = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+)*")  # of a metric
WEBP: dict[str, Any] = {"format": "WEBP", "quality": 80, "method": 2}  # of animations
THUMBNAILS, THUMBNAIL_WIDTH = 200, 64  # at most so many, and pixels
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


@dataclass(frozen=True)
class Animation:
    """Moving pictures with their file name (no suffix) and a caption that a newcomer understands.

    Attributes:
        frames: of one size.
        seconds: that each frame stays.
    """

    name: str
    caption: str
    frames: list[Image.Image]
    seconds: float


@dataclass
class Result:
    """What was found out.

    Attributes:
        metrics: of an evaluation, numbers under flat keys, see :func:`numbers`; of a prediction, what to write as JSON.
        pictures: figures in reading order.
        hdus: file name to an astropy HDU list, for maps.
        tables: file name to a table of polars, or of astropy where it has units.
        title: of the model in the report, where it depends on the data; None: that of its row in models.yaml.
        notes: sentences above the numbers.
        judged_by: how many held-out items the headline was measured on, such as ``16 pictures``.
        labels: a sentence for each measure whose meaning depends on the data, beside the family's ``LABELS``.
        charts: the tables behind charts that W&B, DVC and the report draw.
        animations: in reading order, after the pictures.
        items: a row for each held-out cluster, picture or simulation: ``item``, its name or number; truth, prediction,
            low and high, and errors, with their units in the names of the columns.
        thumbnails: of the first rows of ``items``, in their order, (H, W) or (H, W, 3) each, at most
            ``THUMBNAILS``, and each ``THUMBNAIL_WIDTH`` pixels wide; what is compared stands side by side in one.
    """

    metrics: dict[str, Any]
    pictures: list[Picture] = field(default_factory=list)
    hdus: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    title: str | None = None
    notes: list[str] = field(default_factory=list)
    judged_by: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    charts: list[Chart] = field(default_factory=list)
    animations: list[Animation] = field(default_factory=list)
    items: pl.DataFrame | None = None
    thumbnails: list[NDArray[np.uint8]] = field(default_factory=list)


def compared(what: str, values: Mapping[str, Any], split: str = "test") -> dict[str, Any]:
    """One measure of the model and of its rivals, under flat keys.

    Args:
        what: the measure with its unit, such as ``age_error_gyr``.
        values: number of ``model`` and of each rival, whose names are lower case with underscores.
        split: the rows that it was measured on; ``test``, the held-out ones, is not named in the keys of rivals.

    Returns:
        ``{"test/<what>": ..., "baseline/<rival>/<what>": ...}``, or ``{"train/<what>": ...,
        "train/baseline/<rival>/<what>": ...}``.
    """
    before = "" if split == "test" else f"{split}/"
    return {
        f"{split}/{what}" if who == "model" else f"{before}baseline/{who}/{what}": value
        for who, value in values.items()
    }


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as plain numbers of seven digits, those below ``ROUND_OFF`` as 0; one for each that is given.

    Args:
        metrics: numbers, 0-d arrays or tensors by key: lower case, digits, ``_`` and ``/``.

    Raises:
        TypeError: a value is no single number.
        ValueError: a key is no key, or a number is not finite: a metric is never silently lost or NaN.
    """
    for key in metrics:
        if not KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key of a metric; use lower case, digits, _ and /")
    return {key: _number(value, key) for key, value in metrics.items()}


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write JSON in the order given, with numbers as :func:`numbers` makes them.

    Raises:
        TypeError: a value is neither text nor number nor a list or dictionary of them.
        ValueError: a number is not finite.
    """
    path.write_text(json.dumps(_plain(values, ""), indent=2, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")


def _plain(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item, f"{key}/{name}".lstrip("/")) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, key) for item in value]
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, (bool, int)) or value is None:
        return value
    return _number(value, key)


def _number(value: Any, key: str) -> float:
    """A Python, numpy or torch number."""
    if getattr(value, "shape", ()) != () or not hasattr(value, "__float__"):
        raise TypeError(f"{key} is {value!r}, not a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{key} is {number}")
    return float(f"{number:.7g}") if abs(number) >= ROUND_OFF else 0.0


def short(value: float) -> str:
    """A quantity for people: three digits, with no power of ten."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def thumbnails(pictures: Any, white: float = 1.0) -> list[NDArray[np.uint8]]:
    """The first of many pictures, (n, H, W) or (n, H, W, 3) with 0 black, small and in 8 bits.

    Args:
        pictures: numpy array or tensor.
        white: the level that becomes white.
    """
    levels = np.asarray(pictures)[:THUMBNAILS] / white
    images = (Image.fromarray(np.uint8(255 * picture.clip(0, 1) + 0.5)) for picture in levels)
    return [np.asarray(_thumbnail(image)) for image in images]


def _thumbnail(image: Image.Image) -> Image.Image:
    """Reduced if it is too wide; a tiny one with whole squares for pixels."""
    if image.width > THUMBNAIL_WIDTH:
        height = round(image.height * THUMBNAIL_WIDTH / image.width)
        return image.resize((THUMBNAIL_WIDTH, height), Image.Resampling.BOX)
    times = THUMBNAIL_WIDTH // image.width
    return image.resize((times * image.width, times * image.height), Image.Resampling.NEAREST)


def write_pictures(pictures: list[Picture], folder: Path, animations: Sequence[Animation] = ()) -> None:
    """Save each figure as PNG, with no date in it, each animation as WebP, and the captions as ``captions.json``."""
    for picture in pictures:
        picture.figure.savefig(folder / f"{picture.name}.png", metadata={"Software": None})
        plt.close(picture.figure)
    for animation in animations:
        write_animation(animation, folder / f"{animation.name}.webp")
    captions = {picture.name: picture.caption for picture in pictures}
    captions |= {animation.name: animation.caption for animation in animations}
    (folder / "captions.json").write_text(json.dumps(captions, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_animation(animation: Animation, file: Path | BinaryIO, **compression: Any) -> None:
    """Save moving pictures that repeat for ever, as WebP unless ``compression`` says otherwise."""
    first, *more = animation.frames
    milliseconds = round(1000 * animation.seconds)
    options = compression or WEBP
    first.save(file, save_all=True, append_images=more, duration=milliseconds, loop=0, **options)
