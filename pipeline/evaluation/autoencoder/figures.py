"""Figures of the autoencoder: pictures redrawn, where they err, rivals beside it, and the way between two codes."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray
from torch import Tensor

from lit_modules.networks.autoencoder.autoencoder import Autoencoder
from pipeline.evaluation.autoencoder.scores import Scores, auc, auc_interval, roc_table
from pipeline.evaluation.common.panels import WIDTH, bare, picture_rows
from pipeline.evaluation.common.pictures import no_math
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Picture, style

BELOW: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "fontsize": 8}  # where a legend is
STEPS = 8  # pictures from one to another, both included
BRIGHTEST = 0.995  # share of the pixels of error maps below the end of their scale


def reconstructions(images: Tensor, redrawn: Tensor, what: str, epochs: int, code: str) -> Picture:
    """The course's figure: originals over reconstructions, (n, 1, H, W) each, with their differences.

    Args:
        images: held-out pictures.
        redrawn: by the network.
        what: they show.
        epochs: of the training.
        code: what the network keeps of a picture, in words.
    """
    rows = {
        "original": images[:, 0],
        "reconstruction": redrawn[:, 0].clamp(0, 1),
        "difference\n(grey: none)": 0.5 + (redrawn - images)[:, 0],
    }
    with style():
        figure = picture_rows(rows, f"Held-out {no_math(what)}: the network after {epochs} epochs")
    caption = f"Held-out {what} that the network never saw, above what it draws from {code}, and the difference."
    return Picture("reconstructions", caption, figure)


def part_way(images: Tensor, redrawn: Mapping[int, Tensor], what: str) -> Picture:
    """Held-out pictures over their reconstructions after some epochs and at the end, as the course shows COVID.

    Args:
        images: (n, 1, H, W).
        redrawn: by the number of epochs, the last one at the end.
        what: they show.
    """
    rows = {"original": images[:, 0]}
    rows |= {f"{epochs} epochs": pictures[:, 0].clamp(0, 1) for epochs, pictures in redrawn.items()}
    after = " and ".join(str(epochs) for epochs in redrawn)
    with style():
        figure = picture_rows(rows, f"Held-out {no_math(what)} after {after} epochs")
    caption = f"The same held-out {what}, redrawn with the weights after {after} epochs of training."
    return Picture("epochs", caption, figure)


def error_maps(maps: Mapping[str, Mapping[str, Tensor]]) -> Picture:
    """Where the error lies: root mean square over pictures, of each pixel.

    Args:
        maps: squared errors of pictures, (n, 1, H, W), by what they show (a row) and by method (a column).
    """
    roots = {what: {who: e.mean(dim=(0, 1)).sqrt() for who, e in row.items()} for what, row in maps.items()}
    every = torch.stack([root for row in roots.values() for root in row.values()])
    columns = list(next(iter(maps.values())))
    with style():
        shape = (WIDTH, 0.5 + 0.9 * WIDTH / (len(columns) + 1) * len(maps))
        figure, axes = plt.subplots(len(maps), len(columns), figsize=shape, squeeze=False)
        for row, (what, methods) in zip(axes, roots.items(), strict=True):
            for axis, (who, root) in zip(row, methods.items(), strict=True):
                bare(axis)
                shown = axis.imshow(root.numpy(), vmin=0, vmax=float(every.quantile(BRIGHTEST)), cmap="magma")
                axis.set_xlabel(f"{float(root.square().mean().sqrt()):.4f}", fontsize=9)
                if axis in axes[0]:
                    axis.set_title(named(who), fontsize=9)
            row[0].set_ylabel(no_math(what), fontsize=9)
        figure.colorbar(shown, ax=axes, label="root mean square error (grey levels)", extend="max")
        figure.suptitle("Where do the errors lie?")
    caption = (
        "Where the errors lie: root mean square error of each pixel over the pictures of a row, on one scale; below "
        "each map that of all pixels. None of these pictures was seen in training."
    )
    return Picture("error_maps", caption, figure)


def bars(
    held_out: Mapping[str, tuple[float, float, float]], training: Mapping[str, float], code: str, copies: int
) -> Picture:
    """Held-out error of every method with its interval, and training error.

    Args:
        held_out: mean and ends of its interval, by method.
        training: mean, by method.
        code: what the network keeps of a picture, in words.
        copies: of each training picture, deformed, that rivals and the network's start are fitted to.
    """
    means, lows, highs = np.array(list(held_out.values())).T
    with style():
        figure, axis = plt.subplots(figsize=(WIDTH, 0.8 + 0.36 * len(means)))
        y = np.arange(len(means))
        colours = [BLUE] + [ORANGE] * (len(y) - 1)
        reach = np.stack([means - lows, highs - means])
        axis.barh(y - 0.2, means, 0.4, color=colours, label="held-out", xerr=reach, ecolor=GREY)
        axis.barh(y + 0.2, [training[who] for who in held_out], 0.4, color=GREY, alpha=0.5, label="training")
        for place, value, end in zip(y, means, highs, strict=True):
            axis.annotate(f" {value:.5f}", (end, place - 0.2), va="center", fontsize=8)
        axis.set_yticks(y, [named(who) for who in held_out])
        axis.invert_yaxis()
        axis.set(
            xlabel="mean square error per pixel (grey levels 0 to 1)", title="How well is an unseen picture redrawn?"
        )
        axis.legend(loc="lower right")
    of_copies = f", or of {copies} deformed copies of each" if copies else ""
    localised = ", of these copies, but with a covariance that falls with the distance of two pixels" if copies else ""
    caption = (
        "Error on unseen pictures (coloured, with 95 % intervals over patients) and on the training pictures (grey): "
        f"the network beside the mean picture and principal components of the training pictures{of_copies}. "
        "Low training error proves nothing: full-rank PCA has none. PCA keeps as many numbers as its name says, the "
        f"network {code}. Before its training it starts from principal components too{localised}."
    )
    return Picture("errors", caption, figure)


def interpolation(net: Autoencoder, images: Tensor, what: str) -> Picture:
    """The straight way from one code to another, decoded, above the same way between the pixels.

    Args:
        net: the network.
        images: of which the first four make two pairs, (n, 1, H, W); of fewer, some stand in both.
        what: they show.
    """
    share = torch.linspace(0, 1, STEPS, device=images.device).view(-1, 1, 1, 1)
    rows: dict[str, NDArray[np.float32]] = {}
    for k, (first, second) in enumerate(images[torch.arange(4) % len(images)].split(2), 1):
        a, b = net.encode(torch.stack([first, second]))
        code = torch.lerp(a[None], b[None], share[:, 0, 0])
        rows[f"{k}: codes"] = net.decode(code)[:, 0].clamp(0, 1).cpu().numpy()
        rows[f"{k}: pixels"] = torch.lerp(first, second, share)[:, 0].cpu().numpy()
    headings = [f"{round(100 * float(s))} %" for s in share]
    with style():
        figure = picture_rows(rows, f"From one held-out picture to another: {no_math(what)}", columns=headings)
    caption = (
        f"Between two held-out {what}: codes mixed in equal steps and decoded, above pixels mixed in the same steps. "
        "Where the two rows look alike, the code is little more than linear."
    )
    return Picture("interpolation", caption, figure)


def novelty(scores: Scores, own: str, other: str, caution: str) -> Picture:
    """Errors of both kinds of pictures, and ROC curves of the error beside those of other scores.

    Args:
        scores: of the model, and of what is drawn beside it, the most important first.
        own: what the network learned.
        other: what it did not.
        caution: what a score of this does not mean.
    """
    with style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 5.0))
        draw_errors(left, scores, own, other)
        draw_curves(right, scores)
        figure.suptitle(no_math(f"Trained on {own}: does the error tell {other}?\n({caution})"))
    caption = (
        f"Left: the errors. Right: the share of {other} (up) and of {own} (right) above each threshold, for the error "
        "of this network and of linear rivals, and for scores that need no network. AUC: how often a picture of "
        f"{other} has a larger score than one of {own}, on which alone this network was trained; 0.5 is guessing, "
        f"far below it the other kind is as distinct, but easier to redraw. {caution[0].upper()}{caution[1:]}."
    )
    return Picture("novelty", caption, figure)


def draw_errors(axis: Axes, scores: Scores, own: str, other: str) -> None:
    """Histograms of the network's error, of both kinds of pictures."""
    kinds = [kind.values for kind in scores["model"]]
    both = np.concatenate(kinds)
    largest = float(both.max())
    edges = np.geomspace(max(0.95 * float(both.min()), 1e-9 * largest), 1.05 * largest, 25).tolist()
    names: Sequence[tuple[str, str]] = ((BLUE, f"{own}, held out"), (ORANGE, f"{other}, never trained on"))
    for values, (colour, name) in zip(kinds, names, strict=True):
        weights = np.full(len(values), 1 / len(values))
        label = f"{no_math(name)} ({len(values)})"
        axis.hist(values, edges, weights=weights, alpha=0.6, color=colour, label=label)
    axis.set(xscale="log", xlabel="mean square error per pixel", ylabel="share of the pictures")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.legend(**BELOW)


def draw_curves(axis: Axes, scores: Scores) -> None:
    """ROC curves with areas and their intervals."""
    for (who, pair), colour in zip(scores.items(), (BLUE, ORANGE, GREEN, RED, PURPLE, GREY), strict=False):
        own, other = pair
        curve = roc_table({who: pair})
        low, high = auc_interval(own, other)
        label = f"{named(who)}: {float(auc(own.values, other.values)):.2f} ({low:.2f} to {high:.2f})"
        axis.plot(curve["false_positive_rate"], curve["true_positive_rate"], color=colour, label=label)
    axis.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    axis.set(xlabel="share of its own kind above the threshold", ylabel="share of the other kind", aspect="equal")
    axis.legend(title="AUC (95 % interval)", **BELOW)


def named(who: str) -> str:
    """A method or score in words."""
    return "network" if who == "model" else who.replace("_", " ")
