"""How far a number could be off by the luck of the draw of the held-out rows."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pipeline.evaluation.common.result import compared

DRAWS = 1000


def interval(
    values: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    groups: ArrayLike | None = None,
    seed: int = 1,
) -> tuple[float, float]:
    """Ends of the 95 % interval of a statistic: percentiles over samples drawn with replacement (Efron 1979).

    Args:
        values: of each row, (n, ...).
        statistic: of such an array.
        groups: what each row belongs to, such as a cluster seen several times, (n,); groups are drawn whole.
        seed: of the draws.
    """
    values = np.asarray(values)
    labels = np.arange(len(values)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    rows = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    rng = np.random.default_rng(seed)
    drawn = [
        statistic(values[np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))])])
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def with_interval(
    key: str,
    values: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    groups: ArrayLike | None = None,
) -> dict[str, float]:
    """The statistic under ``key``, and the ends of its interval under ``<key>_low`` and ``<key>_high``."""
    low, high = interval(values, statistic, groups)
    return {key: float(statistic(np.asarray(values))), f"{key}_low": low, f"{key}_high": high}


def scored(
    what: str,
    values: Mapping[str, ArrayLike],
    statistic: Callable[..., Any] = np.mean,
    groups: ArrayLike | None = None,
    split: str = "test",
) -> dict[str, float]:
    """One measure of the model and of its rivals on held-out rows, under flat keys.

    Args:
        what: the measure with its unit, such as ``age_error_gyr``.
        values: of each row, (n, ...), by ``model`` and each rival.
        statistic: that sums them up.
        groups: see :func:`interval`.
        split: the rows, such as ``test`` or ``test/noisy``; see :func:`pipeline.evaluation.common.result.compared`.

    Returns:
        ``test/<what>``, ``test/<what>_low`` and ``test/<what>_high``, and ``baseline/<rival>/<what>``.
    """
    summed = {who: float(statistic(np.asarray(rows))) for who, rows in values.items()}
    return with_interval(f"{split}/{what}", values["model"], statistic, groups) | compared(what, summed, split)


def root_mean(squares: ArrayLike) -> float:
    """Root of the mean, the statistic that turns squared errors into a root mean square."""
    return float(np.sqrt(np.mean(np.asarray(squares))))
