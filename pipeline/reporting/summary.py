"""The summary on top of the page: of each model its headline measure beside its best simple rival."""

import json
import math
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.evaluation.common.headline import Measure
from pipeline.reporting.numbers import number
from pipeline.training.registry import Model

RESULTS = Path(__file__).parents[2] / "benchmarks/results"
FORM = "#.3g"  # of numbers
WIDTH, MARGIN = 150, 8  # of a strip, in pixels
SIGNS = {"better": "▲", "worse": "▼", "within": "≈"}


def summary_row(model: Model, measure: Measure) -> dict[str, Any]:
    """What the summary says of a model.

    Args:
        model: of models.yaml.
        measure: its headline.

    Raises:
        InputError: the evaluation has no value of the model's own.
    """
    if measure.value is None:
        raise InputError(f"reports/evaluate/{model.name}.json: no {model.headline}; `dvc repro evaluate@{model.name}`")
    rival = measure.best_rival
    return {
        "value": number(measure.value, FORM),
        "interval": interval(measure),
        "measure": measure.label,
        "rival": {"name": rival, "value": number(measure.rivals[rival], FORM)} if rival else None,
        "verdict": verdict(measure, additive(model)) if rival else None,
        "strip": strip(measure, additive(model)) if rival else None,
        "published": published(model),
        "command": f"dvc repro evaluate@{model.name}",
    }


def interval(measure: Measure) -> str | None:
    """Ends of the 95 % interval; None if there is none."""
    if measure.low is None or measure.high is None:
        return None
    return f"{number(measure.low, FORM)} to {number(measure.high, FORM)}"


def additive(model: Model) -> bool:
    """Whether differences, not ratios, of the headline mean something: logarithms of probabilities."""
    return model.headline.endswith("_nats")


def compared(measure: Measure) -> tuple[float, float]:
    """The model's value and the best rival's."""
    assert measure.value is not None and measure.best_rival is not None
    return measure.value, measure.rivals[measure.best_rival]


def verdict(measure: Measure, differences: bool) -> dict[str, str]:
    """Better or worse than the best rival, as a sign and in words, and by how much.

    ``within``: the rival's value lies inside the model's interval, so that other test data might turn the order round.
    """
    value, rival = compared(measure)
    better = value > rival if measure.higher else value < rival
    word = "better" if better else "worse"
    inside = measure.low is not None and measure.high is not None and measure.low <= rival <= measure.high
    if differences:
        amount = f"by {number(abs(value - rival), FORM)} nats"
    elif min(value, rival) <= 0:  # no ratio
        amount = f"by {number(abs(value - rival), FORM)}"
    else:
        factor = number(max(value, rival) / min(value, rival), "#.2g")
        amount = f"{'larger' if value > rival else 'smaller'} by a factor of {factor}"
    kind = "within" if inside else word
    words = f"{word}, but inside the interval" if inside else word
    return {"kind": kind, "sign": SIGNS[kind], "words": words, "amount": amount}


def strip(measure: Measure, differences: bool) -> dict[str, float]:
    """Places of value, interval and rival in a small drawing, better to the right.

    Ratios are drawn on a logarithmic scale.
    """
    value, rival = compared(measure)
    ends = {"low": measure.low, "high": measure.high, "value": value, "rival": rival}
    numbers = {name: place for name, place in ends.items() if place is not None}
    logarithmic = not differences and min(numbers.values()) > 0
    sign = 1 if measure.higher else -1
    places = {name: sign * (math.log(place) if logarithmic else place) for name, place in numbers.items()}
    least, span = min(places.values()), (max(places.values()) - min(places.values())) or 1.0
    return {name: round(MARGIN + (WIDTH - 2 * MARGIN) * (place - least) / span, 1) for name, place in places.items()}


def published(model: Model) -> dict[str, str] | None:
    """A published figure beside ours of the same thing, from a benchmark's results; None if there is none."""
    if model.published is None:
        return None
    results = json.loads((RESULTS / f"{model.published['benchmark']}.json").read_text(encoding="utf-8"))
    row = next(row for row in results["rows"] if row["name"] == model.published["row"])
    unit, ours = f" {row['unit']}".rstrip(), number(row["value"], FORM)
    if row["unit"] == "x":  # over a published network that was run on the same data
        figure = f"{ours} times that of the published network"
    else:
        figure = f"{number(row['reference'])}{unit}; ours {ours}{unit}"
    command = f"python -m benchmarks.{model.published['benchmark']}"
    return {"figure": figure, "source": model.published["source"], "command": command}
