"""Scale and failure: steps of several processes, memory, rates, kills; and what faults, fuzz and mutants have found.

Run after `dvc repro` (it reads the data and models of the chain), on an idle machine. Parts faults, fuzz and mutants
read what `pytest -m fault --junitxml runs/faults.xml`, benchmarks.fuzz and benchmarks.mutants have left:
python -m benchmarks.scale --part memory
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.results import RESULTS, Row, write_results
from benchmarks.scale_kill import kill_rows
from benchmarks.scale_memory import memory_rows
from benchmarks.scale_processes import process_rows
from benchmarks.scale_rates import rate_rows
from pipeline.errors import InputError, run

FAULTS, FUZZ = Path("runs/faults.xml"), Path("runs/fuzz/fuzz.json")
KINDS, INPUTS, KILLED = 25, 1_000_000, 90.0  # goals: kinds of faults, inputs of the fuzzer, percent of the mutants


def main() -> None:
    """Measure a part, or all, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="this one alone; may be given again")
    parser.add_argument("--quick", action="store_true", help="write no table")
    args = parser.parse_args()
    for part in args.part or PARTS:
        write_results("scale", PARTS[part](), args.quick, part)


def fault_rows() -> list[Row]:
    """Kinds of faults after which nothing was lost: functions of tests/faults whose cases all passed."""
    outcome = defaultdict(list)
    for case in ElementTree.parse(_there(FAULTS, "pytest -m fault --junitxml runs/faults.xml")).iter("testcase"):
        kind = case.attrib["name"].partition("[")[0]
        outcome[kind].append(next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), ""))
    lost = [kind for kind, each in outcome.items() if {"failure", "error"} & set(each)]
    skipped = [kind for kind, each in outcome.items() if set(each) == {"skipped"}]
    kept = len(outcome) - len(lost) - len(skipped)
    cases = sum(map(len, outcome.values()))
    told = [f"{what}: {', '.join(kinds)}" for what, kinds in (("lost", lost), ("skipped", skipped)) if kinds]
    note = "; ".join([f"{cases} cases", *told])
    return [
        Row("kinds of faults with nothing lost", kept, "", None, KINDS, "higher", note),
        Row("kinds of faults with something lost", len(lost), "", None, 0, "lower"),
    ]


def fuzz_rows() -> list[Row]:
    """Inputs that a reader answered or refused in one line, the slowest and the largest."""
    readers = json.loads(_there(FUZZ, "python -m benchmarks.fuzz").read_text(encoding="utf-8"))
    engines = [engine for reader in readers for engine in reader["engines"]]
    found = sum(len(reader["findings"]) for reader in readers)
    each = ", ".join(f"{r['reader']} {sum(e['inputs'] for e in r['engines'])}" for r in readers)
    return [
        Row("fuzz inputs", sum(engine["inputs"] for engine in engines), "", None, INPUTS, "higher", each),
        Row("fuzz inputs with a traceback, a hang or too much memory, of one kind each", found, "", None, 0, "lower"),
        Row("slowest fuzz input", max(engine["slowest_s"] for engine in engines), "s", None, 5.0, "lower"),
        Row("largest memory of a fuzzed reader", max(e["memory_mb"] for e in engines), "MB", None, 2000.0, "lower"),
    ]


def mutant_rows() -> list[Row]:
    """Mutants killed, of all rooms."""
    file = _there(RESULTS / "mutants.json", "python -m benchmarks.mutants")
    first = json.loads(file.read_text(encoding="utf-8"))["rows"][0]
    return [Row("mutants killed", first["value"], "%", None, KILLED, "higher", first["note"])]


def _there(file: Path, command: str) -> Path:
    if not file.exists():
        raise InputError(f"{file}: no such file; `{command}` makes it")
    return file


PARTS: dict[str, Callable[[], list[Row]]] = {
    "processes": process_rows,
    "memory": memory_rows,
    "rates": rate_rows,
    "kill": kill_rows,
    "faults": fault_rows,
    "fuzz": fuzz_rows,
    "mutants": mutant_rows,
}

if __name__ == "__main__":
    run(main)
