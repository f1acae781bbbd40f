"""Reads what wandb wrote for `wandb sync`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def run_folders(workspace: Path) -> list[Path]:
    """Of all offline runs, in the order in which they ended."""
    files = (workspace / "runs/wandb/wandb").glob("offline-run-*/run-*.wandb")
    return [file.parent for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)]  # names tell seconds only


def records(folder: Path) -> list[dict[str, Any]]:
    """The records of a run, in their order, by W&B's own reader."""
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(folder)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record[kind] for record in found if record["type"] == kind]


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """What W&B shows as the numbers of the run."""
    return {name: value for record in of_kind(found, "summary") for name, value in record["update"].items()}


def history(found: list[dict[str, Any]], key: str) -> list[tuple[int, Any]]:
    """Global step and value of each point of a curve."""
    rows = [record["item"] for record in of_kind(found, "history")]
    return [(row["trainer/global_step"], row[key]) for row in rows if key in row]
