"""Which pictures are served, scaled how, and what a wrong index says."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.images import ImagesDataModule
from pipeline.errors import InputError

ROWS = [("a", "train"), ("a", "train"), ("a", "val"), ("a", "test"), ("b", "train"), ("b", "val"), ("b", "test")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "set-4"
    rows = []
    for k, (label, split) in enumerate(ROWS):
        (path / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), 10 * k, np.uint8)).save(path / label / f"{k}.png")
        rows.append((f"{label}/{k}.png", label, f"{label}/{k}", split))
    with (path / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "group", "split"), *rows])
    return path


def greys(images: torch.Tensor) -> list[int]:
    assert images.dtype == torch.float32 and images.shape[1:] == (1, 4, 4)
    return (images[:, 0, 0, 0] * 255).round().int().tolist()


def test_labels_and_splits(folder: Path) -> None:
    data = ImagesDataModule(folder, labels=["a"], batch_size=2, seed=1)
    data.setup()
    assert {split: greys(data.splits[split]["image"]) for split in data.splits} == {
        "train": [0, 10], "val": [20], "test": [30],
    }  # fmt: skip
    assert data.other_labels == ["b"]
    assert greys(data.images("test", ["b"])) == [60]
    assert greys(data.images(labels=["b"])) == [40, 50, 60]
    every = ImagesDataModule(folder, labels="all", batch_size=2, seed=1)
    assert every.other_labels == [] and greys(every.images("train")) == [0, 10, 40]
    assert len(next(iter(data.train_dataloader()))["image"]) == 2


def test_white_is_one(folder: Path) -> None:
    Image.new("L", (4, 4), 255).save(folder / "a/0.png")
    assert float(ImagesDataModule(folder, labels=["a"], batch_size=2, seed=1).images("train").max()) == 1.0


def test_mistakes(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no train picture of cat.*it has a, b"):
        ImagesDataModule(folder, labels=["cat"], batch_size=2, seed=1).setup()
    (folder / "b/4.png").write_text("broken")
    with pytest.raises(InputError, match=r"b/4\.png"):
        ImagesDataModule(folder, labels=["b"], batch_size=2, seed=1).setup()
    with pytest.raises(InputError, match="preprocess_images lungs-50"):
        ImagesDataModule(tmp_path / "lungs-50", labels=["a"], batch_size=2, seed=1).setup()
