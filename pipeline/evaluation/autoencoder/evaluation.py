"""The autoencoder: held-out error beside principal components, and errors as a score of what is new."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor

from datamodules.images import ImagesDataModule
from lit_modules.autoencoder import N_EXAMPLES, LitAutoencoder
from pipeline.evaluation.autoencoder.scores import TRIVIAL, auc, auc_metrics, roc_table, trivial_scores
from pipeline.evaluation.autoencoder.settings import Autoencoder
from pipeline.evaluation.common.bootstrap import scored
from pipeline.evaluation.common.charts import Chart
from pipeline.evaluation.common.panels import WIDTH, picture_rows
from pipeline.evaluation.common.pictures import heading, in_words, item_table, learned, no_math, pairs
from pipeline.evaluation.common.result import (
    BLUE,
    GREY,
    ORANGE,
    THUMBNAILS,
    Picture,
    Result,
    compared,
    style,
)

Reconstruct = Callable[[Tensor], Tensor]
Scores = dict[str, tuple[Tensor, Tensor]]  # of held-out pictures of the model's own kind and of the other

LABELS = {
    "loss": "mean square error of a pixel",
    "mse": "mean square error of a pixel",
    "percentile": "pictures that the training was watched on with a smaller error (%)",
    "snapshot_mse": "mean square error of a pixel of eight pictures, part-way through the training",
    "final_mse": "mean square error of a pixel of the same eight pictures, at the end of the training",
    "novelty_auc": "AUC of the error, other labels against the model's own (no diagnosis)",
}


@torch.no_grad()
def evaluate(model: LitAutoencoder, data: ImagesDataModule, params: Autoencoder, part_way: LitAutoencoder) -> Result:
    """Errors of the network and of its rivals on pictures that none of them has seen.

    Args:
        model: the network, trained.
        data: its pictures.
        params: its section of params.yaml.
        part_way: the network as it was after ``snapshot_epoch`` epochs.
    """
    train, test = data.splits["train"]["image"], data.splits["test"]["image"]
    methods: dict[str, Reconstruct] = {"model": model.net, **principal_components(model, train, params)}
    after = {
        "snapshot": model.settings.snapshot_epoch,
        "end": params.trainer.max_epochs,
    }
    examples = data.splits["val"]["image"][:N_EXAMPLES]
    early, late = part_way.net(examples), model.net(examples)
    held_out, training = ({who: errors(f, images) for who, f in methods.items()} for images in (test, train))
    metrics: dict[str, Any] = {
        **scored("mse", held_out),
        **compared("mse", means(training), "train"),
        "val/snapshot_mse": (early - examples).square().mean(),
        "val/final_mse": (late - examples).square().mean(),
    }
    active = model.settings.active_units if model.settings.code == "top_k" else model.settings.widths[-1]
    pictures = [
        reconstructions(model, test[: params.evaluate.n_pictures], active, params, data),
        epochs(examples, early, late, after),
        bars(means(held_out), means(training), active),
    ]
    result = Result(metrics, pictures, title=heading("Autoencoder", data), notes=[learned(data)])
    result.judged_by = f"{len(test)} pictures"
    scores = held_out | trivial_scores(test)
    result.items, result.thumbnails = described(data.rows("test"), scores), redrawn(model, test)
    novel = data.novel()
    if novel is None:
        result.notes.append("No picture of another label to tell these from, so there is no AUC.")
        return result
    new = {who: errors(f, novel) for who, f in methods.items()} | trivial_scores(novel)
    result.items = pl.concat([result.items, described(data.novel_rows(), new)])
    result.thumbnails = (result.thumbnails + redrawn(model, novel))[:THUMBNAILS]
    compare_kinds(result, {who: (scores[who], new[who]) for who in new}, data, max(params.evaluate.pca_components))
    return result


def described(rows: list[dict[str, str]], scores: dict[str, Tensor]) -> pl.DataFrame:
    """A row for each picture, with the network's error and the scores that need no network."""
    return item_table(rows, mean_square_error=scores["model"], **{name: scores[name] for name in TRIVIAL})


def redrawn(model: LitAutoencoder, images: Tensor) -> list[NDArray[np.uint8]]:
    """Thumbnails of pictures above what the network makes of them."""
    first = images[:THUMBNAILS]
    return pairs(first.flatten(1), model.net(first).flatten(1), model.settings.side)


def compare_kinds(result: Result, scores: Scores, data: ImagesDataModule, components: int) -> None:
    """Add how well errors, and scores that need no network, tell pictures of the other labels from the model's own.

    Args:
        result: to add to.
        scores: of both kinds, by ``model``, rival and trivial score.
        data: whose labels they are.
        components: of the PCA whose curve is drawn, where there is one of so many.
    """
    own, other = in_words(data.labels), in_words(data.other_labels)
    auc_of_error = f"AUC of the error, {other} against {own} (no diagnosis)"
    result.metrics |= auc_metrics(scores)
    result.labels["novelty_auc"] = f"{auc_of_error}; of {', '.join(TRIVIAL)}: AUC of the picture's own"
    title = f"The error as a sign of {other}, beside scores that need no network (no diagnosis)"
    drawn = {who: scores[who] for who in ("model", f"pca_{components}", *TRIVIAL) if who in scores}
    result.charts.append(Chart("novelty", "roc", title, roc_table(drawn)))
    result.pictures.append(novelty(*scores["model"], own, other))


def means(errors: dict[str, Tensor]) -> dict[str, float]:
    """Mean over the pictures for each method."""
    return {who: float(values.mean()) for who, values in errors.items()}


