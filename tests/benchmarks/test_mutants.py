"""Mutants: which are drawn, which tests run on them, and what the table says."""

import ast
from pathlib import Path

import pytest

from benchmarks import mutants_made
from benchmarks.mutants import rows_of
from benchmarks.mutants_made import ROOMS, Mutant, files_of
from benchmarks.mutants_tested import TEST_SECONDS, Reach


def mutant(room: str, line: int, unseen: bool = False) -> Mutant:
    return Mutant(room, "pipeline/a.py", line, "", "", unseen)


def test_a_file_belongs_to_one_room() -> None:
    files = [name for room in ROOMS for name in files_of(room)]
    assert len(files) == len(set(files)) > 150
    assert not [name for name in files if Path(name).stem in ("settings", "figures", "__init__")]


def test_tests_that_reach_the_line_run_the_quickest_first() -> None:
    lines = {"3": ["slow", "quick", "endless"], "9": ["other"]}
    seconds = {"slow": 0.7 * TEST_SECONDS, "quick": 0.1, "endless": 0.8 * TEST_SECONDS, "other": 0.2}
    reach = Reach({"pipeline/a.py": lines}, seconds)
    assert reach.of(mutant("physics", 3)) == ["quick", "slow"]
    assert reach.of(mutant("physics", 9, unseen=True)) == ["quick", "other", "slow"]
    assert reach.of(mutant("physics", 4)) == ["quick", "other", "slow"], "nothing is known of the line"
    assert Reach({}, seconds).of(mutant("physics", 3)) == []


def test_rows_are_shares_of_all_and_of_each_room() -> None:
    outcome = {mutant("physics", 1): True, mutant("physics", 2): False, mutant("readers", 3): True}
    rows = [(row.name, round(row.value, 2), row.goal, row.note) for row in rows_of(outcome)]
    assert rows == [
        ("mutants killed: all", 66.67, 90.0, "2 of 3"),
        ("mutants killed: physics", 50.0, None, "1 of 2"),
        ("mutants killed: readers", 100.0, None, "1 of 1"),
    ]


def test_words_drawing_and_guards_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mutmut")
    code = """def value(x, axes):
    axes.set(x, label="a" + "b")
    if x < 2:
        raise ValueError(x - 1)
    return list(zip(x, x, strict=True))

def figure(x):
    return x + 1
"""
    (tmp_path / "a.py").write_text(code)
    monkeypatch.setattr(mutants_made, "ROOT", tmp_path)
    found = [mutants_made.changed("physics", "a.py", *each) for each in mutants_made.mutations("a.py")]
    changes = {change.change.split("\n")[1] for change in found if change}
    assert {change.strip("+ ") for change in changes} == {
        "if x <= 2:", "if x < 3:", "return list(None)",
        "return list(zip(None, x, strict=True))", "return list(zip(x, None, strict=True))",
        "return list(zip(x, strict=True))",
    }  # fmt: skip
    assert all(ast.parse(change.source) for change in found if change)


def test_what_runs_at_import_is_for_all_tests_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mutmut")
    (tmp_path / "a.py").write_text("MOST = 3\n\ndef f(x):\n    return x < MOST\n\nclass A:\n    size = 5\n")
    monkeypatch.setattr(mutants_made, "ROOT", tmp_path)
    found = [mutants_made.changed("physics", "a.py", *each) for each in mutants_made.mutations("a.py")]
    assert {(each.line, each.unseen) for each in found if each} == {(1, True), (4, False), (7, True)}
