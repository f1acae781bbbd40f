"""Runs a command of the project in a folder, and watches its memory, its time and its end."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.chain import ROOT, time_of_children

EVERY = 0.5  # seconds between two looks


@dataclass(frozen=True)
class Watched:
    """What a command used, its children included.

    Attributes:
        anonymous: largest memory that no file backs, GB: what it cannot do without.
        resident: largest memory with pages of mapped files, GB, which the system takes back where others need it.
        seconds: of CPU.
        output: what it printed.
    """

    anonymous: float
    resident: float
    seconds: float
    output: str


def start(folder: Path, module: str, *arguments: str, **options: object) -> "subprocess.Popen[str]":
    """``python -m module arguments`` in a folder, in a session of its own."""
    command = [sys.executable, "-m", module, *arguments]
    print(f"{folder.name}: {module} {' '.join(arguments)}", file=sys.stderr, flush=True)
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True, start_new_session=True, **options
    )


def watched(folder: Path, module: str, *arguments: str) -> Watched:
    """Run it to its end.

    Raises:
        RuntimeError: it failed.
    """
    before, anonymous, resident = time_of_children(), 0, 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        process = start(folder, module, *arguments, stdout=printed)
        while process.poll() is None:
            now = _memory(process.pid)
            anonymous, resident = max(anonymous, now[0]), max(resident, now[1])
            time.sleep(EVERY)
        if process.returncode:
            raise RuntimeError(f"{module} ended with status {process.returncode}")
        printed.seek(0)
        output = printed.read()
    return Watched(anonymous / 1e9, resident / 1e9, time_of_children() - before, output)


def _memory(process: int) -> tuple[int, int]:
    """Anonymous and resident bytes of a process and its children."""
    anonymous = resident = 0
    try:
        family = [process, *(child.pid for child in psutil.Process(process).children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0, 0
    for each in family:
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        found = {line.split()[0]: 1024 * int(line.split()[1]) for line in text.splitlines()[1:]}
        anonymous, resident = anonymous + found["Anonymous:"], resident + found["Rss:"]
    return anonymous, resident
