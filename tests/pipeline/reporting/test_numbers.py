"""The tables of the report: each number once, under the rows that it was measured on."""

import pytest

from pipeline.reporting.numbers import number, tables


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (6.589516e-07, ".4g", "6.59×10⁻⁷"),
        (-861.04, ".4g", "−861"),
        (7.4026, "#.3g", "7.40"),
        (899.7, "#.3g", "900"),
        (123456.0, ".4g", "1.235×10⁵"),
        (0.0, ".4g", "0"),
    ],
)
def test_numbers_as_one_writes_them_by_hand(value: float, form: str, text: str) -> None:
    assert number(value, form) == text


def test_training_errors_do_not_stand_under_held_out() -> None:
    metrics = {
        "test/loss": 0.5,
        "test/mse": 2.0,
        "test/mse_low": 1.5,
        "test/mse_high": 2.5,
        "baseline/mean_picture/mse": 3.0,
        "train/mse": 1.0,
        "train/baseline/mean_picture/mse": 1.25,
        "model/log_z_nats": 7.0,
    }
    found = tables(metrics, {"mse": "mean square error", "loss": "the loss", "log_z_nats": "log Z (nats)"})
    assert found == [
        {
            "corner": "held out",
            "columns": ["model", "mean picture"],
            "rows": [("mean square error", ["2 (1.5 to 2.5)", "3"])],
        },
        {"corner": "training", "columns": ["model", "mean picture"], "rows": [("mean square error", ["1", "1.25"])]},
        {"corner": "held out", "columns": ["model"], "rows": [("the loss", ["0.5"])]},
        {"corner": "of the model itself", "columns": ["model"], "rows": [("log Z (nats)", ["7"])]},
    ]


def test_other_telescopes_and_named_clusters_have_rows_and_columns_of_their_own() -> None:
    metrics = {
        "test/mse": 1.0,
        "test/noisy/mse": 2.0,
        "test/noisy/baseline/ridge/mse": 3.0,
        "test/pal_11/mse": 4.0,
        "test/ngc_5053/mse": 5.0,
        "test/noisy/pal_11/mse": 6.0,
        "test/noisy/ngc_5053/mse": 7.0,
    }
    noisy = "held out, seen through another telescope, with noise"
    found = {(t["corner"], *t["columns"]): t["rows"] for t in tables(metrics, {})}
    assert found == {
        ("held out", "model", "pal 11", "ngc 5053"): [("mse", ["1", "4", "5"])],
        (noisy, "model", "ridge", "pal 11", "ngc 5053"): [("mse", ["2", "3", "6", "7"])],
    }
