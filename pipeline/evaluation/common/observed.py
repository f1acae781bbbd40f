"""Your own map in the figures of answers: the field that was cut, pixels without a value, what is warned of."""

import textwrap
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.evaluation.common.maps import show_map
from pipeline.inputs.observation import Observation

LETTERS = 17  # of warnings in an inch
LINE = 0.13  # inches of a line of them
ROOM = 5  # lines of them that a figure has room for


def show_observation(axis: Axes, seen: Observation, **look: Any) -> Any:
    """The light of the field in arcsec from its middle, with north and east, and pixels without a value in blue."""
    image = show_map(axis, seen.log_flux, **look)
    if seen.mask.any():
        shown = np.ma.masked_where(~seen.mask, np.ones(seen.mask.shape))
        show_map(axis, shown, cmap="cool", vmin=0, vmax=2, alpha=0.6)
    axis.set(xlabel="arcsec", title="light seen")
    if seen.wcs is not None:
        middle = seen.wcs.pixel_to_world(*((n - 1) / 2 for n in seen.log_flux.shape))
        axis.set_title(f"light seen around {middle.to_string('decimal', precision=4)}", fontsize=10)
        compass(axis, seen.wcs)
    return image


def compass(axis: Axes, wcs: Any) -> None:
    """Arrows to the north and east in the lower right corner of a map in arcsec."""
    low, high = axis.get_xlim()
    length, start = 0.12 * (high - low), np.array([high - 0.2 * (high - low), low + 0.2 * (high - low)])
    outline: list[patheffects.AbstractPathEffect] = [
        patheffects.withStroke(linewidth=2.0, foreground="black")  # white is seen on bright stars too
    ]
    arrow = {"arrowstyle": "->", "color": "white", "path_effects": outline}
    for name, sky in (("E", (1.0, 0.0)), ("N", (0.0, 1.0))):
        step = np.linalg.solve(wcs.wcs.cd, sky)
        step *= length / np.hypot(*step)
        tip, label = start + step, start + 1.35 * step
        axis.annotate("", (tip[0], tip[1]), (start[0], start[1]), arrowprops=arrow)
        text = axis.text(label[0], label[1], name, color="white", ha="center", va="center", fontsize=8)
        text.set_path_effects(outline)


def sign(unit: str) -> str:
    """A unit for people, with the sign of the Sun."""
    return unit.replace("sun", "☉")


def warn_below(figure: Figure, warnings: list[str]) -> None:
    """All warnings below a figure, which becomes higher where they are many."""
    if not warnings:
        return
    wrap = textwrap.TextWrapper(int(LETTERS * figure.get_figwidth()), initial_indent="! ", subsequent_indent="   ")
    lines = [line for text in warnings for line in wrap.wrap(text)]
    figure.set_figheight(figure.get_figheight() + LINE * max(len(lines) - ROOM, 0))
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7, parse_math=False)
