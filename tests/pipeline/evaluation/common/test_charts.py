"""Charts as files: their columns, their digits, and what is refused."""

import json
from pathlib import Path

import polars as pl
import pytest

from pipeline.evaluation.common.charts import Chart, write_charts

TRUTH = [1.0, 1234567.89]


def test_files_hold_seven_digits_kinds_and_titles(tmp_path: Path) -> None:
    chart = Chart("age", "predicted", "Ages are read.", pl.DataFrame({"truth": TRUTH, "predicted": [1 / 3, 2e-9 / 3]}))
    items = pl.DataFrame({"item": ["a,b", "c"], "low": [None, 0.1], "age_error_gyr": [1, 2]})
    write_charts([chart], items, tmp_path)
    assert (tmp_path / "age.csv").read_text().splitlines()[0] == "truth,predicted"
    written = pl.read_csv(tmp_path / "age.csv")
    assert written["truth"].to_list() == [1.0, 1234568.0]
    assert written["predicted"].to_list() == [0.3333333, 6.666667e-10]
    assert (tmp_path / "items.csv").read_text() == 'item,low,age_error_gyr\n"a,b",,1\nc,0.1,2\n'
    assert json.loads((tmp_path / "charts.json").read_text()) == {
        "age": {"kind": "predicted", "title": "Ages are read."}
    }


def test_an_evaluation_without_charts_writes_that_it_has_none(tmp_path: Path) -> None:
    write_charts([], None, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["charts.json"]


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("Age (Gyr)", {"truth": TRUTH, "predicted": TRUTH}, "no name"),
        ("age", {"truth": TRUTH}, "no columns"),
        ("age", {"truth": TRUTH, "predicted": TRUTH, "colour": TRUTH}, "no columns"),
        ("age", {"truth": TRUTH, "predicted": [1.0, float("nan")]}, "predicted has a number that is not finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(name: str, table: dict[str, list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Chart(name, "predicted", "Ages.", pl.DataFrame(table))
