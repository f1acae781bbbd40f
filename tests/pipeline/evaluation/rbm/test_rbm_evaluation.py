"""Evaluation and prediction of the restricted Boltzmann machine, of one bit a pixel and of three, on drawn spots."""

import argparse
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from spots import SIZE, TEST, write_spots
from torch.distributions import Bernoulli, Categorical

from datamodules.images import ImagesDataModule
from lit_modules.boltzmann import LitRBM
from lit_modules.networks.boltzmann.log_partition import exact_or_bracket
from lit_modules.networks.boltzmann.machine import independent_pixels
from lit_modules.networks.boltzmann.pixels import chances, stretch
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine
from lit_modules.networks.symmetry import symmetries
from pipeline.errors import InputError
from pipeline.evaluation.common.bootstrap import root_mean
from pipeline.evaluation.common.result import numbers
from pipeline.evaluation.common.surprise import log_likelihoods
from pipeline.evaluation.rbm import arguments, evaluation, film, likeness, recognition, settings
from pipeline.evaluation.rbm.prediction import predict

SETTINGS: dict[str, Any] = {"n_pictures": 3, "draws": 100, "sweeps": [1, 5], "samples": 20}
SETTINGS |= {"ais_chains": 32, "ais_steps": 20}


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


@pytest.fixture(scope="module", params=[1, 3], ids=["one bit", "three bits"])
def machine(request: pytest.FixtureRequest, data: ImagesDataModule) -> LitRBM:
    torch.manual_seed(0)
    chains = {"chains": 10, "negative": "pcd", "sweeps": 1, "temperatures": 2, "offset_rate": 0.0}
    model = LitRBM(size=SIZE, hidden=5, levels=request.param, lr=0.1, weight_decay=0.0, **chains)
    model.fit_statistics(data)
    return model.eval()


def test_evaluate(machine: LitRBM, data: ImagesDataModule) -> None:
    section: Any = SimpleNamespace(evaluate=settings.Evaluate(**SETTINGS))
    result = evaluation.evaluate(machine, data, section)
    found = numbers(result.metrics)
    assert all(re.sub("_(low|high)$", "", key.split("/")[-1]) in evaluation.LABELS for key in found)
    # an untrained machine is nearly the independent pixels it starts as: both columns must agree
    for model, rival in (("test", "baseline"), ("train", "train/baseline")):
        likelihood = found[f"{rival}/independent_pixels/log_likelihood_nats"]
        assert found[f"{model}/log_likelihood_nats"] == pytest.approx(likelihood, abs=1)
    for what in likeness.LABELS:
        assert {f"test/{what}", f"baseline/independent_pixels/{what}"} <= set(found), what
    assert not {"test/two_sample_auc_low", "test/two_sample_auc_high"} & set(found), "too narrow for so few pictures"
    items = result.items
    assert items is not None and items["item"].to_list() == [row["file"] for row in data.rows("test")]
    assert items["log_likelihood_nats"].mean() == pytest.approx(found["test/log_likelihood_nats"], rel=1e-6)
    # without couplings log p is linear in the bits, so that its mean over draws is that of their chances
    pictures = chances(stretch(data.images("test")), machine.net.levels)
    expected = log_likelihoods(machine.net, pictures, 0.0)["independent_pixels"].tolist()
    assert items["independent_pixels_log_likelihood_nats"].to_list() == pytest.approx(expected, abs=3)
    assert max(expected) - min(expected) > 10
    assert root_mean(items["reconstruction_rms_error"] ** 2) == pytest.approx(found["test/reconstruction_rms"])
    assert len(result.thumbnails) == TEST
    table = next(chart for chart in result.charts if chart.name == "concentration").table
    assert root_mean((table["predicted"] - table["truth"]) ** 2) == pytest.approx(found["test/concentration_rms"])
    names = ["from_noise", "grown_from_one", "grown_from_several", "likeness", "reconstruction", "alike"]
    assert [picture.name for picture in result.pictures] == [*names, "free_energies", "filters"]
    [chain] = result.animations
    assert {frame.size for frame in chain.frames} == {chain.frames[0].size}


def test_log_likelihoods_are_those_of_the_states(machine: LitRBM) -> None:
    torch.manual_seed(0)
    net = machine.net
    with torch.no_grad():
        bits = independent_pixels(net, 6)
        found = log_likelihoods(net, bits, 0.0)["independent_pixels"]
        mean = net.base.view(net.levels, -1)
        if net.levels == 1:
            exact = Bernoulli(logits=mean[0]).log_prob(bits)
        else:  # a pixel's states have the logits 0, field 1, field 1 + field 2, ...
            logits = torch.cat([torch.zeros_like(mean[:1]), mean.cumsum(0)]).T
            exact = Categorical(logits=logits).log_prob(bits.view(6, net.levels, -1).sum(1))
    assert found.tolist() == pytest.approx(exact.sum(1).tolist(), rel=1e-4)


