"""The restricted Boltzmann machine: its likelihood, what it recognises, what it invents."""

from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from datamodules.images import ImagesDataModule
from lit_modules.boltzmann import LitRBM
from lit_modules.networks.boltzmann.log_partition import exact_or_bracket
from lit_modules.networks.boltzmann.machine import independent_pixels
from lit_modules.networks.boltzmann.pixels import stretch
from lit_modules.networks.symmetry import symmetries
from pipeline.evaluation.common.bootstrap import root_mean, scored
from pipeline.evaluation.common.charts import Chart
from pipeline.evaluation.common.pictures import heading, item_table, learned, pairs, pixel_chart
from pipeline.evaluation.common.result import Animation, Picture, Result, compared, style
from pipeline.evaluation.common.surprise import log_likelihoods, log_z_measures, surprise_figure
from pipeline.evaluation.common.two_sample import Array, deformed
from pipeline.evaluation.rbm import film, likeness, recognition
from pipeline.evaluation.rbm.figures import (
    beside_nearest,
    filter_figure,
    likeness_figure,
    rows_of,
    squares,
)
from pipeline.evaluation.rbm.settings import Evaluate, Rbm

LABELS = likeness.LABELS | {
    "energy_gap": "difference of free energies of data and chains (nats)",
    "free_energy_gap": "mean free energy of pictures above that of training ones (nats)",
    "log_likelihood": "log-likelihood of a picture (nats)",
    "reconstruction_mse": "mean square error of the reconstruction",
    "log_likelihood_nats": "log-likelihood of a picture (nats)",
    "log_z_nats": "log Z (nats)",
    "free_energy_nats": "mean free energy of pictures (nats)",
    "sample_free_energy_nats": "mean free energy of artificial pictures (nats)",
    "original_rms": "root mean square difference of artificial pictures from the nearest original",
    "reconstruction_rms": "root mean square error of the reconstruction",
    "concentration_rms": "root mean square error of the concentration of light read off the hidden code",
}
N_PARENTS = 3
N_ALIKE = 3


@torch.no_grad()
def evaluate(model: LitRBM, data: ImagesDataModule, params: Rbm) -> Result:
    """Log-likelihood beside independent pixels, recognition, and artificial pictures beside real ones."""
    net, settings = model.net, params.evaluate
    images = {split: data.images(split).to(model.device) for split in ("train", "val", "test")}
    held_out, memory = stretch(images["test"]), stretch(symmetries(images["train"]).flatten(0, 1))
    log_z = exact_or_bracket(net, settings.ais_chains, settings.ais_steps)
    draws = settings.draws if net.levels == 1 else 1  # bits of several levels are rounded, and always the same
    states = {
        "training": model.bits(images["train"].repeat(draws, 1, 1, 1)),
        "held-out": model.bits(images["test"].repeat(draws, 1, 1, 1)),
        "artificial": net.gibbs(independent_pixels(net, settings.samples), settings.sweeps[-1]),
        "independent pixels": independent_pixels(net, settings.samples),
    }
    likelihood = {
        name: {who: x.view(draws, -1).mean(0) for who, x in log_likelihoods(net, states[name], log_z.value).items()}
        for name in ("training", "held-out")
    }
    free_energies = {name: net.free_energy(bits) for name, bits in states.items()}
    mean = {name: float(values.mean()) for name, values in free_energies.items()}
    answers = {"model": model.reconstruct(held_out), "mean_picture": net.grey(net.offset)}
    squared = {who: (answer - held_out).square().mean(1).cpu() for who, answer in answers.items()}
    kinds = kinds_of_pictures(model, images, states, settings.samples)
    invented = {
        "model": kinds["artificial"],
        "independent_pixels": kinds["independent pixels"],
        "deformed_originals": kinds["deformed originals"],
    }
    concentration, read = recognition.concentrations(net, data, held_out, memory)
    metrics: dict[str, Any] = {
        **scored("log_likelihood_nats", likelihood["held-out"]),
        **compared("log_likelihood_nats", {who: x.mean() for who, x in likelihood["training"].items()}, "train"),
        **log_z_measures(log_z),
        **compared("free_energy_nats", {"model": mean["held-out"], "independent_pixels": mean["independent pixels"]}),
        "train/free_energy_nats": mean["training"],
        "model/sample_free_energy_nats": mean["artificial"],
        **scored("reconstruction_rms", squared, root_mean),
        **likeness.likeness(invented, kinds["held-out"], squares(memory)),
        **scored("concentration_rms", {who: (x - concentration) ** 2 for who, x in read.items()}, root_mean),
    }
    surprise = {name: values + log_z.value for name, values in free_energies.items()}
    with style():
        pictures = [
            *artificial_pictures(model, images["train"], states["artificial"], memory, settings),
            Picture(
                "likeness",
                "What a classifier looks at that is to tell artificial pictures from real ones, median and two thirds "
                f"of the pictures. Held-out are the {len(kinds['held-out'])} of validation and test together. The "
                "better the machine, the nearer its line lies to theirs.",
                likeness_figure(kinds),
            ),
            *recognised(model, held_out, answers["model"], memory, settings),
            Picture(
                "free_energies",
                "Surprise -log p(v) = F(v) + log Z of pictures. Held-out pictures lie higher than training ones "
                "if they are harder or if the machine learned by heart; the table of log-likelihoods tells which, for "
                "independent pixels cannot learn by heart. Its interval is over pictures and leaves out that of log Z.",
                surprise_figure(surprise),
            ),
            Picture(
                "filters",
                "What each hidden unit looks at: light in red places switches it on, light in blue ones off.",
                filter_figure(net),
            ),
        ]
    measured = {f"{who}_log_likelihood_nats".removeprefix("model_"): x for who, x in likelihood["held-out"].items()}
    return Result(
        metrics,
        pictures,
        title=heading("Restricted Boltzmann machine", data),
        notes=[learned(data)],
        judged_by=f"{len(held_out)} pictures",
        charts=[
            pixel_chart("Grey levels of held-out pictures, and as reconstructed", held_out, answers["model"]),
            Chart(
                "concentration",
                "predicted",
                "Concentration of light of held-out pictures, and as read off their hidden codes",
                pl.DataFrame({"truth": concentration, "predicted": read["model"]}),
            ),
        ],
        animations=[running_chains(model, images["train"], settings)],
        items=item_table(data.rows("test"), **measured, reconstruction_rms_error=squared["model"].sqrt()),
        thumbnails=pairs(held_out, answers["model"], model.settings.size),
    )


