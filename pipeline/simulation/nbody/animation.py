"""Moving pictures of a star system: fading trails, coloured by speed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FFMpegWriter, PillowWriter
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from numpy.typing import NDArray

Array = NDArray[np.float64]

FRAMES, FPS = 160, 20
SIZE = 6.6, 5.8  # inches of 100 pixels
TRAIL = 40  # frames
SEGMENTS = 5_000  # of all trails together: larger systems have shorter trails
SHOWN = 10  # simulations in the live window, one after another
SKY: dict[Any, Any] = {
    "figure.dpi": 100,
    "figure.facecolor": "#0b0e17",
    "axes.facecolor": "#0b0e17",
    "axes.edgecolor": "#3a4055",
}
SKY |= dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), "#d7dbe6")
COLOURS = ListedColormap(plt.get_cmap("plasma")(np.linspace(0.3, 1, 128)))  # nothing darker than the sky can hide


class StarFilm:
    """A figure that shows a star system, seen along z, at any of :data:`FRAMES` times.

    Args:
        x: positions at equal time steps, shape ``(times, stars, 3)``.
        v: velocities, same shape.
        mass: shape ``(stars,)``; a heavier star is drawn larger.
        t_end: time of the last positions.
        title: says which system it is.
        figure: to draw on, emptied first; None: a new one.
    """

    def __init__(self, x: Array, v: Array, mass: Array, t_end: float, title: str, figure: Any = None) -> None:
        self.title, self.mass = title, mass
        self.time = np.linspace(0, t_end, FRAMES)
        places = interpolate(x, v, t_end)
        self.x = places[..., :2]
        self.speed = np.linalg.norm(np.gradient(places, self.time, axis=0), axis=-1)
        self.trail = max(1, min(TRAIL, SEGMENTS // len(mass)))
        with plt.rc_context(SKY):
            self.figure = figure or plt.figure(figsize=SIZE)
            self._set_up()
        self.draw(0)

    def _set_up(self) -> None:
        """Axes, and the artists that :meth:`draw` moves."""
        self.figure.clear()
        axes = self.figure.add_axes((0.11, 0.09, 0.74, 0.84))
        half = 1.1 * np.quantile(np.abs(self.x), 0.995)
        axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal", xlabel="x", ylabel="y")
        crowd = min(1.0, 30 / len(self.mass))
        look: dict[str, Any] = {"cmap": COLOURS, "norm": Normalize(*np.quantile(self.speed, [0.02, 0.98]))}
        self.trails: Any = LineCollection([], linewidths=0.6 + 1.4 * crowd, capstyle="butt", **look)
        axes.add_collection(self.trails)
        size = 3 + 60 * crowd * (self.mass / self.mass.max()) ** (2 / 3)
        x0, y0 = self.x[0].T
        self.stars = axes.scatter(x0, y0, size, self.speed[0], edgecolors="white", linewidths=0.4 * crowd, **look)
        self.heading = axes.set_title("")
        beside = self.figure.add_axes((0.87, 0.09, 0.025, 0.84))
        self.figure.colorbar(self.stars, cax=beside, label="speed (N-body units)").outline.set_visible(False)

    def draw(self, frame: int) -> None:
        """Move everything to the given frame."""
        frames = np.arange(frame - self.trail, frame + 1).clip(0)
        path = self.x[frames]
        self.trails.set_segments(np.stack([path[:-1], path[1:]], axis=2).reshape(-1, 2, 2))
        self.trails.set_array(self.speed[frames[1:]].ravel())
        self.trails.set_alpha(np.repeat(np.linspace(0, 1, self.trail) ** 1.2, self.x.shape[1]))
        self.stars.set_offsets(self.x[frame])
        self.stars.set_array(self.speed[frame])
        self.heading.set_text(f"{self.title}, t = {self.time[frame]:.2f}")


def interpolate(x: Array, v: Array, t_end: float) -> Array:
    """Positions at :data:`FRAMES` equal times by cubic Hermite interpolation, shape ``(FRAMES, stars, 3)``."""
    intervals = len(x) - 1
    h = t_end / intervals
    at = np.linspace(0, intervals, FRAMES)
    k = np.minimum(at.astype(int), intervals - 1)
    s = (at - k)[:, None, None]
    return (
        (1 + 2 * s) * (1 - s) ** 2 * x[k]
        + s * (1 - s) ** 2 * h * v[k]
        + s**2 * (3 - 2 * s) * x[k + 1]
        + s**2 * (s - 1) * h * v[k + 1]
    )


def save(film: StarFilm, path: Path) -> None:
    """Write the film as .gif, or as .mp4 if the program ffmpeg is there."""
    writer = PillowWriter(fps=FPS) if path.suffix == ".gif" else FFMpegWriter(fps=FPS, bitrate=4000)
    with writer.saving(film.figure, str(path), dpi=100):
        for frame in range(FRAMES):
            film.draw(frame)
            writer.grab_frame()
    plt.close(film.figure)


def show(film: Callable[[int, Any], StarFilm], count: int) -> None:
    """Play the first simulations in a window until it is closed; say so if there is no display.

    Args:
        film: makes the film of simulation k on a given figure.
        count: of simulations.
    """
    if plt.get_backend().lower() == "agg":
        print("no display for the live view: going on without; --animate K FILE.gif writes a film", file=sys.stderr)
        return
    with plt.rc_context(SKY):
        figure = plt.figure(figsize=SIZE)
    for k in range(min(count, SHOWN)):
        scene = film(k, figure)
        for frame in range(FRAMES):
            if not plt.fignum_exists(figure.number):
                return
            scene.draw(frame)
            plt.pause(1 / FPS)
    plt.close(figure)
