"""The summary: who is better, by how much, and what of it is published."""

import json
from dataclasses import replace

import pytest

from pipeline.errors import InputError
from pipeline.evaluation.common.headline import Measure
from pipeline.reporting.summary import RESULTS, published, strip, summary_row, verdict
from pipeline.training.registry import MODELS


def measure(value: float, rival: float, ends: tuple[float, float] | None, higher: bool = False) -> Measure:
    low, high = ends or (None, None)
    return Measure("an error", higher, value, low, high, {"worst": rival - 9 if higher else rival + 9, "ridge": rival})


@pytest.mark.parametrize(
    ("found", "differences", "kind", "sign", "amount"),
    [
        (measure(2.0, 5.0, (1.0, 3.0)), False, "better", "▲", "smaller by a factor of 2.5"),
        (measure(5.0, 2.0, (4.0, 6.0)), False, "worse", "▼", "larger by a factor of 2.5"),
        (measure(2.0, 2.5, (1.0, 3.0)), False, "within", "≈", "smaller by a factor of 1.2"),
        (measure(2.0, 5.0, None), False, "better", "▲", "smaller by a factor of 2.5"),
        (measure(0.0, 5.0, (0.0, 0.0)), False, "better", "▲", "by 5.00"),
        (measure(-861.0, -899.5, (-880.0, -840.0), higher=True), True, "better", "▲", "by 38.5 nats"),
        (measure(-1.5, 0.25, (-1.6, -1.4)), True, "better", "▲", "by 1.75 nats"),
        (measure(-1.5, -2.5, (-1.6, -1.4)), True, "worse", "▼", "by 1.00 nats"),
    ],
)
def test_verdict(found: Measure, differences: bool, kind: str, sign: str, amount: str) -> None:
    said = verdict(found, differences)
    assert (said["kind"], said["sign"], said["amount"]) == (kind, sign, amount)
    assert ("inside the interval" in said["words"]) == (kind == "within")


def test_better_is_to_the_right() -> None:
    lower = strip(measure(2.0, 8.0, (1.0, 4.0)), False)
    assert lower["rival"] < lower["high"] < lower["value"] < lower["low"]
    assert lower["value"] == pytest.approx((lower["low"] + lower["high"]) / 2, abs=0.1)  # ratios: 1, 2, 4
    higher = strip(measure(-5.0, -9.0, (-6.0, -4.0), higher=True), True)
    assert higher["rival"] < higher["low"] < higher["value"] < higher["high"]


def test_a_row_of_a_model_without_rival_or_interval() -> None:
    row = summary_row(MODELS["ebm-plane"], Measure("KL", False, 0.003))
    assert (row["value"], row["interval"], row["rival"], row["verdict"]) == ("0.00300", None, None, None)


def test_a_headline_without_a_value_is_named() -> None:
    with pytest.raises(
        InputError, match=r"evaluate/gnn\.json: no test/one_step_position_mse; `dvc repro evaluate@gnn`"
    ):
        summary_row(MODELS["gnn"], Measure("MSE", False, rivals={"ridge": 1.0}))


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.published])
def test_published_figures_stand_in_a_benchmark(name: str) -> None:
    said = published(MODELS[name])
    rows = json.loads((RESULTS / f"{MODELS[name].published['benchmark']}.json").read_text())["rows"]
    [row] = [row for row in rows if row["name"] == MODELS[name].published["row"]]
    assert said["source"] and f"{row['value']:.3g}" in said["figure"]
    assert row["unit"] == "x" or f"{row['reference']:.4g}" in said["figure"]
    assert published(replace(MODELS[name], published=None)) is None
