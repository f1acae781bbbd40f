"""The measures of an evaluation beside those of its rivals, and the one that sums it up."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HIGHER = (  # in the key of a measure that is better when higher
    "likelihood",
    "accuracy",
    "novelty_auc",
    "membership_auc",
    "average_precision",
    "completeness",
    "purity",
    "psnr",
    "ssim",
)
NOISY = "noisy/"  # before a measure on maps seen by another telescope, with noise
METRIC = re.compile(rf"(?:test|(?:test/({NOISY}))?baseline/(\w+))/((?:{NOISY})?\w+?)(?:_(low|high))?")


@dataclass
class Measure:
    """One quantity of an evaluation: the model's value, its 95 % interval and those of its rivals.

    Attributes:
        label: in words, with its unit.
        higher: whether more is better.
        value: the model's.
        low: lower end of the interval; None if there is none.
        high: upper end.
        rivals: name in words to value.
    """

    label: str
    higher: bool
    value: float | None = None
    low: float | None = None
    high: float | None = None
    rivals: dict[str, float] = field(default_factory=dict)

    @property
    def best_rival(self) -> str | None:
        """Name of the best rival, whether or not it beats the model; None if there is none."""
        if not self.rivals:
            return None
        return (max if self.higher else min)(self.rivals, key=lambda name: self.rivals[name])

    def in_words(self) -> str:
        """Value and interval; empty if the model has none."""
        if self.value is None:
            return ""
        interval = "" if self.low is None or self.high is None else f" ({number(self.low)} to {number(self.high)})"
        return f"{number(self.value)}{interval}"

    def best_rival_in_words(self) -> str:
        """Value and name of the best rival; empty if there is none."""
        best = self.best_rival
        return "" if best is None else f"{number(self.rivals[best])} {best}"


def number(value: float) -> str:
    """Four significant digits, whole numbers in full: 0.03149, 7.847e-6, 114071."""
    if abs(value) >= 1000 and abs(value) < 1e9:
        return f"{value:.0f}"
    return re.sub(r"e([+-])0*", r"e\1", f"{value:.4g}").replace("e+", "e")


def measures(metrics: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Measure]:
    """The measures on held-out data of a flat evaluation, by what is measured: ``pixel_error_percent``.

    ``test/<what>`` is the model's value, ``test/<what>_low`` and ``_high`` its interval, ``baseline/<rival>/<what>``
    a rival's value; ``noisy/<what>`` in their place, or ``test/noisy/baseline/<rival>/<what>``, is the same measure
    behind noise.
    """
    found: dict[str, Measure] = {}
    for key, value in metrics.items():
        named = METRIC.fullmatch(key)
        if named is None:
            continue
        noisy, rival, what, bound = named.groups(default="")
        what = noisy + what
        plain = what.removeprefix(NOISY)
        label, higher = labels.get(plain, plain.replace("_", " ")), any(word in what for word in HIGHER)
        label = label if plain == what else f"the same behind noise: {label}"
        measure = found.setdefault(what, Measure(label, higher))
        if not rival:
            setattr(measure, bound or "value", value)
        elif not bound:
            measure.rivals[rival.replace("_", " ")] = value
    return found


def headline(metrics: Mapping[str, Any], key: str, labels: Mapping[str, str]) -> Measure:
    """The measure that sums a model up.

    Args:
        metrics: by flat key.
        key: that of the measure in models.yaml, such as ``test/mse``.
        labels: a sentence for each measure.

    Raises:
        KeyError: the evaluation has no such measure.
    """
    return measures(metrics, labels)[key.removeprefix("test/")]


def headline_row(measure: Measure) -> dict[str, float]:
    """What ``dvc metrics show`` tells of a model: value, ends of the interval and the best rival's value."""
    row = {"value": measure.value, "low": measure.low, "high": measure.high}
    if measure.best_rival is not None:
        row["best_rival"] = measure.rivals[measure.best_rival]
    return {name: value for name, value in row.items() if value is not None}