def test_independent_pixels_have_the_mean_of_the_training(machine: LitRBM) -> None:
    torch.manual_seed(0)
    net = copy.deepcopy(machine.net)
    torch.nn.init.ones_(net.visible_bias)  # of a training, which moves the machine but not where it began
    mean = independent_pixels(net, 4000).mean(0)
    assert (mean - net.offset).abs().max() < 0.04


def test_log_z_beyond_the_exact_sum() -> None:
    """More pixels and hidden units than can be summed, but hidden units without couplings just double Z."""
    torch.manual_seed(0)
    smaller, net = RestrictedBoltzmannMachine(30, 10), RestrictedBoltzmannMachine(30, 21)
    with torch.no_grad():
        net.weight[:, :10], net.weight[:, 10:] = smaller.weight, 0
    exact = exact_or_bracket(smaller, SETTINGS["ais_chains"], SETTINGS["ais_steps"])
    assert exact.low == exact.value == exact.high
    found = exact_or_bracket(net, 320, SETTINGS["ais_steps"])
    assert found.low <= found.value <= found.high < found.low + 0.5
    assert found.value == pytest.approx(exact.value + 11 * np.log(2), abs=0.05)


def test_likeness_of_copies_and_of_few() -> None:
    rng = np.random.default_rng(0)
    memory, held_out = rng.random((30, SIZE, SIZE)), rng.random((6, SIZE, SIZE))
    found = likeness.likeness({"model": memory, "noise": rng.random((30, SIZE, SIZE))}, held_out, memory)
    assert found["test/memorisation"] == 1 and found["test/nearest_original_rms"] == pytest.approx(0, abs=1e-6)
    assert 0.2 < found["baseline/noise/memorisation"] < 0.8
    assert 0.2 < found["test/two_sample_auc"] < 0.8, "noise like noise"
    few = likeness.likeness({"model": memory}, held_out[:5], memory)
    assert "test/memorisation" in few and "test/two_sample_auc" not in few


def test_concentration_of_a_normal_spot_and_of_none() -> None:
    axis = torch.arange(101.0) - 50
    radius = torch.hypot(axis[:, None], axis)
    spots = torch.stack([torch.exp(-((radius / s) ** 2) / 2) for s in (8.0, 16.0)])[:, None]
    exact = 5 * np.log10(np.sqrt(np.log(5) / np.log(1.25)))  # the width does not matter
    assert recognition.concentration(spots).tolist() == pytest.approx([exact, exact], abs=0.1)
    assert recognition.concentration(torch.ones(1, 1, 9, 9)).tolist() == [0.0], "no light above the sky"


def test_recognition(machine: LitRBM) -> None:
    torch.manual_seed(0)
    grey = torch.rand(20, SIZE * SIZE)
    turned = symmetries(grey.view(20, 1, SIZE, SIZE)).flatten(2)
    with torch.no_grad():
        found = recognition.alike(machine.net, turned[3, :4], turned.flatten(0, 1), 3)
    assert found[:, 0].tolist() == [60, 61, 62, 63], "a picture is most like itself, turned as it is"
    assert all(len(set(originals)) == 3 for originals in (found % 20).tolist()), "each original once"


def test_a_symmetric_picture_is_alike_to_different_originals(machine: LitRBM) -> None:
    """All symmetries of a disc have one code; nothing else may be crowded out by them."""
    axis = torch.arange(SIZE) - (SIZE - 1) / 2
    radius = torch.hypot(axis[:, None], axis)
    discs = torch.stack([(radius < r).float() for r in (2, 3, 4, 5)])[:, None]
    with torch.no_grad():
        found = recognition.alike(machine.net, discs[:1].flatten(1), symmetries(discs).flatten(0, 1).flatten(1), 3)
        every = recognition.alike(machine.net, discs[:1].flatten(1), symmetries(discs).flatten(0, 1).flatten(1), 9)
    assert len(set((found % 4).flatten().tolist())) == 3 and int(found[0, 0]) % 4 == 0
    assert sorted((every % 4).flatten().tolist()) == [0, 1, 2, 3], "no more than there are"


