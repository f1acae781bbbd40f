"""What only the page that is sent on tells: commit, versions, times, and where to look further."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "pytorch-lightning", "torch-geometric", "numpy", "scipy", "numba", "dvc", "wandb")
COMMANDS = {
    "dvc repro": "make everything again that a change touches",
    "dvc metrics diff": "headline numbers against those of the last commit",
    "dvc plots show": "curves and charts of this run in the browser",
    "dvc exp show": "experiments beside one another",
    "wandb leet": "curves of the training in the terminal, from runs/wandb",
    "wandb sync runs/wandb/wandb/offline-run-*": "send the offline runs to W&B",
}


def this_run(models: list[str]) -> dict[str, Any]:
    """Commit, machine, versions, when what was written, and commands that show more."""
    return {
        "commit": commit(),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {package: version(package) for package in PACKAGES},
        "times": [(name, *(written(Path(path)) for path in outputs(name))) for name in models],
        "commands": COMMANDS,
    }


def commit() -> str:
    """The commit that is checked out, and whether files differ from it."""
    head, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    if head is None:
        return "not known: no Git checkout"
    return f"{head}{', with changes that are not committed' if changes else ''}"


def git(*arguments: str) -> str | None:
    """What a command of Git prints; None if it fails."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=True, encoding="utf-8").stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def outputs(model: str) -> tuple[str, str]:
    """What training and evaluation of a model write last."""
    return f"reports/train/{model}.csv", f"reports/evaluate/{model}.json"


def written(path: Path) -> str:
    """When a file was written."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
