"""The general Boltzmann machine: recall of half a picture, energies, couplings."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from datamodules.images import ImagesDataModule
from lit_modules.general_boltzmann import LitBoltzmann
from lit_modules.networks.boltzmann.general import cooling
from lit_modules.networks.boltzmann.pixels import isophotes, stretch
from lit_modules.networks.symmetry import symmetries
from pipeline.evaluation.boltzmann.settings import Boltzmann
from pipeline.evaluation.common.bootstrap import root_mean, scored
from pipeline.evaluation.common.panels import WIDTH, bare, mosaic, picture_rows
from pipeline.evaluation.common.pictures import heading, item_table, learned, pairs, pixel_chart, rms, tiles
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, Picture, Result, compared, style

LABELS = {
    "loss": "difference of free energies of data and chains",
    "recall_mse": "mean square error of the recalled half",
    "recall_rms": "root mean square error of the recalled half",
    "energy_nats": "mean energy of pictures (nats)",
    "sample_energy_nats": "mean energy of the machine's own samples (nats)",
}


@torch.no_grad()
def evaluate(model: LitBoltzmann, data: ImagesDataModule, params: Boltzmann) -> Result:
    """Recall beside three ways to guess the other half; energies of pictures, samples and noise."""
    train, held_out = data.images("train"), data.images("test")
    grey, known, n = stretch(held_out), model.left_half, params.evaluate.n_pictures
    answers = recall_by_all(model, grey, train)
    squares = {way: (answer - grey)[:, ~known].square().mean(1) for way, answer in answers.items()}
    errors = {way: float(root_mean(square)) for way, square in squares.items()}
    samples = draw_samples(model, params.evaluate.chains, params.evaluate.sweeps)
    energies = state_energies(model, {"training": stretch(train), "held-out": grey}, samples)
    recalled = model.recall(stretch(train), known)
    mean = {name: float(values.mean()) for name, values in energies.items()}
    metrics: dict[str, Any] = {
        **scored("recall_rms", squares, root_mean),
        "train/recall_rms": rms(recalled[:, ~known], stretch(train)[:, ~known]),
        **compared("energy_nats", {"model": mean["held-out"], "independent_pixels": mean["independent pixels"]}),
        "train/energy_nats": mean["training"],
        "model/sample_energy_nats": mean["samples"],
    }
    with style():
        pictures = [
            Picture(
                "recall",
                "The machine as an associative memory: it sees the left half of pictures it was never trained on and "
                "recalls the right half, averaged over isophotes. The mean picture is what one fills in without it.",
                recall_figure(model, grey[:n], {way: answer[:n] for way, answer in answers.items()}, errors),
            ),
            Picture(
                "energies",
                "Energies of states. Where pictures lie as low as the machine's own samples, and pixels lit "
                "independently with the same mean lie higher, the machine has learned that they belong together.",
                energy_figure(energies),
            ),
            Picture(
                "samples",
                "What the machine dreams of: states cooled from random ones. Each is what would be brighter than some "
                "level in a picture.",
                sample_figure(model, samples),
            ),
            Picture(
                "couplings",
                "Left: how strongly the pixel marked grey is coupled to every other pixel. Red ones are lit together: "
                "in a ring about the centre where it found out by itself that the pictures show round things. "
                "Right: how each hidden unit is coupled to the pixels.",
                coupling_figure(model),
            ),
        ]
    recall = {f"{who}_recall_rms_error".removeprefix("model_"): square.sqrt() for who, square in squares.items()}
    title = "Grey levels of the right half: those of held-out pictures, and as recalled from the left"
    return Result(
        metrics,
        pictures,
        title=heading("General Boltzmann machine", data),
        notes=[learned(data)],
        judged_by=f"{len(held_out)} pictures",
        charts=[pixel_chart(title, grey[:, ~known], answers["model"][:, ~known])],
        items=item_table(data.rows("test"), **recall),
        thumbnails=pairs(grey, torch.where(known, grey, answers["model"]), model.settings.size),
    )


def recall_by_all(model: LitBoltzmann, grey: Tensor, train: Tensor) -> dict[str, Tensor]:
    """The right half by the machine, and by three guesses that need no machine."""
    known, size = model.left_half, model.settings.size
    memory = stretch(symmetries(train).flatten(0, 1))
    nearest = memory[torch.cdist(grey[:, known], memory[:, known]).argmin(1)]
    mirrored = grey.view(-1, size, size).flip(-1).flatten(1)
    return {
        "model": model.recall(grey, known),
        "mean_picture": memory.mean(0).expand_as(grey),
        "nearest_training_picture": nearest,
        "mirrored_half": mirrored,
    }


def draw_samples(model: LitBoltzmann, chains: int, sweeps: int) -> Tensor:
    """States of all units, cooled from random ones, (chains, units)."""
    start = torch.full((chains, len(model.net.offset)), 0.5).bernoulli()
    temperatures = cooling(model.settings.hot, sweeps) + [1.0] * sweeps
    return model.net.anneal(start, temperatures, range(start.shape[1]))


def state_energies(model: LitBoltzmann, grey: dict[str, Tensor], samples: Tensor) -> dict[str, Tensor]:
    """Energies of isophotes with sampled hidden units, of free samples, and of independent pixels."""

    def energy(visible: Tensor) -> Tensor:
        return model.net.energy(model.net.complete(visible, model.temperatures))

    n = model.settings.levels
    levels = ((torch.arange(n) + 0.5) / n)[:, None]
    shapes = {name: isophotes(pictures[:, None], levels).flatten(0, 1) for name, pictures in grey.items()}
    mean = model.net.offset[: model.net.n_visible]
    return {
        "training": energy(shapes["training"]),
        "held-out": energy(shapes["held-out"]),
        "samples": model.net.energy(samples),
        "independent pixels": energy(mean.expand(len(samples), -1).bernoulli()),
    }


def recall_figure(model: LitBoltzmann, grey: Tensor, answers: dict[str, Tensor], errors: dict[str, float]) -> Figure:
    """Originals, the halves given, and both halves as completed by the machine and its rivals."""
    known = model.left_half
    rows = {"original": grey, "given": torch.where(known, grey, torch.nan)}
    names = {"model": "recalled"}
    for way, answer in answers.items():
        rows[f"{names.get(way, way.replace('_', ' '))}\n(error {errors[way]:.3f})"] = torch.where(known, grey, answer)
    rows = {label: tiles(pixels, model.settings.size) for label, pixels in rows.items()}
    return picture_rows(rows, "The right half recalled from the left (RMS error over all held-out pictures)")


def energy_figure(energies: dict[str, Tensor]) -> Figure:
    """Histograms of the energy of four kinds of states."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    values = torch.cat(list(energies.values()))
    bins = np.linspace(float(values.min()), float(values.max()), 60).tolist()
    for (name, group), colour in zip(energies.items(), (BLUE, GREEN, ORANGE, GREY), strict=True):
        axis.hist(group.numpy(), bins=bins, density=True, histtype="step", lw=2, color=colour, label=name)
    axis.set(xlabel="energy E(v, h) in nats", ylabel="fraction per nat", title="How well a state fits the machine")
    axis.legend()
    return figure


