"""The general Boltzmann machine: likelihood, and memory of half pictures, of noisy ones and of many."""

from typing import Any

import numpy as np
import torch
from scipy.ndimage import median_filter
from torch import Tensor

from datamodules.images import ImagesDataModule
from lit_modules.general_boltzmann import LitBoltzmann
from lit_modules.networks.boltzmann.log_partition import exact_or_bracket
from lit_modules.networks.boltzmann.machine import independent_pixels
from lit_modules.networks.boltzmann.pixels import stretch
from lit_modules.networks.symmetry import symmetries
from pipeline.evaluation.boltzmann.capacity import wrong_pixels
from pipeline.evaluation.boltzmann.figures import (
    answers_figure,
    capacity_figure,
    coupling_figure,
    sample_figure,
)
from pipeline.evaluation.boltzmann.settings import Boltzmann
from pipeline.evaluation.common.bootstrap import root_mean, scored
from pipeline.evaluation.common.pictures import heading, item_table, learned, pairs, pixel_chart, rms
from pipeline.evaluation.common.result import Picture, Result, compared, style
from pipeline.evaluation.common.surprise import log_likelihoods, log_z_measures, surprise_figure

LABELS = {
    "energy_gap": "difference of free energies of data and chains (nats)",
    "free_energy_gap": "mean free energy of isophotes above that of training ones (nats)",
    "log_likelihood": "log-likelihood of an isophote (nats)",
    "recall_mse": "mean square error of the recalled half",
    "recall_rms": "root mean square error of the recalled half",
    "changed_rms": "root mean square change of the cleaned picture",
    "cleaned_rms": "root mean square error of cleaned pictures",
    "wrong_pixels_percent": "wrong pixels of recalled random pictures, mean over the numbers of stored pictures (%)",
    "log_likelihood_nats": "log-likelihood of an isophote (nats)",
    "log_z_nats": "log Z (nats)",
}


@torch.no_grad()
def evaluate(model: LitBoltzmann, data: ImagesDataModule, params: Boltzmann) -> Result:
    """Recall and cleaning beside ways that need no machine, likelihood beside independent pixels, and capacity."""
    settings, known, size = params.evaluate, model.left_half, model.settings.size
    train, grey = (stretch(data.images(split)).to(model.device) for split in ("train", "test"))
    memory = stretch(symmetries(data.images("train")).flatten(0, 1)).to(model.device)
    answers = recall_by_all(model, grey, memory)
    noisy = torch.where(torch.rand_like(grey) < settings.noise, torch.rand_like(grey), grey)
    cleaned = clean_by_all(model, noisy, memory, settings.noise)
    recall = {way: (answer - grey)[:, ~known].square().mean(1).cpu() for way, answer in answers.items()}
    cleaning = {way: (answer - grey).square().mean(1).cpu() for way, answer in cleaned.items()}
    log_z = exact_or_bracket(model.net, settings.chains, settings.sweeps)
    likelihood = {
        split: {who: x.view(len(pictures), -1).mean(1) for who, x in nats.items()}
        for split, pictures in (("train", train), ("test", grey))
        for nats in [log_likelihoods(model.net, model.shapes(pictures), log_z.value)]
    }
    samples = draw_samples(model, settings.chains, settings.sweeps)
    wrong = wrong_pixels(known, settings.stored)
    recalled = model.recall(train, known)
    metrics: dict[str, Any] = {
        **scored("recall_rms", recall, root_mean),
        "train/recall_rms": rms(recalled[:, ~known], train[:, ~known]),
        **scored("cleaned_rms", cleaning, root_mean),
        **scored("log_likelihood_nats", likelihood["test"]),
        **compared("log_likelihood_nats", {who: x.mean() for who, x in likelihood["train"].items()}, "train"),
        **log_z_measures(log_z),
        **compared("wrong_pixels_percent", {rule: 100 * np.mean(shares) for rule, shares in wrong.items()}),
    }
    n = settings.n_pictures
    shown = {"original": grey[:n], "given": torch.where(known, grey, torch.nan)[:n]}
    halves = {way: torch.where(known, grey, answer)[:n] for way, answer in answers.items()}
    surprise = {
        "training": model.net.free_energy(model.shapes(train)),
        "held-out": model.net.free_energy(model.shapes(grey)),
        "artificial": model.net.free_energy(samples),
        "independent pixels": model.net.free_energy(independent_pixels(model.net, len(samples))),
    }
    with style():
        pictures = [
            Picture(
                "recall",
                "The machine as an associative memory: it sees the left half of pictures it was never trained on and "
                "recalls the right half, averaged over isophotes. The mean picture is what one fills in without it.",
                answers_figure(shown, halves, means(recall), size, "The right half recalled from the left (RMS error)"),
            ),
            Picture(
                "cleaned",
                f"The same pictures with {100 * settings.noise:.0f} % of their pixels replaced by any grey. The "
                "machine is told how many are wrong, not which ones.",
                answers_figure(
                    {"original": grey[:n]},
                    {way: answer[:n] for way, answer in cleaned.items()},
                    means(cleaning),
                    size,
                    "Noisy pictures cleaned (RMS error)",
                ),
            ),
            Picture(
                "capacity",
                f"Machines of {known.numel()} pixels that store random pictures and recall their right halves from "
                "their left ones: learned by contrastive divergence, and wired by Hebb's rule.",
                capacity_figure(settings.stored, wrong),
            ),
            Picture(
                "surprise",
                "Surprise -log p(v) of isophotes, of the machine's own samples and of pixels lit independently with "
                "the same mean. Where pictures and samples lie together, the machine has learned what pictures are. "
                "The interval of the mean log-likelihood is over pictures and leaves out that of log Z.",
                surprise_figure({name: values + log_z.value for name, values in surprise.items()}),
            ),
            Picture(
                "samples",
                "What the machine dreams of: its own samples. Each is what would be brighter than some level in a "
                "picture.",
                sample_figure(samples, size),
            ),
            Picture(
                "couplings",
                "Left: how strongly the pixel marked grey is coupled to every other pixel: red ones tend to be lit "
                "together with it, often in a ring about the centre, and blue ones not. Right: how each hidden "
                "unit is coupled to the pixels. Each side has a scale of its own.",
                coupling_figure(model),
            ),
        ]
    items = {f"{who}_recall_rms_error".removeprefix("model_"): square.sqrt() for who, square in recall.items()}
    title = "Grey levels of the right half: those of held-out pictures, and as recalled from the left"
    return Result(
        metrics,
        pictures,
        title=heading("General Boltzmann machine", data),
        notes=[learned(data)],
        judged_by=f"{len(grey)} pictures",
        charts=[pixel_chart(title, grey[:, ~known], answers["model"][:, ~known])],
        items=item_table(data.rows("test"), **items),
        thumbnails=pairs(grey, torch.where(known, grey, answers["model"]), size),
    )


