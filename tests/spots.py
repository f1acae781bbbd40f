"""A small set of pictures, for evaluations that need no clusters."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

SIZE, N, TEST = 12, 18, 4  # pixels of a side; pictures, and those held out for the test


def write_spots(folder: Path) -> Path:
    """Grey spots of different sizes with an index, in the format of data/images."""
    (folder / "spots").mkdir()
    rng = np.random.default_rng(0)
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    radius = np.hypot(axis[:, None], axis)
    rows = []
    for k in range(N):
        light = 200 / (1 + np.exp(2 * (radius - rng.uniform(1, 5)))) + rng.uniform(0, 20, radius.shape)
        Image.fromarray(light.astype(np.uint8)).save(folder / f"spots/{k}.png")
        rows.append((f"spots/{k}.png", "spots", str(k), "test" if k < TEST else "val" if k < 6 else "train"))
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "group", "split"), *rows])
    (folder / "preprocess.json").write_text('{"padded": false, "white": 255}')
    return folder
