"""Scale and failure: steps of several processes, memory, rates, kills; and what tests, fuzz and mutants have found.

Run after `dvc repro` (it reads the data and models of the chain), on an idle machine. Parts faults, tests, fuzz and
mutants read what pytest, benchmarks.fuzz and benchmarks.mutants have left, and name the command where it is missing:
python -m benchmarks.scale --part memory
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.results import RESULTS, Row, write_results
from benchmarks.scale_kill import kill_rows
from benchmarks.scale_memory import memory_rows
from benchmarks.scale_processes import process_rows
from benchmarks.scale_rates import rate_rows
from benchmarks.scale_tests import fault_rows, slow_rows, there
from pipeline.errors import run

FUZZ = Path("runs/fuzz/fuzz.json")
INPUTS = 1_000_000  # goal of the fuzzer


def main() -> None:
    """Measure a part, or all, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="this one alone; may be given again")
    parser.add_argument("--quick", action="store_true", help="write no table")
    args = parser.parse_args()
    for part in args.part or PARTS:
        write_results("scale", PARTS[part](), args.quick, part)


def fuzz_rows() -> list[Row]:
    """Inputs that a reader answered or refused in one line, the slowest and the largest."""
    readers = json.loads(there(FUZZ, "python -m benchmarks.fuzz").read_text(encoding="utf-8"))
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
    file = there(RESULTS / "mutants.json", "python -m benchmarks.mutants")
    first = json.loads(file.read_text(encoding="utf-8"))["rows"][0]
    return [Row("mutants killed", first["value"], "%", None, first["goal"], "higher", first["note"])]


PARTS: dict[str, Callable[[], list[Row]]] = {
    "processes": process_rows,
    "memory": memory_rows,
    "rates": rate_rows,
    "kill": kill_rows,
    "faults": fault_rows,
    "tests": slow_rows,
    "fuzz": fuzz_rows,
    "mutants": mutant_rows,
}

if __name__ == "__main__":
    run(main)
