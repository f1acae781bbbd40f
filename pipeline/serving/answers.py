"""What the page shows of an answer: numbers with intervals, warnings, pictures, files to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.predict import TRIAL, TRIED
from pipeline.serving.groups import Group
from pipeline.training.registry import MODELS


class Row(NamedTuple):
    """A number, its interval and a wider one, for people."""

    name: str
    value: str
    interval: str = ""
    wide: str = ""


@dataclass(frozen=True)
class Part:
    """What a group of models says of a file.

    Attributes:
        group: that was asked.
        error: why it has no answer, one line; empty: it has one.
        outside: the file is unlike all of the training.
        warnings: the gravest first.
        interval: content of the rows' intervals, such as ``68 %``.
        rows: numbers.
        pictures: name of a file, and its caption, in reading order.
        files: content by name, pictures too.
    """

    group: Group
    error: str = ""
    outside: bool = False
    warnings: list[str] = field(default_factory=list)
    interval: str = ""
    rows: list[Row] = field(default_factory=list)
    pictures: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


def answered(
    group: Group, scale: str, metrics: Mapping[str, Any], files: dict[str, bytes], unused: Sequence[str]
) -> Part:
    """A part out of what the command line would write.

    Args:
        group: that was asked.
        scale: at which it was trained.
        metrics: of the answer's JSON.
        files: all, that one too.
        unused: words of the options.
    """
    remarks = [TRIED] * (scale == TRIAL) + metrics.get("warnings", [])
    if unused:
        remarks.append(f"these models have no use for {' '.join(unused)}")
    return Part(
        group,
        outside=metrics.get("outside_training", False),
        warnings=remarks,
        interval=metrics.get("interval", ""),
        rows=rows(group, metrics),
        pictures=list(metrics["pictures"].items()),
        files=files,
    )


def rows(group: Group, metrics: Mapping[str, Any]) -> list[Row]:
    """Quantities, and plain numbers with the words that the report has for them."""
    from pipeline.evaluation.common.observed import sign
    from pipeline.evaluation.common.result import short

    found = []
    for name, value in metrics.items():
        match value:
            case {"value": middle, "low": low, "high": high, "unit": unit}:
                wide = f"{short(value['low_95'])} to {short(value['high_95'])}" if "low_95" in value else ""
                found.append(Row(words(name), f"{short(middle)} {sign(unit)}", f"{short(low)} to {short(high)}", wide))
            case bool():
                pass
            case int():
                found.append(Row(label(group, name), f"{value:,}"))
            case float():
                found.append(Row(label(group, name), f"{value:.4g}"))
    return found


def label(group: Group, name: str) -> str:
    """A number in the words of the report, where it is there too."""
    return str(MODELS[group.names[0]].evaluation().LABELS.get(name, words(name)))


def words(name: str) -> str:
    """A key as words."""
    return name.replace("_", " ")
