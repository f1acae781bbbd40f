"""Signs of life on stderr: a bar in a terminal; in a pipe or log a line every few seconds."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

FIRST, EVERY = 2.0, 5.0  # seconds until the first line, and between lines
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")  # of a process, set by whatever started it

Show = Callable[..., None]  # (done: int, note: str = "")


def track(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    """Yield the items and show how many of ``total`` (None: who knows) have been taken."""
    with progress(description, total) as show:
        for done, item in enumerate(items, start=1):
            yield item
            show(done)


@contextmanager
def progress(description: str, total: int | None, done: int = 0) -> Iterator[Show]:
    """Show how much of ``total`` is done; the block calls the yielded function with that number.

    Of the processes of a distributed training only the first shows anything.

    Args:
        description: of the work.
        total: number of its steps; None where it is not known.
        done: steps that an earlier run has done: they say nothing of the time left.
    """
    if any(os.environ.get(rank, "0") != "0" for rank in RANKS):
        yield lambda done, note="": None
        return
    with (_bar if sys.stderr.isatty() else _lines)(description, total, done) as show:
        yield show


@contextmanager
def _bar(description: str, total: int | None, done: int) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), "{task.fields[note]}")
    console = Console(stderr=True)
    with Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty()) as bar:  # a file or pipe gets its own
        task = bar.add_task(description, total=total, completed=done, note="")
        yield lambda done, note="": bar.update(task, completed=done, note=note)


@contextmanager
def _lines(description: str, total: int | None, done: int) -> Iterator[Show]:
    first, latest = done, (done, "")
    start, stop = time.monotonic(), threading.Event()

    def write_lines() -> None:
        pause = FIRST
        while not stop.wait(pause):
            done, note = latest
            passed = time.monotonic() - start
            words = [f"{done}{f' of {total}' if total else ''} after {passed:.0f} s", note]
            if total and done > first:
                words.append(f"{passed / (done - first) * (total - done):.0f} s left")
            print(f"{description}: {', '.join(filter(None, words))}", file=sys.stderr, flush=True)
            pause = EVERY

    def show(done: int, note: str = "") -> None:
        nonlocal latest
        latest = (done, note)

    writer = threading.Thread(target=write_lines, daemon=True)
    writer.start()
    try:
        yield show
    finally:
        stop.set()
        writer.join()
