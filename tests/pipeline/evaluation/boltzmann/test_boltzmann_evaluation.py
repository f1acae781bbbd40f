"""Evaluation and prediction of the general Boltzmann machine, and the gallery, on a few drawn clusters."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from spots import SIZE, N, write_spots

from datamodules.images import ImagesDataModule
from lit_modules.general_boltzmann import LitBoltzmann
from lit_modules.networks.boltzmann.general import BoltzmannMachine
from lit_modules.networks.boltzmann.log_partition import exact_or_bracket
from lit_modules.networks.boltzmann.pixels import stretch
from pipeline.errors import InputError
from pipeline.evaluation.boltzmann import evaluation as boltzmann
from pipeline.evaluation.boltzmann import settings as boltzmann_settings
from pipeline.evaluation.boltzmann.capacity import wrong_pixels
from pipeline.evaluation.boltzmann.prediction import predict as predict_boltzmann
from pipeline.evaluation.common import gallery
from pipeline.evaluation.common.bootstrap import root_mean
from pipeline.evaluation.common.result import Result, numbers


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spots(tmp_path_factory.mktemp("spots-12"))


@pytest.fixture(scope="module")
def data(pictures: Path) -> ImagesDataModule:
    data = ImagesDataModule(pictures, labels="all", batch_size=4, seed=1)
    data.setup("test")
    return data


def section(settings: Any, evaluate: dict[str, Any]) -> Any:
    return SimpleNamespace(evaluate=settings.Evaluate(**evaluate))


def machine(cls: Any, data: ImagesDataModule, **changes: Any) -> Any:
    torch.manual_seed(0)
    model = cls(size=SIZE, hidden=5, chains=10, lr=0.1, weight_decay=0.0, **changes)
    model.fit_statistics(data)
    return model.eval()


@pytest.fixture(scope="module")
def general(data: ImagesDataModule) -> LitBoltzmann:
    return machine(LitBoltzmann, data, sweeps=2, temperatures=3, levels=4, recall_sweeps=5)


def checked(metrics: dict[str, Any], labels: dict[str, str]) -> dict[str, float]:
    """The numbers, each with a label."""
    found = numbers(metrics)
    assert all(re.sub("_(low|high)$", "", key.split("/")[-1]) in labels for key in found)
    return found


SETTINGS = {"n_pictures": 3, "noise": 0.2, "chains": 320, "sweeps": 20, "stored": [2, 4]}


def test_evaluate_general(general: LitBoltzmann, data: ImagesDataModule) -> None:
    result = boltzmann.evaluate(general, data, section(boltzmann_settings, SETTINGS))
    found = checked(result.metrics, boltzmann.LABELS)
    assert found["test/recall_rms_low"] < found["test/recall_rms"] < found["test/recall_rms_high"]
    names = ["recall", "cleaned", "capacity", "surprise", "samples", "couplings"]
    assert [picture.name for picture in result.pictures] == names
    assert result.title is None
    assert result.notes == ["Learned from 12 pictures labelled spots, watched on 2, judged by 4 that no training saw."]
    # a machine that was never trained is nearly the independent pixels it starts as
    for model, rival in (("test", "baseline"), ("train", "train/baseline")):
        independent = found[f"{rival}/independent_pixels/log_likelihood_nats"]
        assert found[f"{model}/log_likelihood_nats"] == pytest.approx(independent, abs=1)
    assert found["model/log_z_nats_low"] < found["model/log_z_nats"] < found["model/log_z_nats_high"]
    # by hand: the mean picture over all symmetries is symmetric, so its right half is its left one
    train, test = stretch(data.images("train")), stretch(data.images("test"))
    square = train.mean(0).view(SIZE, SIZE)
    mean = sum(torch.rot90(x, k, (0, 1)) for x in (square, square.T) for k in range(4)) / 8
    right = (test.view(-1, SIZE, SIZE) - mean)[:, :, SIZE // 2 :]
    assert found["baseline/mean_picture/recall_rms"] == pytest.approx(float(right.square().mean().sqrt()))
    pixels = test.view(-1, SIZE, SIZE)
    mirrored = pixels[:, :, : SIZE // 2].flip(-1) - pixels[:, :, SIZE // 2 :]
    assert found["baseline/mirrored_half/recall_rms"] == pytest.approx(float(mirrored.square().mean().sqrt()))
    items, [chart] = described(result, data), result.charts
    by_hand = mirrored.square().mean((1, 2)).sqrt()
    assert items["mirrored_half_recall_rms_error"].to_list() == pytest.approx(by_hand.tolist())
    assert root_mean(items["recall_rms_error"] ** 2) == pytest.approx(found["test/recall_rms"])
    assert chart.table["truth"].to_list() == pytest.approx(pixels[:, :, SIZE // 2 :].flatten().tolist())
    assert root_mean((chart.table["predicted"] - chart.table["truth"]) ** 2) == pytest.approx(found["test/recall_rms"])


def test_a_learned_memory_keeps_more_pictures_than_hebbs() -> None:
    torch.manual_seed(0)
    wrong = wrong_pixels(torch.arange(64) % 8 < 4, [2, 16])
    assert wrong["model"][0] < 0.02 and wrong["hebbs_rule"][0] < 0.02
    assert wrong["model"][1] < 0.05 < wrong["hebbs_rule"][1] < 0.4


def described(result: Result, data: ImagesDataModule) -> pl.DataFrame:
    """The rows of the held-out pictures, each with its picture."""
    items = result.items
    assert items is not None and items["item"].to_list() == [row["file"] for row in data.rows("test")]
    assert len(result.thumbnails) == 4 and result.thumbnails[0].shape[0] == 2 * result.thumbnails[0].shape[1]
    return items


def test_predict(general: LitBoltzmann, pictures: Path, tmp_path: Path) -> None:
    colour = tmp_path / "colour.png"
    Image.open(pictures / "spots/0.png").convert("RGB").resize((70, 50)).save(colour)
    for clean, measure in ((None, "recall_rms"), (0.2, "changed_rms")):
        first, second = (predict_boltzmann([general], colour, clean=clean) for _ in range(2))
        assert first.metrics == second.metrics and 0 < float(first.metrics[measure]) < 1
        assert len(first.pictures) == 1
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png"):
        predict_boltzmann([general], text)
    flat = tmp_path / "flat.png"
    Image.new("L", (70, 50), 90).save(flat)
    with pytest.raises(InputError, match=r"flat\.png: a picture of a single grey"):
        predict_boltzmann([general], flat, clean=0.2)


def test_log_z_of_few_units_is_exact() -> None:
    few = BoltzmannMachine(6, 2)
    torch.nn.init.normal_(few.upper)
    found = exact_or_bracket(few, SETTINGS["chains"], SETTINGS["sweeps"])
    assert found.low == found.value == found.high == few.log_partition()


def test_gallery(pictures: Path, tmp_path: Path) -> None:
    shown = gallery.gallery(pictures, pictures, 7, 1)
    assert [picture.name for picture in shown] == ["all_clusters", "clusters_in_colour", "clusters_in_grey"]
    assert f"All {N}" in shown[0].caption and shown[1].caption.startswith("7 ")
    strip = shown[0].figure.axes[0].images[0].get_array()
    assert strip is not None and strip.shape[1] == N * strip.shape[0]
    again = gallery.gallery(pictures, pictures, 7, 1)
    other = gallery.gallery(pictures, pictures, 7, 2)
    first, same, different = (np.asarray(g[1].figure.axes[0].images[0].get_array()) for g in (shown, again, other))
    assert np.array_equal(first, same) and not np.array_equal(first, different)
    with pytest.raises(InputError, match=r"index\.csv"):
        gallery.gallery(tmp_path, pictures, 7, 1)
