"""Pictures as rows of pixels, shown as squares and compared; and the words for what was learned from them."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.images import ImagesDataModule
from datamodules.settings import OwnLabel
from pipeline.evaluation.common.charts import Chart, thinned
from pipeline.evaluation.common.result import thumbnails

NAMED = 4  # labels that are written out


def tiles(pixels: Tensor, size: int) -> Tensor:
    """The first size² units of each row as a picture, (n, units) -> (n, size, size)."""
    return pixels[:, : size * size].reshape(-1, size, size)


def rms(answer: Tensor, truth: Tensor) -> Tensor:
    """Root of the mean squared error of intensities in [0, 1], over all pixels."""
    return (answer - truth).square().mean().sqrt()


def item_table(rows: Sequence[dict[str, str]], **measures: Tensor) -> pl.DataFrame:
    """A row for each picture: its file, its label, and what was measured of it.

    Args:
        rows: of the index of a set of pictures, (n,).
        measures: by column, (n,) each.
    """
    columns: dict[str, object] = {"item": [row["file"] for row in rows], "label": [row["label"] for row in rows]}
    return pl.DataFrame(columns | {name: values.double().cpu().numpy() for name, values in measures.items()})


def pairs(originals: Tensor, answers: Tensor, size: int) -> list[NDArray[np.uint8]]:
    """Thumbnails of pictures, (n, size²), above what a model makes of them."""
    return thumbnails(torch.cat([tiles(originals, size), tiles(answers, size)], dim=1).cpu())


def pixel_chart(title: str, truth: Tensor, predicted: Tensor) -> Chart:
    """Grey levels of pixels and what a model takes them to be, of any shape."""
    levels = {"truth": truth.flatten().double().cpu().numpy(), "predicted": predicted.flatten().double().cpu().numpy()}
    return Chart("pixels", "predicted", title, thinned(pl.DataFrame(levels)))


def in_words(labels: Sequence[str]) -> str:
    """Labels for people; of many, the first ones and the number of the rest."""
    more = len(labels) - NAMED
    return ", ".join(labels) if more <= 0 else f"{', '.join(labels[:NAMED])} and {more} more"


def no_math(text: str) -> str:
    """The text as a figure has to be told it: two dollar signs would begin and end mathematics."""
    return text.replace("$", r"\$")


def heading(kind: str, data: ImagesDataModule) -> str | None:
    """The report's heading of a model of this kind; None where the title of its row in models.yaml is true.

    Models with a label of their own are titled there as those of the chain's phantoms.
    """
    match data.settings.labels:
        case "all":
            return None
        case OwnLabel(model=model) if data.drawn and [model.casefold()] == [label.casefold() for label in data.labels]:
            return None
    pictures = data.set_name.replace("_", " ")
    return f"{kind} of {pictures}" + (f": {in_words(data.labels)}" if data.labels != [data.set_name] else "")


def learned(data: ImagesDataModule, noun: str = "pictures") -> str:
    """The sentence that says which pictures, or what ``noun`` calls them, a model was trained on and judged by."""
    train, val, test = (len(data.splits[split]["image"]) for split in ("train", "val", "test"))
    return (
        f"Learned from {train} {noun} labelled {in_words(data.labels)}, watched on {val}, "
        f"judged by {test} that no training saw."
    )