def kinds_of_pictures(model: LitRBM, images: dict[str, Tensor], states: dict[str, Tensor], n: int) -> dict[str, Array]:
    """Held-out pictures, artificial ones and those of two rivals, all with the machine's levels of grey."""
    originals = images["train"][:, 0].cpu().numpy()
    changed = torch.from_numpy(deformed(np.resize(originals, (n, *originals.shape[1:]))))[:, None]
    bits = {
        "held-out": model.bits(torch.cat([images["val"], images["test"]])),
        "artificial": states["artificial"],
        "independent pixels": states["independent pixels"],
        "deformed originals": model.bits(changed.to(images["train"])),
    }
    return {name: squares(model.net.grey(drawn)) for name, drawn in bits.items()}


def artificial_pictures(
    model: LitRBM, images: Tensor, dreamed: Tensor, memory: Tensor, settings: Evaluate
) -> list[Picture]:
    """Artificial pictures that grew from one original, from several, and from noise, beside the nearest originals."""
    net, n = model.net, settings.n_pictures
    grown = {f"sweep {sweeps}": net.grow(model.bits(images[:n])[None], sweeps) for sweeps in settings.sweeps}
    drawn = net.draw(list(grown.values())[-1])
    parents = images[torch.rand(n, len(images)).argsort(1)[:, :N_PARENTS].T]  # different ones for each child
    child = net.grow(torch.stack([model.bits(parent) for parent in parents]), 1)
    family = {f"parent {k + 1}": stretch(parent) for k, parent in enumerate(parents)}
    return [
        Picture(
            "from_noise",
            "Artificial pictures that no original stands behind: chains that began as noise, after "
            f"{settings.sweeps[-1]} Gibbs sweeps. Below each the most similar picture of the training, however turned, "
            "and the root mean square difference of grey.",
            beside_nearest({"artificial": net.grey(dreamed[:n])}, memory, "Artificial pictures, begun as noise"),
        ),
        Picture(
            "grown_from_one",
            "Artificial pictures, each grown from the original above it: the longer the Gibbs chain, the less is "
            "left of the original. Shown is the mean grey that the hidden units ask for; drawn is the picture itself, "
            "pixel by pixel. Below it the most similar picture of the training, and its difference.",
            beside_nearest(
                {
                    "original": stretch(images[:n]),
                    **{label: net.grey(mean) for label, mean in grown.items()},
                    "drawn": net.grey(drawn),
                },
                memory,
                "Artificial pictures, each grown from one original",
            ),
        ),
        Picture(
            "grown_from_several",
            f"Artificial pictures with {len(parents)} parents: each hidden unit inherits its state from one of them. "
            "The child is the mean grey that these ask for; drawn is the picture itself, pixel by pixel. Below it the "
            "most similar picture of the training, however turned, and the root mean square difference of grey.",
            beside_nearest(
                {**family, "child": net.grey(child), "drawn": net.grey(net.draw(child))},
                memory,
                "Artificial pictures with several parents",
            ),
        ),
    ]


def recognised(
    model: LitRBM, held_out: Tensor, reconstructed: Tensor, memory: Tensor, settings: Evaluate
) -> list[Picture]:
    """Held-out pictures through the hidden layer and back, and the training pictures with the nearest codes."""
    n = settings.n_pictures
    found = recognition.alike(model.net, held_out[:n], memory, N_ALIKE).T
    return [
        Picture(
            "reconstruction",
            "Recognition: pictures the machine was never trained on, through its hidden units and back.",
            rows_of(
                {"original": held_out[:n], "reconstructed": reconstructed[:n]},
                "Held-out pictures through the hidden layer and back",
            ),
        ),
        Picture(
            "alike",
            "Recognition: below each picture the machine was never trained on, those of its training, however turned, "
            "that it thinks most alike: their hidden units agree best.",
            rows_of(
                {"held-out": held_out[:n], **{f"alike {k + 1}": memory[row] for k, row in enumerate(found)}},
                "Pictures that the hidden units think alike",
            ),
        ),
    ]


def running_chains(model: LitRBM, images: Tensor, settings: Evaluate) -> Animation:
    """Chains that start at originals, above those that start as noise."""
    originals = model.bits(images[: settings.n_pictures])
    start = torch.cat([originals, independent_pixels(model.net, len(originals))])
    frames, _ = film.chain_frames(model.net, start, settings.sweeps[-1], len(originals), len(start))
    return Animation(
        "chain",
        "The Gibbs chain as it runs, faster and faster: above from originals, below from noise. Both rows should end "
        "alike, and unlike where they began.",
        frames,
        film.SECONDS,
    )
