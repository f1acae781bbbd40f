"""Training curves: which epoch was kept, what stands together, and drawings that follow the page."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.reporting.curves import INK, curves, grouped

CURVES = """epoch,lr-AdamW,val/loss,val/age_mae_gyr,train/loss,train/age_mae_gyr
0,0.001,0.5,2.0,100.0,3.0
1,0.002,0.25,2.5,1.0,2.0
2,0.001,0.25,1.5,0.5,1.0
"""


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    (tmp_path / "mine.csv").write_text(CURVES)
    return tmp_path / "mine.csv"


def test_the_first_lowest_epoch_was_kept_or_the_last(csv: Path) -> None:
    best = curves(csv, "loss", "val/loss")
    assert (best["epochs"], best["exported"]) == (3, 1)
    assert [panel["name"] for panel in best["panels"]] == ["loss", "age mae gyr", "learning rate"]
    assert best["panels"][0]["text"] == (
        "loss by epoch: validation from 0.5 to 0.25, training from 100 to 0.5; epoch 1 was kept"
    )
    svg = best["panels"][0]["svg"]
    assert svg.startswith("<svg") and "currentColor" in svg and INK not in svg
    ElementTree.fromstring(svg)
    assert curves(csv, "loss", None)["exported"] == 2
    assert curves(csv, "loss", "val/loss") == best  # to the byte


def test_a_single_epoch_is_told_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("epoch,lr-AdamW,val/loss,train/loss\n0,0.001,0.5,2.0\n")
    loss, rate = curves(tmp_path / "mine.csv", "loss", "val/loss")["panels"]
    assert (loss["text"], loss["svg"]) == ("validation 0.5, training 2", None)
    assert (rate["name"], rate["text"]) == ("learning rate", "rate 0.001")


def test_the_summary_comes_first_and_the_rate_last() -> None:
    columns = {"epoch": [0], "lr-AdamW/pg1": [1], "lr-AdamW/pg2": [2], "val/a": [3], "train/loss": [4], "train/a": [5]}
    found = grouped(columns, "loss")
    assert list(found) == ["loss", "a", "learning rate"]
    assert list(grouped(columns, "a")) == ["a", "loss", "learning rate"]
    assert found == {"loss": {"train": [4]}, "a": {"val": [3], "train": [5]}, "learning rate": {"rate": [1]}}
