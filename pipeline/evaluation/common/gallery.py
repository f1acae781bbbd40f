"""The pictures of globular clusters, shown as the course shows them."""

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from pipeline.errors import InputError
from pipeline.evaluation.common.panels import WIDTH, bare, mosaic
from pipeline.evaluation.common.result import Picture, style

IN_A_ROW = 15
THUMBNAIL = 60  # pixels
IN_ALL = 150  # pictures of the row of all
LARGEST = 300  # pixels of a side of a picture in real size
READABLE = 50  # dots per inch that the title needs


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
    files = [raw / row["file"] for row in read_index(raw)]
    row = evenly(files, IN_ALL)
    all_of_them = f"All {len(files)}" if len(row) == len(files) else f"{len(row)} of {len(files)}"
    colour = at_random(files, n, rng, "RGB")
    greys = at_random([grey / row["file"] for row in read_index(grey)], n, rng, "L")
    with style():
        return [
            Picture(
                "all_clusters",
                f"{all_of_them} globular clusters of the sample in one row, and the same row wrapped.",
                all_in_one_row(row, f"{all_of_them} globular clusters in one row, and the row wrapped"),
            ),
            Picture(
                "clusters_in_colour",
                f"{len(colour)} of them at random, in colour, on {colour[0].width} pixels.",
                in_two_rows(colour, f"Globular clusters in colour, {colour[0].width} px"),
            ),
            Picture(
                "clusters_in_grey",
                f"{len(greys)} at random, resized to {greys[0].width} pixels and turned to black and white.",
                in_two_rows(greys, f"Globular clusters in black and white, {greys[0].width} px"),
            ),
        ]


def read_index(folder: Path) -> list[dict[str, str]]:
    """Rows of ``index.csv`` of a folder of pictures.

    Raises:
        InputError: the index cannot be read.
    """
    try:
        with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"{folder}/index.csv: cannot be read; `dvc repro preprocess_images` makes it") from error


def evenly(files: Sequence[Path], n: int) -> list[Path]:
    """At most ``n`` files, spread evenly over all."""
    places = np.linspace(0, len(files) - 1, min(n, len(files))).astype(int)
    return [files[place] for place in places]


def thumbnails(files: Sequence[Path]) -> np.ndarray:
    """Small pictures, each whole on black, (n, THUMBNAIL, THUMBNAIL, 3)."""
    small = (ImageOps.pad(Image.open(file).convert("RGB"), (THUMBNAIL, THUMBNAIL)) for file in files)
    return np.stack([np.asarray(picture) for picture in small])


def at_random(files: Sequence[Path], n: int, rng: np.random.Generator, mode: str) -> list[Image.Image]:
    """At most ``n`` of the pictures, in the middle of black squares of one size, which is at most ``LARGEST``."""
    places = rng.choice(len(files), min(n, len(files)), False)
    pictures = [Image.open(files[place]).convert(mode) for place in places]
    size = min(LARGEST, max(max(picture.size) for picture in pictures))
    return [on_square(picture, size) for picture in pictures]


def on_square(picture: Image.Image, size: int) -> Image.Image:
    """A picture in the middle of a black square, smaller where it is too large."""
    if max(picture.size) > size:
        picture = ImageOps.contain(picture, (size, size))
    square = Image.new(picture.mode, (size, size))
    square.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
    return square


def all_in_one_row(files: Sequence[Path], title: str) -> Figure:
    """The film strip of pictures, and the same wrapped so that each can be seen."""
    small = thumbnails(files)
    rows = -(-len(files) // IN_A_ROW)
    heights = WIDTH / len(files), WIDTH * rows / IN_A_ROW
    figure, (strip, wrapped) = plt.subplots(2, 1, figsize=(WIDTH, sum(heights) + 0.6), height_ratios=heights, dpi=220)
    strip.imshow(mosaic(small, len(files), gap=0), interpolation="antialiased")
    wrapped.imshow(mosaic(small, IN_A_ROW, gap=2, fill=255))
    strip.set_title(title)
    for axis in (strip, wrapped):
        bare(axis)
    return figure


def in_two_rows(pictures: Sequence[Image.Image], title: str) -> Figure:
    """Pictures of one size in two rows at their real size, larger where a title could not be read beside them."""
    columns = -(-len(pictures) // 2)
    rows = -(-len(pictures) // columns)
    width = pictures[0].width
    figure, axis = plt.subplots(
        figsize=(WIDTH, WIDTH * rows / columns + 0.4), dpi=max(READABLE, width * columns / WIDTH)
    )
    axis.imshow(mosaic(np.stack([np.asarray(picture) for picture in pictures]), columns, gap=4, fill=255))
    axis.set_title(title)
    bare(axis)
    return figure