def sample_figure(model: LitBoltzmann, samples: Tensor) -> Figure:
    """Free samples, from few lit pixels to many."""
    pictures = tiles(samples, model.settings.size)
    order = pictures.sum((1, 2)).argsort()[torch.linspace(0, len(pictures) - 1, 20).long()]
    figure, axis = plt.subplots(figsize=(WIDTH, WIDTH / 5 + 0.4))
    axis.imshow(mosaic(np.pad(pictures[order], ((0, 0), (1, 1), (1, 1))), 10, fill=0.5), vmin=0, vmax=1)
    axis.set_title("Free samples of the machine, from few lit pixels to many")
    bare(axis)
    return figure


def coupling_figure(model: LitBoltzmann) -> Figure:
    """Couplings of some pixels to all others, and of the hidden units to the pixels."""
    size, weight = model.settings.size, model.net.weight.clone()
    weight.fill_diagonal_(torch.nan)
    places = [(row * size // 6, column * size // 6) for row in (1, 3, 5) for column in (1, 3, 5)]
    pixels = tiles(weight[[row * size + column for row, column in places]], size)
    hidden = tiles(weight[size * size :], size)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 4.3), width_ratios=(1, 1.25))
    limit = float(weight.nan_to_num().abs().quantile(0.999))
    colours = plt.get_cmap("RdBu_r").with_extremes(bad="0.55")
    columns = max(1, round(len(hidden) ** 0.5 * 1.1))
    for axis, maps, width, title in (
        (axes[0], pixels, 3, "of nine pixels"),
        (axes[1], hidden, columns, f"of the {len(hidden)} hidden units"),
    ):
        image = axis.imshow(mosaic(maps, width, fill=np.nan), cmap=colours, vmin=-limit, vmax=limit)
        axis.set_title(f"Couplings {title}")
        bare(axis)
    figure.colorbar(image, ax=axes, shrink=0.8, label="coupling w (nats)")
    return figure
