"""The restricted Boltzmann machine: its likelihood, what it recognises, what it invents."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from datamodules.images import ImagesDataModule
from lit_modules.boltzmann import LitRBM
from lit_modules.networks.boltzmann.annealed_importance import annealed_log_partition
from lit_modules.networks.boltzmann.pixels import stretch
from lit_modules.networks.boltzmann.restricted import MAX_EXACT_HIDDEN, RestrictedBoltzmannMachine
from lit_modules.networks.symmetry import symmetries
from pipeline.evaluation.common.bootstrap import root_mean, scored
from pipeline.evaluation.common.panels import WIDTH, bare, mosaic, picture_rows
from pipeline.evaluation.common.pictures import heading, item_table, learned, pairs, pixel_chart, tiles
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, Picture, Result, compared, style
from pipeline.evaluation.rbm.settings import Evaluate, Rbm

LABELS = {
    "loss": "difference of free energies of data and chains",
    "reconstruction_mse": "mean square error of the reconstruction",
    "log_pseudo_likelihood": "log pseudo-likelihood (nats)",
    "log_likelihood_nats": "log-likelihood of a picture (nats)",
    "log_z_nats": "log Z (nats)",
    "log_z_error_nats": "standard error of log Z (nats)",
    "free_energy_nats": "mean free energy of pictures (nats)",
    "sample_free_energy_nats": "mean free energy of artificial pictures (nats)",
    "reconstruction_rms": "root mean square error of the reconstruction",
    "nearest_training_picture_gain_nats": "the nearest training picture explains a picture better by (nats)",
    "sample_nearest_training_picture_gain_nats": "the nearest one explains an artificial picture better by (nats)",
}
N_PARENTS = 3


@torch.no_grad()
def evaluate(model: LitRBM, data: ImagesDataModule, params: Rbm) -> Result:
    """Log-likelihood beside independent pixels, free energies, and artificial pictures beside real ones."""
    net, settings = model.net, params.evaluate
    train, held_out = stretch(data.images("train")), stretch(data.images("test"))
    log_z, error = log_partition(net, settings)
    states = {
        "training": train.expand(settings.draws, -1, -1).flatten(0, 1).bernoulli(),
        "held-out": held_out.expand(settings.draws, -1, -1).flatten(0, 1).bernoulli(),
        "artificial": net.grow(train.repeat(settings.draws, 1)[None], settings.sweeps[-1]).bernoulli(),
        "independent pixels": net.offset.expand(len(train) * settings.draws, -1).bernoulli(),
    }
    free_energies = {name: net.free_energy(visible) for name, visible in states.items()}
    memory = stretch(symmetries(data.images("train")).flatten(0, 1))
    likelihood = {
        name: {
            "model": (-free_energies[name].double() - log_z).view(settings.draws, -1).mean(0),
            "independent_pixels": independent_log_likelihood(net.offset, grey),
        }
        for name, grey in (("held-out", held_out), ("training", train))
    }
    gain = {
        name: explained_by(states[name], memory).amax(1) + free_energies[name] + log_z
        for name in ("training", "held-out", "artificial")
    }
    mean = {name: float(values.mean()) for name, values in free_energies.items()}
    answers = {"model": model.reconstruct(held_out), "mean_picture": net.offset}
    squares = {who: (answer - held_out).square().mean(1) for who, answer in answers.items()}
    metrics: dict[str, Any] = {
        **scored("log_likelihood_nats", likelihood["held-out"]),
        **compared("log_likelihood_nats", {who: x.mean() for who, x in likelihood["training"].items()}, "train"),
        "model/log_z_nats": log_z,
        "model/log_z_error_nats": error,
        **compared("free_energy_nats", {"model": mean["held-out"], "independent_pixels": mean["independent pixels"]}),
        "train/free_energy_nats": mean["training"],
        "model/sample_free_energy_nats": mean["artificial"],
        **scored("reconstruction_rms", squares, root_mean),
        "test/nearest_training_picture_gain_nats": gain["held-out"].mean(),
        "train/nearest_training_picture_gain_nats": gain["training"].mean(),
        "model/sample_nearest_training_picture_gain_nats": gain["artificial"].mean(),
    }
    n = settings.n_pictures
    with style():
        pictures = [
            Picture(
                "grown_from_one",
                "Artificial pictures, each grown from the original above it: the longer the Gibbs chain, the less is "
                "left of the original. Grey is the chance that a pixel is lit; the last row is a draw, star by star.",
                grown_from_one(model, train[:n], settings.sweeps),
            ),
            Picture(
                "grown_from_several",
                f"Artificial pictures with {N_PARENTS} parents: each hidden unit inherits its state from one of them. "
                "The last row is the training picture that explains the child best.",
                grown_from_several(model, train, memory, n),
            ),
            Picture(
                "reconstruction",
                "Recognition: pictures the machine was never trained on, squeezed through "
                f"{model.settings.hidden} hidden units and back.",
                reconstruction_figure(model, held_out[:n]),
            ),
            Picture(
                "free_energies",
                "Surprise -log p(v) = F(v) + log Z of binary pictures. Held-out pictures lie higher than training ones "
                "if they are harder or if the machine learned by heart; the table of log-likelihoods tells which, for "
                "independent pixels cannot learn by heart.",
                surprise_figure({name: values + log_z for name, values in free_energies.items()}),
            ),
            Picture(
                "filters",
                "What each hidden unit looks at: light in red places switches it on, light in blue ones off.",
                filter_figure(model),
            ),
        ]
    measured = {f"{who}_log_likelihood_nats".removeprefix("model_"): x for who, x in likelihood["held-out"].items()}
    return Result(
        metrics,
        pictures,
        title=heading("Restricted Boltzmann machine", data),
        notes=[learned(data)],
        judged_by=f"{len(held_out)} pictures",
        charts=[pixel_chart("Grey levels of held-out pictures, and as reconstructed", held_out, answers["model"])],
        items=item_table(data.rows("test"), **measured, reconstruction_rms_error=squares["model"].sqrt()),
        thumbnails=pairs(held_out, answers["model"], model.settings.size),
    )


def log_partition(net: RestrictedBoltzmannMachine, settings: Evaluate) -> tuple[float, float]:
    """Log Z and its standard error: exact for few hidden units, by annealed importance sampling for more."""
    if len(net.hidden_bias) <= MAX_EXACT_HIDDEN:
        return net.log_partition(), 0.0
    return annealed_log_partition(net, settings.ais_chains, settings.ais_steps)


def independent_log_likelihood(mean: Tensor, grey: Tensor) -> Tensor:
    """Log-likelihood, in nats, of each picture by pixels lit independently with probability ``mean``, (n,)."""
    return -F.binary_cross_entropy(mean.expand_as(grey), grey, reduction="none").double().sum(1)


def explained_by(visible: Tensor, memory: Tensor) -> Tensor:
    """Log-likelihood of binary pictures, (n, pixels), as draws from each remembered grey one, (m, pixels): (n, m)."""
    memory = memory.clamp(0.01, 0.99)
    return visible @ torch.logit(memory).T + (1 - memory).log().sum(1)


def grown_from_one(model: LitRBM, originals: Tensor, sweeps: list[int]) -> Figure:
    """Originals, and what chains that start at them show after some sweeps."""
    rows = {"original": originals}
    for n in sweeps:
        rows[f"sweep {n}"] = model.net.grow(originals[None], n)
    rows["as stars"] = list(rows.values())[-1].bernoulli()
    rows = {label: tiles(pixels, model.settings.size) for label, pixels in rows.items()}
    return picture_rows(rows, "Artificial pictures, each grown from one original")


def grown_from_several(model: LitRBM, train: Tensor, memory: Tensor, n: int) -> Figure:
    """Parents drawn at random, a child, the child drawn star by star, and the training picture nearest to it."""
    parents = train[torch.rand(n, len(train)).argsort(1)[:, :N_PARENTS].T]  # different ones for each child
    child = model.net.grow(parents, 1)
    stars = child.bernoulli()
    rows = {f"parent {k + 1}": parent for k, parent in enumerate(parents)}
    rows |= {"child": child, "as stars": stars, "nearest\noriginal": memory[explained_by(stars, memory).argmax(1)]}
    rows = {label: tiles(pixels, model.settings.size) for label, pixels in rows.items()}
    return picture_rows(rows, "Artificial pictures with several parents")


def reconstruction_figure(model: LitRBM, originals: Tensor) -> Figure:
    """Originals above their reconstructions."""
    rows = {"original": originals, "reconstructed": model.reconstruct(originals)}
    rows = {label: tiles(pixels, model.settings.size) for label, pixels in rows.items()}
    return picture_rows(rows, "Held-out pictures through the hidden layer and back")


def surprise_figure(surprise: dict[str, Tensor]) -> Figure:
    """Histograms of -log p(v) of four kinds of pictures."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    values = torch.cat(list(surprise.values()))
    bins = np.linspace(float(values.min()), float(values.max()), 60).tolist()
    for (name, group), colour in zip(surprise.items(), (BLUE, GREEN, ORANGE, GREY), strict=True):
        axis.hist(group.numpy(), bins=bins, density=True, histtype="step", lw=2, color=colour, label=name)
        axis.axvline(float(group.mean()), color=colour, lw=1, ls=":")
    axis.set(
        xlabel="surprise -log p(v) in nats (dotted: mean)",
        ylabel="fraction per nat",
        title="How surprising a picture is",
    )
    axis.legend()
    return figure


def filter_figure(model: LitRBM) -> Figure:
    """The weights of each hidden unit, those with the largest ones first."""
    weight = model.net.weight.T
    filters = tiles(weight[weight.norm(dim=1).argsort(descending=True)], model.settings.size)
    columns = int(np.ceil(1.25 * len(filters) ** 0.5))
    picture = mosaic(filters, columns, gap=2, fill=np.nan)
    figure, axis = plt.subplots(figsize=(WIDTH, 0.85 * WIDTH * len(picture) / picture.shape[1] + 0.5))
    limit = float(weight.abs().flatten()[::7].quantile(0.995))
    image = axis.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="antialiased")
    axis.set_title(f"What the {len(filters)} hidden units look at")
    bare(axis)
    figure.colorbar(image, ax=axis, shrink=0.8, label="weight w (nats)")
    return figure
