"""Moving pictures of forecasts of star systems: stars on their true tracks, and where the network expects them."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from PIL import Image

from pipeline.evaluation.common.panels import WIDTH
from pipeline.evaluation.gnn.figures import STARS
from pipeline.evaluation.gnn.measures import Array

FRAMES, SECONDS = 41, 0.1  # at most so many, and how long each stays
DOTS = 90  # pixels an inch
MOST = 4_000  # places of all stars of a panel: of large systems the latest alone are drawn


class Panel:
    """One system seen along z: its artists, and their places at any time.

    Args:
        axis: to draw on.
        true: (times, n, 3); one time: nothing is known but the start.
        predicted: (outputs, n, 3), the first being the start; the outputs are spread evenly over the times.
    """

    def __init__(self, axis: Axes, true: Array, predicted: Array) -> None:
        self.axis, self.true, self.predicted = axis, true[..., :2], predicted[..., :2]
        self.colours = [STARS[star % len(STARS)] for star in range(true.shape[1])]
        look: dict[str, Any] = {"animated": True, "zorder": 3}
        self.trails = LineCollection([], colors=self.colours, linewidths=1.3, alpha=0.8, animated=True)
        self.rings = axis.scatter([], [], 26, facecolors="none", linewidths=1.1, **look)
        self.stars = axis.scatter([], [], 40, **look)
        axis.add_collection(self.trails)
        shown = self.true if len(true) > 1 else self.predicted
        low, high = np.nanquantile(shown, (0.01, 0.99), axis=(0, 1))
        half = 0.6 * float((high - low).max()) + 1e-9
        (x, y) = (low + high) / 2
        axis.set(xlim=(x - half, x + half), ylim=(y - half, y + half), aspect="equal")

    def draw(self, part: float) -> None:
        """Move the artists to a part of the time, 0 to 1."""
        last = round(part * (len(self.true) - 1))
        output = int(part * (len(self.predicted) - 1) + 1e-9)
        path, rings = latest(self.true[: last + 1]), latest(self.predicted[: output + 1])
        self.trails.set_segments(list(path.swapaxes(0, 1)))
        self.rings.set_offsets(rings.reshape(-1, 2))
        self.rings.set_edgecolor(self.colours * len(rings))
        if len(self.true) > 1 or output == 0:
            self.stars.set_offsets(path[-1])
            self.stars.set_facecolor(self.colours)
        for artist in (self.trails, self.rings, self.stars):
            self.axis.draw_artist(artist)


def latest(places: Array) -> Array:
    """The last of the places (times, n, 2) that are not too many to draw."""
    return places[-max(1, MOST // places.shape[1]) :]


def rollout_frames(
    true: Sequence[Array], predicted: Sequence[Array], labels: Sequence[str], unit: str, end: str
) -> list[Image.Image]:
    """Frames of systems side by side: stars as dots on their true tracks, forecasts at the outputs as rings.

    Args:
        true: (times, n, 3) of each system.
        predicted: (outputs, n, 3) of each system.
        labels: what to write over each panel.
        unit: of the positions.
        end: the last time, with its unit.
    """
    size = (WIDTH, WIDTH / max(len(labels), 2) + 0.7)
    figure, axes = plt.subplots(1, len(labels), figsize=size, dpi=DOTS, squeeze=False)
    panels = [Panel(*drawn) for drawn in zip(axes[0], true, predicted, strict=True)]
    for axis, label in zip(axes[0], labels, strict=True):
        axis.set(title=label, xlabel=f"x ({unit})")
    axes[0, 0].set_ylabel(f"y ({unit})")
    figure.suptitle(f"Dots: the stars. Rings: the network's forecast from the start. Time 0 to {end}.")
    canvas: Any = figure.canvas
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    steps = max(len(true[0]), len(predicted[0])) - 1
    frames = []
    for part in np.linspace(0, 1, min(steps + 1, FRAMES)):
        canvas.restore_region(background)
        for panel in panels:
            panel.draw(part)
        frames.append(Image.fromarray(np.array(canvas.buffer_rgba())[..., :3]))
    plt.close(figure)
    return frames
