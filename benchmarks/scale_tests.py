"""Rows of benchmarks.scale that tests have measured (faults, processes, Dask, clones), read from JUnit files."""

import json
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.results import RESULTS, Row
from pipeline.errors import InputError

FAULTS, SLOW = Path("runs/faults.xml"), Path("runs/slow.xml")
SLOW_TESTS = "tests/test_devices.py tests/pipeline/test_by_dask.py tests/test_sharing.py"
KINDS = 25  # goal: kinds of faults
CURVES, SAME = "test_processes_have_the_curves_of_one", 1e-4
DASK, PULLED = "test_stage_by_dask", "test_pushed_results_are_pulled_and_nothing_runs"
DIFFERENCE = "largest relative difference"  # property that tests/test_devices.py records
BAD = ("failure", "error", "skipped")
Cases = dict[str, dict[str, ElementTree.Element]]


def fault_rows() -> list[Row]:
    """Kinds of faults after which nothing was lost: functions of tests/faults whose cases all passed."""
    outcome = {kind: set(map(trouble, cases.values())) for kind, cases in _cases(FAULTS, "-m fault").items()}
    lost = [kind for kind, each in outcome.items() if {"failure", "error"} & each]
    skipped = [kind for kind, each in outcome.items() if each == {"skipped"}]
    kept = len(outcome) - len(lost) - len(skipped)
    told = "; ".join(f"{what}: {', '.join(kinds)}" for what, kinds in (("lost", lost), ("skipped", skipped)) if kinds)
    return [
        Row("kinds of faults with nothing lost", kept, "", None, KINDS, "higher", told),
        Row("kinds of faults with something lost", len(lost), "", None, 0, "lower"),
    ]


def slow_rows() -> list[Row]:
    """What several processes, Dask and a second clone make of the same."""
    found = _cases(SLOW, f"-m slow {SLOW_TESTS}")
    return [
        _curves(found[CURVES]),
        _passed("data stages that write the same bytes by Dask", found[DASK], 6, "own cluster and remote one"),
        _passed("stores after whose `dvc pull` no stage runs", found[PULLED], 2, "a folder, S3 by moto"),
        _lock(),
    ]


def trouble(case: ElementTree.Element) -> str:
    """How a case failed, or that it was skipped; empty if it passed."""
    return next((child.tag for child in case if child.tag in BAD), "")


def _cases(file: Path, options: str) -> Cases:
    """The cases of a JUnit file by function, then by what stands in brackets."""
    found: Cases = defaultdict(dict)
    for case in ElementTree.parse(there(file, f"pytest {options} --junitxml {file}")).iter("testcase"):
        name, _, parameters = case.attrib["name"].partition("[")
        found[name][f"{case.attrib['classname']} {parameters.removesuffix(']')}"] = case
    return found


def _curves(cases: dict[str, ElementTree.Element]) -> Row:
    """The model whose losses differ most.

    Raises:
        InputError: a model has no figure, for its test failed.
    """
    differences = {}
    for name, case in cases.items():
        values = [each.attrib["value"] for each in case.iter("property") if each.attrib["name"] == DIFFERENCE]
        if trouble(case) or not values:
            raise InputError(f"{SLOW}: {CURVES}[{name.split()[-1]}] has no {DIFFERENCE}; see why it failed")
        differences[name.split()[-1]] = float(values[-1])
    note = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
    what = f"losses of 2 and 4 processes and 2 nodes against 1, {DIFFERENCE}"
    return Row(what, max(differences.values()), "", None, SAME, "lower", note)


def _passed(what: str, cases: dict[str, ElementTree.Element], goal: int, note: str) -> Row:
    """How many parameters have passed in every case that names them."""
    outcome = defaultdict(list)
    for name, case in cases.items():
        outcome[name.split()[-1].split("-")[-1]].append(trouble(case))
    return Row(what, sum(not any(each) for each in outcome.values()), f"of {goal}", None, goal, "higher", note)


def _lock() -> Row:
    """Of the chain, by benchmarks.chain_time."""
    name = "lines of dvc.lock that differ side by side"
    rows = json.loads((RESULTS / "chain_time.json").read_text(encoding="utf-8"))["rows"]
    value = max(row["value"] for row in rows if row["name"] == name)
    return Row("lines of dvc.lock that differ between two clones", value, "", None, 0, "lower", "serial and parallel")


def there(file: Path, command: str) -> Path:
    """The file.

    Raises:
        InputError: it is not there.
    """
    if not file.exists():
        raise InputError(f"{file}: no such file; `{command}` makes it")
    return file
