"""The autoencoder: how well unseen pictures are redrawn beside linear rivals, and errors as a score of what is new."""

from collections.abc import Sequence
from functools import partial

import polars as pl
import torch
from torch import Tensor

from datamodules.images import ImagesDataModule
from lit_modules.autoencoder import LitAutoencoder
from pipeline.evaluation.autoencoder import figures
from pipeline.evaluation.autoencoder.judged import Judged
from pipeline.evaluation.autoencoder.quality import errors, redrawing
from pipeline.evaluation.autoencoder.rivals import Methods, linear_rivals, most_components
from pipeline.evaluation.autoencoder.scores import TRIVIAL, Scores, auc_metrics, roc_table
from pipeline.evaluation.autoencoder.settings import Autoencoder
from pipeline.evaluation.common.charts import Chart
from pipeline.evaluation.common.pictures import heading, in_words, learned
from pipeline.evaluation.common.result import THUMBNAILS, Picture, Result, compared

LABELS = {
    "loss": "what the training minimised",
    "reconstruction": "mean square error of a pixel",
    "mse": "mean square error of a pixel",
    "psnr_db": "peak signal-to-noise ratio of a picture (dB)",
    "ssim": "structural similarity of a picture and its reconstruction (1 at best)",
    "part_way_mse": "mean square error of a pixel, part-way through the training",
    "active_percent": "entries of the code above a hundredth of a picture's largest (%)",
    "percentile": "pictures that the training was watched on with a smaller error (%)",
    "novelty_auc": "AUC of the error, other labels against the model's own (no diagnosis)",
}
PHANTOMS = "These pictures are phantoms: drawings by this project, of a simple anatomy and of no patient."


@torch.no_grad()
def evaluate(model: LitAutoencoder, data: ImagesDataModule, params: Autoencoder, part_way: LitAutoencoder) -> Result:
    """Errors of the network and of its rivals on pictures that none of them has seen.

    Args:
        model: trained.
        data: with pictures of its own label, and maybe of others.
        params: its section.
        part_way: the same model after ``model.snapshot_epoch`` epochs.
    """
    train = data.splits["train"]["image"]
    rivals = linear_rivals(model, data, params.evaluate.pca_components)
    methods: Methods = {"model": partial(redrawn_by, model), **rivals}
    own = Judged.by(methods, data.rows("test"), data.splits["test"]["image"])
    training = {who: float(errors(method(train), train).mean()) for who, method in methods.items()}
    early = redrawn_by(part_way, own.images)
    metrics = redrawing(own.redrawn, own.images, own.patients) | compared("mse", training, "train")
    metrics["test/part_way_mse"] = errors(early, own.images).mean()
    metrics["test/active_percent"] = 100 * model.active_share(own.images.to(model.device))
    result = Result(metrics, title=heading("Autoencoder", data), notes=notes(data))
    result.judged_by = f"{len(own.images)} {noun(data)}"
    result.items, result.thumbnails = own.items(), own.thumbnails()
    result.pictures = redrawn_pictures(model, data, params, own, early)

    main = ("model", "before_training", most_components(rivals))
    squares = {f"{in_words(data.labels)}, held out": own.squares(main)}
    novel = data.novel()
    new = None if novel is None else Judged.by(methods, data.novel_rows(), novel)
    if new:
        squares[in_words(data.other_labels)] = new.squares(main)
    copies = model.copies_of_each(len(train))
    bars = figures.bars(own.mean_errors(), training, code_in_words(model), copies)
    result.pictures += [figures.error_maps(squares), bars]
    if new:
        compare_kinds(result, own, new, data, main)
    return result


def redrawn_by(model: LitAutoencoder, images: Tensor) -> Tensor:
    """What a network makes of pictures (n, 1, H, W), on their device, whichever its own is."""
    return model(images.to(model.device)).to(images.device)


def redrawn_pictures(
    model: LitAutoencoder, data: ImagesDataModule, params: Autoencoder, own: Judged, early: Tensor
) -> list[Picture]:
    """The course's panels of held-out pictures, at the end and part-way, and the way between two codes.

    Args:
        model: trained.
        data: its pictures.
        params: its section.
        own: held-out pictures.
        early: the same, redrawn part-way through the training, (n, 1, H, W).
    """
    shown, what = slice(params.evaluate.n_pictures), f"{noun(data)} labelled {in_words(data.labels)}"
    images, late = own.images[shown], own.redrawn["model"][shown]
    epochs = params.trainer.max_epochs
    return [
        figures.reconstructions(images, late, what, epochs, code_in_words(model)),
        figures.part_way(images, {model.settings.snapshot_epoch: early[shown], epochs: late}, what),
        figures.interpolation(model.net, own.images.to(model.device), what),
    ]


def compare_kinds(result: Result, own: Judged, new: Judged, data: ImagesDataModule, methods: Sequence[str]) -> None:
    """Add how well errors, and scores that need no network, tell pictures of the other labels from the model's own.

    Args:
        result: to add to.
        own: held-out pictures.
        new: those of the other labels.
        data: of all of them.
        methods: whose errors' ROC curves are drawn, beside those of the scores.
    """
    result.items = pl.concat([own.items(), new.items()])
    result.thumbnails = (own.thumbnails() + new.thumbnails())[:THUMBNAILS]
    ours, others, caution = in_words(data.labels), in_words(data.other_labels), no_diagnosis(data)
    known, unknown = own.kinds(), new.kinds()
    scores: Scores = {who: (known[who], unknown[who]) for who in known}
    result.metrics |= auc_metrics(scores)
    result.labels["novelty_auc"] = (
        f"AUC of the error, {others} against {ours} ({caution}); of {', '.join(TRIVIAL)}: AUC of the picture's own"
    )
    drawn = {who: scores[who] for who in (*methods, *TRIVIAL)}
    title = f"The error as a sign of {others}, beside linear rivals and scores that need no network ({caution})"
    result.charts.append(Chart("novelty", "roc", title, roc_table(drawn)))
    result.pictures.append(figures.novelty(drawn, ours, others, caution))


def notes(data: ImagesDataModule) -> list[str]:
    """What stands above the numbers: what was learned, whether pictures are phantoms, and what cannot be told."""
    told = [learned(data, noun(data))]
    if data.drawn:
        told.append(PHANTOMS)
    if not data.novel_rows():
        told.append("No picture of another label to tell these from, so there is no AUC.")
    return told


def noun(data: ImagesDataModule) -> str:
    """What the pictures are: drawings by this project are called phantoms."""
    return "phantoms" if data.drawn else "pictures"


def no_diagnosis(data: ImagesDataModule) -> str:
    """What stands beside each number that tells labels apart."""
    if data.drawn:
        return "phantoms: no diagnosis"
    return "no diagnosis: pictures of two labels often come from two hospitals"


def code_in_words(model: LitAutoencoder) -> str:
    """How many numbers the network keeps of a picture."""
    width = model.settings.widths[-1]
    if model.settings.code == "top_k":
        return f"{model.settings.active_units} of {width} numbers, and which these are"
    return f"{width} numbers"
