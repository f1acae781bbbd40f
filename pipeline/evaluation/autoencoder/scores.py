"""How well a number tells pictures of another kind from those that a network learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from pipeline.evaluation.common.bootstrap import DRAWS
from pipeline.evaluation.common.roc import roc

TRIVIAL = ("brightness", "contrast", "sharpness")  # scores of a picture that need no training
LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]


@dataclass(frozen=True)
class Kind:
    """Scores of pictures of one kind.

    Attributes:
        values: of each picture, (n,).
        patients: whose picture each is, (n,).
    """

    values: NDArray[np.float64]
    patients: Sequence[str]


Scores = Mapping[str, tuple[Kind, Kind]]  # of the model's own kind and of the other, by who scores


def trivial_scores(images: Tensor) -> dict[str, Tensor]:
    """The scores :data:`TRIVIAL` of pictures (n, 1, H, W), (n,) each.

    Mean, standard deviation, and mean square of the discrete Laplacian (a measure of focus, Pertuz et al. 2013,
    Pattern Recognition 46, 1415), of grey levels in [0, 1].
    """
    pixels = (1, 2, 3)
    edges = F.conv2d(images, LAPLACIAN.to(images))
    values = images.mean(pixels), images.std(pixels, correction=0), edges.square().mean(pixels)
    return dict(zip(TRIVIAL, values, strict=True))


def auc(own: ArrayLike, other: ArrayLike, of_own: ArrayLike = 1, of_other: ArrayLike = 1) -> NDArray[np.float64]:
    """Area under the ROC curve: chance that the other kind has the larger score, a tie counting half.

    Args:
        own: scores of the model's own kind, (n,).
        other: of the other, (m,).
        of_own: how often each counts, (..., n).
        of_other: the same, (..., m).

    Returns:
        The area of each sample of weights, (...).
    """
    own, other = np.asarray(own), np.asarray(other)
    of_own, of_other = (np.asarray(weights) * np.ones(len(x)) for weights, x in ((of_own, own), (of_other, other)))
    order = np.argsort(own)
    below = np.cumsum(np.pad(of_own[..., order], [(0, 0)] * (of_own.ndim - 1) + [(1, 0)]), axis=-1)
    smaller = (below[..., np.searchsorted(own[order], other, side)] for side in ("left", "right"))
    won = sum(smaller) / 2 * of_other
    return won.sum(-1) / (of_own.sum(-1) * of_other.sum(-1))


def auc_interval(own: Kind, other: Kind, seed: int = 1) -> tuple[float, float]:
    """Ends of the 95 % interval of the AUC: percentiles over patients of each kind drawn with replacement."""
    rng = np.random.default_rng(seed)
    drawn = auc(own.values, other.values, _times(own.patients, rng), _times(other.patients, rng))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _times(patients: Sequence[str], rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each picture is in each of ``DRAWS`` samples of patients, (DRAWS, n)."""
    names, patient = np.unique(np.asarray(patients), return_inverse=True)
    return rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)[:, patient]


def auc_metrics(scores: Scores) -> dict[str, float]:
    """AUC of each score with the ends of its interval, by ``model`` and rivals, under flat keys."""
    metrics: dict[str, float] = {}
    for who, (own, other) in scores.items():
        key = "test/novelty_auc" if who == "model" else f"baseline/{who}/novelty_auc"
        low, high = auc_interval(own, other)
        metrics |= {key: float(auc(own.values, other.values)), f"{key}_low": low, f"{key}_high": high}
    return metrics


def roc_table(scores: Scores) -> pl.DataFrame:
    """ROC curves of scores, the other kind being positive: corners alone."""
    return pl.concat([_roc(who, own.values, other.values) for who, (own, other) in scores.items()])


def _roc(who: str, own: NDArray[np.float64], other: NDArray[np.float64]) -> pl.DataFrame:
    positive: NDArray[np.bool_] = np.repeat([False, True], [len(own), len(other)])
    return roc(who, positive, np.concatenate([own, other]))
