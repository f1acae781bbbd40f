"""Which pictures are served, scaled how, and what a wrong index says."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.images import ImagesDataModule, label_of
from datamodules.settings import OwnLabel, PictureData
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
    (path / "preprocess.json").write_text('{"padded": true, "white": 4095}')
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


def own(folder: Path, model: str) -> ImagesDataModule:
    labels = PictureData(labels="auto", batch_size=2).of_model(f"kind-{model}", ["kind-healthy", "kind-covid"]).labels
    return ImagesDataModule(folder, labels=labels, batch_size=2, seed=1)


def test_auto_is_a_label_of_the_set(folder: Path) -> None:
    assert own(folder, "healthy").labels == ["a"] and own(folder, "covid").labels == ["b"]
    assert own(folder, "covid").other_labels == ["a"]


@pytest.mark.parametrize(
    ("labels", "healthy", "covid"),
    [
        (["covid", "healthy"], "healthy", "covid"),
        (["COVID", "Healthy", "other"], "Healthy", "COVID"),
        (["ill", "well"], "ill", "well"),
        (["a", "b", "c"], "a", "b"),
        (["covid", "sain"], "sain", "covid"),
        (["abnormal", "healthy"], "healthy", "abnormal"),
        (["lungs"], "lungs", "lungs"),
        (["covid"], "covid", "covid"),
        (["больной", "здоровый"], "больной", "здоровый"),
    ],
)
def test_label_of_a_model(labels: list[str], healthy: str, covid: str) -> None:
    models = ["healthy", "covid"]
    assert [label_of(model, models, labels) for model in models] == [healthy, covid]


def test_a_model_without_a_label_in_its_name_takes_the_first() -> None:
    settings = PictureData(labels="auto", batch_size=2).of_model("rbm", ["rbm"])
    assert isinstance(settings.labels, OwnLabel)
    assert label_of(settings.labels.model, settings.labels.models, ["a", "b"]) == "a"


def test_novel_pictures_are_of_nobody_trained_on(folder: Path) -> None:
    data = ImagesDataModule(folder, labels=["a"], batch_size=2, seed=1)
    novel = data.novel()
    assert novel is not None and greys(novel) == [40, 50, 60]
    data.index[4]["group"] = data.index[0]["group"]  # picture 4 of label b shows whom picture 0 shows
    novel = data.novel()
    assert novel is not None and greys(novel) == [50, 60]
    assert ImagesDataModule(folder, labels="all", batch_size=2, seed=1).novel() is None


def test_how_pictures_were_prepared(folder: Path) -> None:
    data = ImagesDataModule(folder, labels=["a"], batch_size=2, seed=1)
    assert (data.padded, data.white) == (True, 4095)
    (folder / "preprocess.json").unlink()
    with pytest.raises(InputError, match=r"preprocess\.json: cannot be read; .*preprocess_images set-4"):
        _ = ImagesDataModule(folder, labels=["a"], batch_size=2, seed=1).padded


def test_nothing_to_learn_from(folder: Path) -> None:
    with pytest.raises(InputError, match="only one train picture of b, too few"):
        ImagesDataModule(folder, labels=["b"], batch_size=2, seed=1).setup()
    Image.new("L", (4, 4), 10).save(folder / "a/0.png")
    with pytest.raises(InputError, match="only 2 equal train pictures of a, too few"):
        ImagesDataModule(folder, labels=["a"], batch_size=2, seed=1).setup()


def test_white_is_one(folder: Path) -> None:
    Image.new("L", (4, 4), 255).save(folder / "a/0.png")
    assert float(ImagesDataModule(folder, labels=["a"], batch_size=2, seed=1).images("train").max()) == 1.0


def test_mistakes(folder: Path, tmp_path: Path) -> None:
    for labels in (["cat"], ["a", "cat"]):
        with pytest.raises(InputError, match=r"no label cat; it has a, b: correct data\.labels or add pictures"):
            ImagesDataModule(folder, labels=labels, batch_size=2, seed=1).setup()
    (folder / "b/4.png").write_text("broken")
    with pytest.raises(InputError, match=r"b/4\.png"):
        ImagesDataModule(folder, labels=["b"], batch_size=2, seed=1).setup()
    with pytest.raises(InputError, match="preprocess_images lungs-50"):
        ImagesDataModule(tmp_path / "lungs-50", labels=["a"], batch_size=2, seed=1).setup()
