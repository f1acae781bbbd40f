"""Evaluation and prediction of both Boltzmann machines, and the gallery, on a few drawn clusters."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.images import ImagesDataModule
from lit_modules.boltzmann import LitBoltzmann, LitRBM
from lit_modules.networks.boltzmann.pixels import stretch
from pipeline.errors import InputError
from pipeline.evaluation.boltzmann import evaluation as boltzmann
from pipeline.evaluation.boltzmann.prediction import predict as predict_boltzmann
from pipeline.evaluation.boltzmann.settings import Boltzmann
from pipeline.evaluation.common import gallery
from pipeline.evaluation.rbm import evaluation as rbm
from pipeline.evaluation.rbm.prediction import predict as predict_rbm
from pipeline.evaluation.rbm.settings import Evaluate as RbmEvaluate
from pipeline.evaluation.rbm.settings import Rbm

SIZE, N = 12, 18


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey spots of different sizes with an index, in the format of data/images."""
    folder = tmp_path_factory.mktemp("spots-12")
    (folder / "spots").mkdir()
    rng = np.random.default_rng(0)
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    radius = np.hypot(axis[:, None], axis)
    rows = []
    for k in range(N):
        light = 200 / (1 + np.exp(2 * (radius - rng.uniform(1, 5)))) + rng.uniform(0, 20, radius.shape)
        Image.fromarray(light.astype(np.uint8)).save(folder / f"spots/{k}.png")
        rows.append((f"spots/{k}.png", "spots", str(k), "test" if k < 4 else "val" if k < 6 else "train"))
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "group", "split"), *rows])
    return folder


@pytest.fixture(scope="module")
def data(pictures: Path) -> ImagesDataModule:
    data = ImagesDataModule(pictures, labels="all", batch_size=4, seed=1)
    data.setup("test")
    return data


def section(cls: Any, evaluate: dict[str, Any]) -> Any:
    return cls.model_construct(evaluate=cls.Evaluate(**evaluate))


def machine(cls: Any, data: ImagesDataModule, **changes: Any) -> Any:
    torch.manual_seed(0)
    model = cls(size=SIZE, hidden=5, chains=10, lr=0.1, weight_decay=0.0, **changes)
    model.fit_statistics(data)
    return model.eval()


@pytest.fixture(scope="module")
def general(data: ImagesDataModule) -> LitBoltzmann:
    return machine(LitBoltzmann, data, sweeps=2, hot=2.0, levels=4, recall_sweeps=5)


@pytest.fixture(scope="module")
def restricted(data: ImagesDataModule) -> LitRBM:
    return machine(LitRBM, data, persistent=True, sweeps=1)


def numbers(metrics: Any) -> list[float]:
    if isinstance(metrics, dict):
        return [number for value in metrics.values() for number in numbers(value)]
    return [float(metrics)]


def test_evaluate_general(general: LitBoltzmann, data: ImagesDataModule) -> None:
    result = boltzmann.evaluate(general, data, section(Boltzmann, {"n_pictures": 3, "chains": 20, "sweeps": 5}))
    assert np.isfinite(numbers(result.metrics)).all()
    assert [picture.name for picture in result.pictures] == ["recall", "energies", "samples", "couplings"]
    # by hand: the mean picture over all symmetries is symmetric, so its right half is its left one
    train, test = stretch(data.images("train")), stretch(data.images("test"))
    square = train.mean(0).view(SIZE, SIZE)
    mean = sum(torch.rot90(x, k, (0, 1)) for x in (square, square.T) for k in range(4)) / 8
    right = (test.view(-1, SIZE, SIZE) - mean)[:, :, SIZE // 2 :]
    assert result.metrics["recall RMS error"]["mean picture"] == pytest.approx(float(right.square().mean().sqrt()))
    pixels = test.view(-1, SIZE, SIZE)
    mirrored = pixels[:, :, : SIZE // 2].flip(-1) - pixels[:, :, SIZE // 2 :]
    assert result.metrics["recall RMS error"]["mirrored half"] == pytest.approx(float(mirrored.square().mean().sqrt()))


SETTINGS = {"n_pictures": 3, "draws": 200, "sweeps": [1, 5], "ais_chains": 20, "ais_steps": 20}


def test_evaluate_restricted(restricted: LitRBM, data: ImagesDataModule) -> None:
    result = rbm.evaluate(restricted, data, section(Rbm, SETTINGS))
    assert np.isfinite(numbers(result.metrics)).all()
    assert len(result.pictures) == 5
    # an untrained machine is nearly the independent pixels it starts as: both columns must agree
    for name in ("held-out", "training"):
        row = result.metrics[f"log-likelihood, {name} pictures (nats)"]
        assert row["model"] == pytest.approx(row["independent pixels"], abs=1)
    novelty = result.metrics["nearest training picture better than the model (nats)"]
    assert novelty["copies"] > novelty["held-out"]


def test_log_z_beyond_the_exact_sum(data: ImagesDataModule) -> None:
    torch.manual_seed(0)
    net = rbm.RestrictedBoltzmannMachine(30, 21)
    with torch.no_grad():
        net.weight[:, 20] = 0  # a unit without couplings or bias doubles Z
    log_z, error = rbm.log_partition(net, RbmEvaluate(**{**SETTINGS, "ais_chains": 200}))
    smaller = rbm.RestrictedBoltzmannMachine(30, 20)
    for name in ("weight", "hidden_bias"):
        getattr(smaller, name).data = getattr(net, name).data[..., :20].clone()
    assert rbm.log_partition(smaller, RbmEvaluate(**SETTINGS))[1] == 0
    assert log_z == pytest.approx(smaller.log_partition() + np.log(2), abs=max(4 * error, 1e-3))


def test_explained_by_is_a_log_likelihood() -> None:
    memory = torch.rand(3, 40).clamp(0.05, 0.95)
    visible = torch.rand(2, 40).round()
    exact = torch.distributions.Bernoulli(memory).log_prob(visible[:, None]).sum(-1)
    assert torch.allclose(rbm.explained_by(visible, memory), exact, atol=1e-4)


@pytest.mark.parametrize("family", ["general", "restricted"])
def test_predict(family: str, request: pytest.FixtureRequest, pictures: Path, tmp_path: Path) -> None:
    model = request.getfixturevalue(family)
    predict = predict_boltzmann if family == "general" else predict_rbm
    colour = tmp_path / "colour.png"
    Image.open(pictures / "spots/0.png").convert("RGB").resize((70, 50)).save(colour)
    first, second = (predict([model], colour) for _ in range(2))
    assert first.metrics == second.metrics
    assert len(first.pictures) == 1
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png"):
        predict([model], text)


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
