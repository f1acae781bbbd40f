"""The table of a chart of the kind roc."""

import polars as pl
from numpy.typing import ArrayLike
from sklearn.metrics import roc_curve


def roc(who: str, positive: ArrayLike, values: ArrayLike) -> pl.DataFrame:
    """The ROC curve of a score, corners alone.

    Args:
        who: gives the score.
        positive: whether each item is of the kind that is to have the larger score, (n,).
        values: of the items, (n,).
    """
    false, true, _ = roc_curve(positive, values)
    return pl.DataFrame({"false_positive_rate": false, "true_positive_rate": true, "score": who})
