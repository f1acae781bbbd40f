import sys

import pytest

from pipeline.tracking.closing import close

FACTS = {"val/loss": "0.5", "weights": "models/gnn.ckpt"}


def test_a_line_in_a_pipe_a_table_in_a_terminal_nothing_in_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)
    close("train gnn", FACTS)
    assert capsys.readouterr().out == "train gnn: val/loss 0.5, weights models/gnn.ckpt\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    close("train gnn", FACTS)
    table = capsys.readouterr().out.splitlines()
    assert "train gnn" in table[0] and len(table) == 5
    assert any("val/loss" in line and "0.5" in line for line in table)
    monkeypatch.setenv("CI", "true")
    close("train gnn", FACTS)
    assert capsys.readouterr().out == ""
