"""One form for every benchmark: a table on the screen and benchmarks/results/<name>.json.

The file says by which command, at which commit, when, on which machine and with which versions each value was measured.
"""

import json
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from pipeline.outputs import atomic_file

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "numpy",
    "numba",
    "scipy",
    "polars",
    "torch",
    "pytorch-lightning",
    "torch-geometric",
    "rebound",
    "scikit-learn",
    "rbms",
    "sbi",
)


@dataclass(frozen=True)
class Row:
    """A measured value beside what it is compared with.

    Attributes:
        name: what was measured.
        value: measured by the command of the table.
        unit: of value, reference and goal; "x" for a ratio.
        reference: published or rival figure, if there is one.
        goal: to be reached, if there is one.
        better: which way is better.
        note: conditions in a few words.
    """

    name: str
    value: float
    unit: str
    reference: float | None
    goal: float | None
    better: Literal["lower", "higher"]
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.better == "lower" else self.value >= self.goal


def write_results(
    name: str, rows: Sequence[Row], quick: bool = False, part: str | None = None, program: str | None = None
) -> None:
    """Print the rows as a table and write ``benchmarks/results/<name>.json``.

    Args:
        name: of the benchmark.
        rows: in reading order.
        quick: only print: it was tried whether the benchmark runs.
        part: of the benchmark that was measured; rows of its other parts stay in the file. Each then says of which
            part it is, and at which commit, when and on which machine it was measured.
        program: the module that was called, where it is not that of ``name``.

    Raises:
        ValueError: a value is not finite.
    """
    for row in rows:
        if not math.isfinite(row.value):
            raise ValueError(f"{name}: {row.name} is {row.value}")
    print_table(name, rows)
    if quick:
        return
    path, commit, date = RESULTS / f"{name}.json", _commit(), datetime.now(UTC).strftime("%Y-%m-%d")
    measured = [_rounded(asdict(row)) for row in rows]
    if part:
        kept = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
        measured = [row | {"part": part, "commit": commit, "date": date, "machine": _machine()} for row in measured]
        measured = sorted([row for row in kept if row["part"] != part] + measured, key=lambda row: row["part"])
    values = {
        "command": f"python -m benchmarks.{program or name} {_portable(sys.argv[1:])}".rstrip(),
        "commit": commit,
        "date": date,
        "machine": _machine(),
        "versions": _versions(),
        "rows": measured,
    }
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def print_table(name: str, rows: Sequence[Row]) -> None:
    """Show the rows; a reached goal is marked by a tick, a missed one by a cross."""
    table = Table("", "value", "unit", "reference", "goal", "", "note", title=name, title_justify="left")
    marks = {True: "[green]✓[/]", False: "[red]✗[/]", None: ""}
    for row in rows:
        numbers = ["" if number is None else f"{number:.4g}" for number in (row.value, row.reference, row.goal)]
        table.add_row(row.name, numbers[0], row.unit, *numbers[1:], marks[row.reached], row.note)
    Console(width=None if os.isatty(1) else 180).print(table)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in row.items()}


def _portable(arguments: Sequence[str]) -> str:
    """The arguments without the places of this machine: a folder is DIR, a file its own name."""
    places = [Path(argument) for argument in arguments]
    return shlex.join(
        "DIR" if place.is_dir() else place.name if place.is_file() else argument
        for argument, place in zip(arguments, places, strict=True)
    )


def _commit() -> str:
    """The commit whose code ran, marked if the code was changed since."""
    root = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
        return git("rev-parse", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.machine()}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
