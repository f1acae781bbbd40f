import time

import pytest

from pipeline import progress


def test_a_log_gets_a_line_now_and_then_even_while_one_item_lasts(capsys, monkeypatch):
    monkeypatch.setattr(progress, "FIRST", 0.05)
    monkeypatch.setattr(progress, "EVERY", 0.1)
    taken = []
    for item in progress.track("ab", "drawing", 2):
        taken.append(item)
        time.sleep(0.25)
    lines = capsys.readouterr().err.splitlines()
    assert taken == ["a", "b"]
    assert 4 <= len(lines) <= 6
    assert lines[0] == "drawing: 0 of 2 after 0 s"
    assert lines[-1].startswith("drawing: 1 of 2 after")


def test_quick_work_says_nothing(capsys):
    assert list(progress.track(range(3), "drawing", 3)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    list(progress.track(range(3), "drawing", 3))
    assert "drawing" in capsys.readouterr().err


def test_the_lines_end_with_the_block_that_fails(capsys, monkeypatch):
    monkeypatch.setattr(progress, "FIRST", 0.05)
    monkeypatch.setattr(progress, "EVERY", 0.05)
    with pytest.raises(ValueError, match="broken"), progress.progress("training", 5):
        raise ValueError("broken")
    capsys.readouterr()
    time.sleep(0.2)
    assert capsys.readouterr().err == ""
