"""How well a number tells pictures of another kind from those that a network learned."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.stats import bootstrap, rankdata
from sklearn.metrics import roc_curve
from torch import Tensor
from torch.nn import functional as F

from pipeline.evaluation.common.bootstrap import DRAWS

TRIVIAL = ("brightness", "contrast", "sharpness")  # scores of a picture that need no training
LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]


def trivial_scores(images: Tensor) -> dict[str, Tensor]:
    """The scores :data:`TRIVIAL` of pictures (n, 1, H, W), (n,) each.

    Mean, standard deviation, and mean square of the discrete Laplacian (a measure of focus, Pertuz et al. 2013,
    Pattern Recognition 46, 1415), of grey levels in [0, 1].
    """
    pixels = (1, 2, 3)
    edges = F.conv2d(images, LAPLACIAN.to(images))
    values = images.mean(pixels), images.std(pixels, correction=0), edges.square().mean(pixels)
    return dict(zip(TRIVIAL, values, strict=True))


def auc(own: Any, other: Any, axis: int = -1) -> Any:
    """Area under the ROC curve: chance that the other kind has the larger score, a tie counting half.

    From the ranks of both kinds along ``axis`` (Mann and Whitney 1947).
    """
    own, other = np.asarray(own, float), np.asarray(other, float)
    n, m = own.shape[axis], other.shape[axis]
    ranks = rankdata(np.concatenate([own, other], axis), axis=axis)
    larger = np.take(ranks, range(n, n + m), axis).sum(axis) - m * (m + 1) / 2
    return larger / (n * m)


def auc_interval(own: Tensor, other: Tensor, seed: int = 1) -> tuple[float, float]:
    """Ends of the 95 % interval of the AUC: percentiles over samples of each kind drawn with replacement."""
    kinds = own.double().numpy(), other.double().numpy()
    drawn = bootstrap(kinds, auc, vectorized=True, n_resamples=DRAWS, method="percentile", rng=seed, batch=100)
    low, high = drawn.confidence_interval
    return float(low), float(high)


def auc_metrics(scores: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """AUC of each score with the ends of its interval, by ``model`` and rivals, under flat keys.

    Args:
        scores: of pictures of the model's own kind and of the other.
    """
    metrics: dict[str, float] = {}
    for who, pair in scores.items():
        key = "test/novelty_auc" if who == "model" else f"baseline/{who}/novelty_auc"
        low, high = auc_interval(*pair)
        metrics |= {key: float(auc(*pair)), f"{key}_low": low, f"{key}_high": high}
    return metrics


def roc_table(scores: Mapping[str, tuple[Tensor, Tensor]]) -> pl.DataFrame:
    """ROC curves of scores, the other kind being positive: corners alone."""
    return pl.concat([_roc(who, *pair) for who, pair in scores.items()])


def _roc(who: str, own: Tensor, other: Tensor) -> pl.DataFrame:
    positive: NDArray[np.bool_] = np.repeat([False, True], [len(own), len(other)])
    false, true, _ = roc_curve(positive, torch.cat([own, other]).double().numpy())
    return pl.DataFrame({"false_positive_rate": false, "true_positive_rate": true, "score": who})
