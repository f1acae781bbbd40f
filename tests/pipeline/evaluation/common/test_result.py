import json
from pathlib import Path

import pytest

from pipeline.evaluation.common.result import write_json


def test_seven_digits_and_no_round_off(tmp_path: Path) -> None:
    """Squared residues of exact fits, 1e-32, differ from one processor to the next and must not be in dvc.lock."""
    write_json({"model": 0.123456789, "exact": 7.2e-32, "small": -4.4e-16, "list": [1e-31, 1]}, tmp_path / "x.json")
    read = json.loads((tmp_path / "x.json").read_text())
    assert read == {"model": 0.1234568, "exact": 0.0, "small": -4.4e-16, "list": [0.0, 1]}


def test_a_metric_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="errors/model is nan"):
        write_json({"errors": {"model": float("nan")}}, tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()