def means(squares: dict[str, Tensor]) -> dict[str, float]:
    """Root mean square error over all pictures, by way."""
    return {way: root_mean(square) for way, square in squares.items()}


def recall_by_all(model: LitBoltzmann, grey: Tensor, memory: Tensor) -> dict[str, Tensor]:
    """The right half by the machine, and by three guesses that need no machine.

    Args:
        model: the machine.
        grey: pictures, (n, pixels).
        memory: training pictures in all their turns and mirrors, (m, pixels).
    """
    known, size = model.left_half, model.settings.size
    return {
        "model": model.recall(grey, known),
        "mean_picture": memory.mean(0).expand_as(grey),
        "nearest_training_picture": memory[torch.cdist(grey[:, known], memory[:, known]).argmin(1)],
        "mirrored_half": grey.view(-1, size, size).flip(-1).flatten(1),
    }


def clean_by_all(model: LitBoltzmann, noisy: Tensor, memory: Tensor, noise: float) -> dict[str, Tensor]:
    """Pictures without their noise, by the machine and by other ways; see ``recall_by_all``."""
    pictures = noisy.view(-1, model.settings.size, model.settings.size).cpu().numpy()
    return {
        "noisy_picture": noisy,
        "model": model.clean(noisy, noise),
        "mean_picture": memory.mean(0).expand_as(noisy),
        "nearest_training_picture": memory[torch.cdist(noisy, memory).argmin(1)],
        "median_filter": torch.from_numpy(median_filter(pictures, 3, axes=(1, 2))).to(noisy).flatten(1),
    }


def draw_samples(model: LitBoltzmann, chains: int, sweeps: int) -> Tensor:
    """States of the pixels, cooled from independent ones, (chains, pixels)."""
    states = independent_pixels(model.net, chains)
    for beta in torch.linspace(0, 1, sweeps).tolist():
        states = model.net.gibbs(states, 1, beta)
    return states
