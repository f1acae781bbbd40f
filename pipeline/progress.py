"""Signs of life on stderr: a bar in a terminal; in a pipe or log a line now and then."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

FIRST, EVERY = 2.0, 10.0  # seconds until the first line, and between lines


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield the items and show how many of ``total`` have been taken."""
    with progress(description, total) as show:
        for done, item in enumerate(items, start=1):
            yield item
            show(done)


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how much of ``total`` is done; the block calls the yielded function with that number.

    Call it in one process only, the one that hands out the work.
    """
    with (_bar if sys.stderr.isatty() else _lines)(description, total) as show:
        yield show


@contextmanager
def _bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def _lines(description: str, total: int) -> Iterator[Callable[[int], None]]:
    state = {"done": 0}
    start, stop = time.monotonic(), threading.Event()

    def write_lines() -> None:
        pause = FIRST
        while not stop.wait(pause):
            passed = time.monotonic() - start
            print(f"{description}: {state['done']} of {total} after {passed:.0f} s", file=sys.stderr, flush=True)
            pause = EVERY

    writer = threading.Thread(target=write_lines, daemon=True)
    writer.start()
    try:
        yield lambda done: state.update(done=done)
    finally:
        stop.set()
        writer.join()
