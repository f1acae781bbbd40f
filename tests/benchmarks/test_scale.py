"""Rows of benchmarks.scale: what is read from the files of tests, planned from small runs, and watched."""

import json
import random
from pathlib import Path

import pytest

from benchmarks import scale, scale_kill, scale_rates, scale_tests
from benchmarks.scale_kill import lost
from benchmarks.scale_watch import watched
from pipeline.errors import InputError

FAULTS = """<testsuites><testsuite>
<testcase classname="faults.test_a" name="test_killed[gnn]"/>
<testcase classname="faults.test_a" name="test_killed[rbm]"><failure/></testcase>
<testcase classname="faults.test_a" name="test_full_disk[1k]"/>
<testcase classname="faults.test_b" name="test_full_disk[2k]"><skipped/></testcase>
<testcase classname="faults.test_b" name="test_read_only"><skipped/></testcase>
</testsuite></testsuites>"""

CURVE = """<testcase classname="test_devices" name="test_processes_have_the_curves_of_one[{name}]"><properties>
<property name="largest relative difference" value="1e-9"/>
<property name="largest relative difference" value="{value}"/></properties>{trouble}</testcase>"""
OTHERS = """<testcase classname="by_dask" name="test_stage_by_dask[own-draw_radiographs]"/>
<testcase classname="by_dask" name="test_stage_by_dask[remote-draw_radiographs]"/>
<testcase classname="by_dask" name="test_stage_by_dask[own-generate_nbody]"/>
<testcase classname="by_dask" name="test_stage_by_dask[remote-generate_nbody]"><failure/></testcase>
<testcase classname="sharing" name="test_pushed_results_are_pulled_and_nothing_runs[store]"/>
<testcase classname="sharing" name="test_pushed_results_are_pulled_and_nothing_runs[s3_store]"><skipped/></testcase>"""


def test_a_kind_of_fault_is_lost_by_one_of_its_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "faults.xml"
    monkeypatch.setattr(scale_tests, "FAULTS", file)
    with pytest.raises(InputError, match="pytest -m fault --junitxml"):
        scale_tests.fault_rows()
    file.write_text(FAULTS, encoding="utf-8")
    kept, lost = scale_tests.fault_rows()
    assert (kept.value, kept.note) == (1, "lost: test_killed; skipped: test_read_only")
    assert (lost.value, lost.reached) == (1, False)


def slow_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str) -> list[scale.Row]:
    curves = CURVE.format(name="gnn", value="2e-6", trouble=trouble)
    curves += CURVE.format(name="autoencoder-covid", value="3e-5", trouble="")
    (tmp_path / "slow.xml").write_text(f"<testsuite>{curves}{OTHERS}</testsuite>", encoding="utf-8")
    locks = [{"name": "lines of dvc.lock that differ side by side", "value": value} for value in (0.0, 2.0)]
    (tmp_path / "chain_time.json").write_text(json.dumps({"rows": locks}), encoding="utf-8")
    monkeypatch.setattr(scale_tests, "SLOW", tmp_path / "slow.xml")
    monkeypatch.setattr(scale_tests, "RESULTS", tmp_path)
    return scale_tests.slow_rows()


def test_what_slow_tests_have_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curves, dask, pulled, lock = slow_rows(tmp_path, monkeypatch, "")
    assert (curves.value, curves.note) == (3e-5, "gnn 2.0e-06, autoencoder-covid 3.0e-05")
    assert [row.value for row in (dask, pulled, lock)] == [1, 1, 2.0]
    with pytest.raises(InputError, match=r"curves_of_one\[gnn\]"):
        slow_rows(tmp_path, monkeypatch, "<failure/>")


def test_fuzz_rows_add_readers_and_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines = [{"inputs": 10, "slowest_s": 0.5, "memory_mb": 90}, {"inputs": 7, "slowest_s": 2.0, "memory_mb": 80}]
    readers = [
        {"reader": "csv", "engines": engines, "findings": ["a", "b"]},
        {"reader": "fits", "engines": engines[:1], "findings": []},
    ]
    file = tmp_path / "fuzz.json"
    file.write_text(json.dumps(readers), encoding="utf-8")
    monkeypatch.setattr(scale, "FUZZ", file)
    rows = scale.fuzz_rows()
    assert [row.value for row in rows] == [27, 2, 2.0, 90]
    assert rows[0].note == "csv 17, fits 10"


def test_a_plan_is_the_line_through_two_runs() -> None:
    assert scale_rates.line((10, 20), (1.0, 1.5), 100) == pytest.approx(5.5)


def test_memory_and_output_of_a_command(tmp_path: Path) -> None:
    """Much memory, and more words than a pipe holds."""
    (tmp_path / "hungry.py").write_text(
        "import time\nheld = bytearray(b'x') * 300_000_000\nprint('word ' * 100_000)\ntime.sleep(1.5)\n"
    )
    found = watched(tmp_path, "hungry")
    assert 0.3 < found.anonymous < 0.33
    assert found.resident >= found.anonymous and found.seconds > 0
    assert len(found.output.split()) == 100_000


def test_lost_is_the_time_since_the_last_kept_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale_kill, "EARLIEST", 1.0)
    monkeypatch.setattr(scale_kill, "LATEST", 1.0)
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.3)\nopen('kept.csv', 'w').close()\ntime.sleep(60)\n")
    (tmp_path / "quick.py").write_text("")
    (tmp_path / "wrong.py").write_text("raise SystemExit(2)\n")
    assert 0.2 < lost(tmp_path, "*.csv", random.Random(0), "slow") < 0.75
    assert lost(tmp_path, "*.csv", random.Random(0), "quick") == 0
    with pytest.raises(RuntimeError, match="wrong ended with status 2"):
        lost(tmp_path, "*.csv", random.Random(0), "wrong")
