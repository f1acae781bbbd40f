"""Figures of the general Boltzmann machine."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from lit_modules.general_boltzmann import LitBoltzmann
from pipeline.evaluation.common.panels import WIDTH, bare, mosaic, picture_rows
from pipeline.evaluation.common.pictures import tiles
from pipeline.evaluation.common.result import BLUE, GREY, ORANGE


def answers_figure(
    given: dict[str, Tensor], answers: dict[str, Tensor], errors: dict[str, float], size: int, title: str
) -> Figure:
    """What is given, and what the machine and its rivals make of it.

    Args:
        given: label to pictures, (n, pixels).
        answers: the machine's, ``model``, and those of rivals.
        errors: of the same.
        size: pixels of a side.
        title: of the figure; errors are named in it.
    """
    rows = dict(given)
    for way, answer in answers.items():
        name = "by the machine" if way == "model" else way.replace("_", " ")
        rows[f"{name}\n(error {errors[way]:.3f})"] = answer
    return picture_rows({label: tiles(pixels, size).cpu() for label, pixels in rows.items()}, title)


def capacity_figure(numbers: list[int], wrong: dict[str, list[float]]) -> Figure:
    """Wrong pixels over the number of stored pictures."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    for (name, label), colour in zip(
        {"model": "learned", "hebbs_rule": "Hebb's rule"}.items(), (BLUE, ORANGE), strict=True
    ):
        axis.plot(numbers, [100 * share for share in wrong[name]], "o-", color=colour, label=label)
    axis.axhline(50, color=GREY, ls=":", label="chance")
    axis.set_xscale("log", base=2)
    axis.set(
        xlabel="random pictures stored together",
        ylabel="wrong pixels of the other half (%)",
        title="How many pictures can be remembered",
    )
    axis.set_xticks(numbers, [str(number) for number in numbers])
    axis.legend()
    return figure


def sample_figure(samples: Tensor, size: int) -> Figure:
    """Free samples, from few lit pixels to many."""
    pictures = tiles(samples, size).cpu()
    order = pictures.sum((1, 2)).argsort()[torch.linspace(0, len(pictures) - 1, 20).long()]
    figure, axis = plt.subplots(figsize=(WIDTH, WIDTH / 5 + 0.4))
    axis.imshow(mosaic(np.pad(pictures[order], ((0, 0), (1, 1), (1, 1))), 10, fill=0.5), vmin=0, vmax=1)
    axis.set_title("Free samples of the machine, from few lit pixels to many")
    bare(axis)
    return figure


def coupling_figure(model: LitBoltzmann) -> Figure:
    """Couplings of some pixels to all others, and of the hidden units to the pixels, each on a scale of its own."""
    size, weight = model.settings.size, model.net.weight.cpu()
    weight.fill_diagonal_(torch.nan)
    places = [(row * size // 6, column * size // 6) for row in (1, 3, 5) for column in (1, 3, 5)]
    pixels = tiles(weight[[row * size + column for row, column in places]], size)
    hidden = tiles(weight[size * size :], size)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 4.9), width_ratios=(1, 1.25))
    colours = plt.get_cmap("RdBu_r").with_extremes(bad="0.55")
    columns = max(1, round(len(hidden) ** 0.5 * 1.1))
    for axis, maps, width, title in (
        (axes[0], pixels, 3, "of nine pixels"),
        (axes[1], hidden, columns, f"of the {len(hidden)} hidden units"),
    ):
        limit = float(maps.nan_to_num().abs().quantile(0.999))
        image = axis.imshow(mosaic(maps, width, fill=np.nan), cmap=colours, vmin=-limit, vmax=limit)
        axis.set_title(f"Couplings {title}")
        bare(axis)
        figure.colorbar(image, ax=axis, orientation="horizontal", shrink=0.8, label="coupling w (nats)")
    return figure
