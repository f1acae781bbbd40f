import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.results import Row, write_results

ROOT = Path(__file__).parents[2]


def test_a_part_measured_anew_leaves_the_rows_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    for part, commit, name in (("b", "1", "old"), ("a", "2", "first"), ("b", "3", "new")):
        monkeypatch.setattr(results, "_commit", lambda commit=commit: commit)
        monkeypatch.setattr(results, "_machine", lambda commit=commit: f"machine {commit}")
        write_results("x", [Row(name, 1.0, "s", None, None, "lower")], part=part)
    rows = json.loads((tmp_path / "x.json").read_text())["rows"]
    kept, new = rows
    assert (kept["name"], kept["part"], kept["commit"], kept["machine"]) == ("first", "a", "2", "machine 2")
    assert (new["name"], new["part"], new["commit"], new["machine"]) == ("new", "b", "3", "machine 3")


def test_the_command_names_no_place_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    (tmp_path / "weights.h5").touch()
    monkeypatch.setattr(
        "sys.argv",
        ["x.py", "--data", str(tmp_path), "--published", f"{tmp_path}/weights.h5", "--part", "training sets"],
    )
    write_results("x", [Row("a", 1.0, "s", None, None, "lower")])
    command = json.loads((tmp_path / "x.json").read_text())["command"]
    assert command == "python -m benchmarks.x --data DIR --published weights.h5 --part 'training sets'"


def test_no_committed_file_names_a_path_of_a_machine() -> None:
    found = subprocess.run(
        ["git", "grep", "-InE", r"(^|[^A-Za-z0-9_.~])/(work|home|root|Users)/|\.\./shared", "--", ".", ":!.ci/run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