def errors(reconstruct: Reconstruct, images: Tensor) -> Tensor:
    """Mean square error of each picture, (n,)."""
    return (reconstruct(images) - images).square().flatten(1).mean(dim=1)


def principal_components(model: LitAutoencoder, train: Tensor, params: Autoencoder) -> dict[str, Reconstruct]:
    """Baselines, fitted to the training pictures or to deformed copies of them like those the network saw.

    n pictures have n - 1 components: a row of more is left out.
    """
    copies = torch.cat([model.deformed(train, step) for step in range(params.evaluate.copies)])
    plain, deformed = linear_fits(train), linear_fits(copies)
    ks, code = params.evaluate.pca_components, model.settings.widths[-1]
    methods = {"mean_picture": plain(0)}
    methods |= {f"pca_{k}": plain(k) for k in ks if k < len(train)}
    methods["pca_full_rank"] = plain(len(train) - 1)
    methods |= {f"pca_{k}_of_deformed": deformed(k) for k in dict.fromkeys([max(ks), code]) if k < len(copies)}
    return methods


def linear_fits(images: Tensor) -> Callable[[int], Reconstruct]:
    """The projection on the mean and the first k principal axes of ``images``, for any k, in double precision."""
    pca = PCA(svd_solver="full").fit(images.flatten(1).double().numpy())

    def fit(k: int) -> Reconstruct:
        def project(pictures: Tensor) -> Tensor:
            x, axes = pictures.flatten(1).double().numpy() - pca.mean_, pca.components_[:k]
            return torch.from_numpy(pca.mean_ + x @ axes.T @ axes).view_as(pictures)

        return project

    return fit


def reconstructions(
    model: LitAutoencoder, images: Tensor, active: int, params: Autoencoder, data: ImagesDataModule
) -> Picture:
    """The course's figure: originals over reconstructions."""
    seen = model.net(images)
    rows = {
        "original": images[:, 0],
        "reconstruction": seen[:, 0].clamp(0, 1),
        "difference\n(grey: none)": 0.5 + (seen - images)[:, 0],
    }
    words = f"{no_math(in_words(data.labels))}: held-out pictures after {params.trainer.max_epochs} epochs"
    with style():
        figure = picture_rows(rows, words)
    caption = f"Pictures the network never saw, above what it draws from {active} numbers each, and the difference."
    return Picture("reconstructions", caption, figure)


def epochs(examples: Tensor, early: Tensor, late: Tensor, after: dict[str, int]) -> Picture:
    """Reconstructions at the snapshot and at the end, as the course shows COVID."""
    rows = {
        "original": examples[:, 0],
        f"{after['snapshot']} epochs": early[:, 0].clamp(0, 1),
        f"{after['end']} epochs": late[:, 0].clamp(0, 1),
    }
    with style():
        figure = picture_rows(rows, f"Validation pictures after {after['snapshot']} and {after['end']} epochs")
    caption = "The same validation pictures, reconstructed part-way through the training and at its end."
    return Picture("epochs", caption, figure)


def bars(held_out: dict[str, float], training: dict[str, float], active: int) -> Picture:
    """Held-out and training error of every method."""
    with style():
        figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
        y = np.arange(len(held_out))
        axis.barh(y - 0.2, list(held_out.values()), 0.4, color=[BLUE] + [ORANGE] * (len(y) - 1), label="held-out")
        axis.barh(y + 0.2, list(training.values()), 0.4, color=GREY, alpha=0.5, label="training")
        for place, value in zip(y, held_out.values(), strict=True):
            axis.annotate(f" {value:.5f}", (value, place - 0.2), va="center", fontsize=8)
        axis.set_yticks(y, [who.replace("_", " ") for who in held_out])
        axis.invert_yaxis()
        axis.set(
            xlabel="mean square error per pixel (grey levels 0 to 1)", title="How well is an unseen picture redrawn?"
        )
        axis.legend(loc="lower right")
    caption = (
        "Error on unseen pictures (coloured) and on the training pictures (grey): the network beside the mean picture "
        "and principal components of the training pictures, or of deformed copies of them. Low training error proves "
        "nothing: full-rank PCA has none. "
        f"The network keeps {active} numbers of a picture, PCA as many as its name says."
    )
    return Picture("errors", caption, figure)


def novelty(own: Tensor, other: Tensor, own_name: str, other_name: str) -> Picture:
    """Distributions of the error on the model's own kind of picture and on the others."""
    with style():
        figure: Figure
        figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
        both = torch.cat([own, other])
        largest = float(both.max())
        edges = np.geomspace(max(0.95 * float(both.min()), 1e-9 * largest), 1.05 * largest, 25).tolist()
        kinds = (
            (own, BLUE, f"{no_math(own_name)}, held out"),
            (other, ORANGE, f"{no_math(other_name)}, never trained on"),
        )
        for values, colour, label in kinds:
            weights = np.full(len(values), 1 / len(values))
            axis.hist(values.numpy(), edges, weights=weights, alpha=0.6, color=colour, label=f"{label} ({len(values)})")
        axis.set(xscale="log", xlabel="mean square error per pixel", ylabel="share of the pictures")
        axis.set_title(f"Error of the network trained on {no_math(own_name)}: AUC {auc(own, other):.2f} (no diagnosis)")
        axis.legend()
    caption = (
        f"AUC: how often a picture of {other_name} has a larger error than one of {own_name}, on which alone this "
        "network was trained; 0.5 is guessing, below it the other kind is "
        "simply easier to redraw. It is no diagnosis: on real pictures it sees the hospital as well as the disease."
    )
    return Picture("novelty", caption, figure)
