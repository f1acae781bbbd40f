"""The pictures of globular clusters, shown as the course shows them."""

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from pipeline.errors import InputError
from pipeline.evaluation.common.panels import WIDTH, bare, mosaic
from pipeline.evaluation.common.result import Picture, style

IN_A_ROW = 15
THUMBNAIL = 60  # pixels


def gallery(raw: Path, grey: Path, n: int, seed: int) -> list[Picture]:
    """All pictures in one row, n at random in colour, and n at random in grey.

    Args:
        raw: folder of colour pictures with ``index.csv``, such as data/raw/globular_clusters.
        grey: folder of square grey pictures with ``index.csv``, such as data/images/globular_clusters-255.
        n: pictures to draw.
        seed: of the draw.

    Raises:
        InputError: a folder has no ``index.csv``.
    """
    rng = np.random.default_rng(seed)
    colour_files, grey_files = files(raw), files(grey)
    colour = [Image.open(file).convert("RGB") for file in rng.choice(colour_files, min(n, len(colour_files)), False)]
    greys = [Image.open(file) for file in rng.choice(grey_files, min(n, len(grey_files)), False)]
    with style():
        return [
            Picture(
                "all_clusters",
                f"All {len(colour_files)} globular clusters of the sample in one row, and the same row wrapped.",
                all_in_one_row(colour_files),
            ),
            Picture(
                "clusters_in_colour",
                f"{len(colour)} of them at random, in colour and in their real size of {colour[0].width} pixels.",
                random_pictures(colour, f"Globular clusters in colour, {colour[0].width} px"),
            ),
            Picture(
                "clusters_in_grey",
                f"{len(greys)} at random, resized to {greys[0].width} pixels and turned to black and white.",
                random_pictures(greys, f"Globular clusters in black and white, {greys[0].width} px"),
            ),
        ]


def files(folder: Path) -> list[str]:
    """The pictures of an index, in its order.

    Raises:
        InputError: the index cannot be read.
    """
    try:
        with (folder / "index.csv").open(newline="") as file:
            return [str(folder / row["file"]) for row in csv.DictReader(file)]
    except OSError as error:
        raise InputError(f"{folder}/index.csv: cannot be read; `dvc repro preprocess_images` makes it") from error


def all_in_one_row(paths: list[str]) -> Figure:
    """The film strip of all pictures, and the same wrapped so that each can be seen."""
    thumbnails = np.stack(
        [np.asarray(Image.open(path).convert("RGB").resize((THUMBNAIL, THUMBNAIL))) for path in paths]
    )
    rows = -(-len(paths) // IN_A_ROW)
    heights = WIDTH / len(paths), WIDTH * rows / IN_A_ROW
    figure, (strip, wrapped) = plt.subplots(2, 1, figsize=(WIDTH, sum(heights) + 0.6), height_ratios=heights, dpi=220)
    strip.imshow(mosaic(thumbnails, len(paths), gap=0), interpolation="antialiased")
    wrapped.imshow(mosaic(thumbnails, IN_A_ROW, gap=2, fill=255))
    strip.set_title(f"All {len(paths)} globular clusters in one row, and the row wrapped")
    for axis in (strip, wrapped):
        bare(axis)
    return figure


def random_pictures(pictures: Sequence[Image.Image], title: str) -> Figure:
    """Pictures in two rows at their real size."""
    columns = -(-len(pictures) // 2)
    rows = -(-len(pictures) // columns)
    width = pictures[0].width
    figure, axis = plt.subplots(figsize=(WIDTH, WIDTH * rows / columns + 0.4), dpi=width * columns / WIDTH)
    axis.imshow(mosaic(np.stack([np.asarray(picture) for picture in pictures]), columns, gap=4, fill=255))
    axis.set_title(title)
    bare(axis)
    return figure
