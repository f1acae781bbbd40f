"""Pictures side by side: labelled rows, and mosaics."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

WIDTH = 8.2  # inches; 900 pixels at the project's resolution


def picture_rows(rows: Mapping[str, Any], title: str, columns: Sequence[str] = (), **imshow: Any) -> Figure:
    """One row of pictures for each label, all on one scale.

    Args:
        rows: label to pictures, (n, height, width) each; a shorter row leaves its last places empty.
        title: of the figure.
        columns: headings.
        imshow: of matplotlib; intensities are in [0, 1] unless it says otherwise.
    """
    n = max(len(pictures) for pictures in rows.values())
    margin = 0.1 + 0.08 * max(len(line) for label in rows for line in label.split("\n"))
    size = min((WIDTH - margin) / n, 1.6)
    shape = (size * n + margin, (size + 0.05) * len(rows) + (0.6 if columns else 0.4))
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    figure, axes = plt.subplots(len(rows), n, figsize=shape, squeeze=False, layout=layout)
    for (label, pictures), row in zip(rows.items(), axes, strict=True):
        for axis in row:
            bare(axis)
            axis.set_anchor("W")  # of a square in a wider place: the layout keeps room for labels beside the place
        row[0].set_ylabel(label, rotation=0, ha="right", va="center")
        for axis, picture in zip(row, np.asarray(pictures), strict=False):
            axis.imshow(picture, **{"vmin": 0, "vmax": 1, **imshow})
    for axis, heading in zip(axes[0], columns, strict=False):
        axis.set_title(heading, fontsize=9)
    figure.suptitle(title)
    return figure


def mosaic(pictures: Any, columns: int, gap: int = 1, fill: float = 1.0) -> np.ndarray:
    """Pictures of one size, (n, height, width[, 3]), as one array, ``columns`` in a row with gaps between."""
    pictures = np.asarray(pictures)
    n, height, width, *channels = pictures.shape
    rows = -(-n // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *channels), fill, pictures.dtype)
    for k, picture in enumerate(pictures):
        top, left = k // columns * (height + gap), k % columns * (width + gap)
        canvas[top : top + height, left : left + width] = picture
    return canvas


def bare(axis: Axes) -> None:
    """Take ticks, grid and frame from the axes of a picture."""
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(False)