def test_linear_probe() -> None:
    rng = np.random.default_rng(0)
    numbers_of, rule = rng.normal(size=(50, 4)), rng.normal(size=4)
    read = recognition.probe(numbers_of[:40], numbers_of[:40] @ rule + 3, numbers_of[40:])
    assert read == pytest.approx(numbers_of[40:] @ rule + 3, abs=0.01)


@pytest.mark.parametrize("size", [12, 50, 300])
def test_frames_have_readable_pictures(size: int) -> None:
    shown = film.sweeps_shown(500)
    assert shown[:3] == [0, 1, 2] and shown[-1] == 500 and len(shown) <= film.FRAMES
    frame = film.frame(np.random.default_rng(0).random((5, size, size)), 7, columns=3)
    assert 3 * film.TILE / 2 <= frame.width <= 3.2 * film.TILE


def test_predict(machine: LitRBM, pictures: Path, tmp_path: Path) -> None:
    colour = tmp_path / "colour.png"
    Image.open(pictures / "spots/0.png").convert("RGB").resize((70, 50)).save(colour)
    asked: dict[str, Any] = {"samples": 7, "sweeps": 3}
    first, second = (predict([machine], colour, **asked) for _ in range(2))
    assert first.metrics == second.metrics
    family = predict([machine], colour, parents=[pictures / "spots/1.png"], **asked)
    dreams = predict([machine], tmp_path / "rbm.ckpt", noise=True, **asked)
    for result in (first, family, dreams):
        [artificial] = result.hdus["artificial"]
        assert artificial.data.shape == (7, SIZE, SIZE)
        steps = artificial.data * machine.net.levels
        assert np.allclose(steps, steps.round()), "grey levels of the machine"
    assert not np.array_equal(first.hdus["artificial"][0].data, family.hdus["artificial"][0].data)
    assert "original_rms" not in dreams.metrics
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png"):
        predict([machine], colour, parents=[text], **asked)
    for path, parents in ((colour, []), (tmp_path / "rbm.ckpt", [colour])):
        with pytest.raises(InputError, match=r"colour\.png beside --noise"):
            predict([machine], path, noise=True, parents=parents, **asked)
    flat = tmp_path / "flat.png"
    Image.new("RGB", (70, 50), (90, 80, 70)).save(flat)
    for path, parents in ((flat, []), (colour, [flat])):
        with pytest.raises(InputError, match=r"flat\.png: a picture of a single grey"):
            predict([machine], path, parents=parents, **asked)


def test_many_samples_are_all_in_the_cube_and_some_in_the_mosaic(machine: LitRBM, tmp_path: Path) -> None:
    result = predict([machine], tmp_path / "rbm.ckpt", noise=True, samples=70, sweeps=1)
    assert result.hdus["artificial"][0].data.shape == (70, SIZE, SIZE)
    [shown] = result.pictures
    assert shown.caption.startswith("Artificial pictures after 1 Gibbs sweep from noise. The first 60 of 70;")
    mosaic = shown.figure.axes[0].images[0].get_array()
    assert mosaic is not None and mosaic.shape == (10 * SIZE + 9, 6 * SIZE + 5)


def test_labels_of_rows_lie_inside_the_figure(machine: LitRBM, pictures: Path) -> None:
    figure = predict([machine], pictures / "spots/0.png", samples=2, sweeps=1).pictures[0].figure
    figure.canvas.draw()
    boxes = [axis.yaxis.label.get_window_extent() for axis in figure.axes]
    assert min(box.x0 for box in boxes) >= 0, "nothing of the words is cut"


def test_arguments() -> None:
    parser = argparse.ArgumentParser()
    arguments.add_arguments(parser)
    parser.add_argument("--checkpoint")
    parser.add_argument("--weights", type=Path)
    assert arguments.inputs(parser.parse_args(["a.png", "--with", "b.png"])) == [Path("a.png")]
    assert arguments.inputs(parser.parse_args(["--noise"])) == [Path("models/rbm.ckpt")]
    assert arguments.inputs(parser.parse_args(["--noise", "--weights", "w.zip"])) == [Path("w.zip")]
    limits = (["--sweeps", "100001"], ["--samples", "1001"], ["--samples", "0"], ["--samples", "2.5"])
    for words in limits:
        with pytest.raises(SystemExit):
            parser.parse_args(words)
    assert parser.parse_args(["--sweeps", "1e5", "--samples", "1000"]).sweeps == 100_000
    for words, told in ([], "no input"), (["a.png", "--noise"], "a.png beside --noise"):
        with pytest.raises(InputError, match=told):
            arguments.inputs(parser.parse_args(words))
