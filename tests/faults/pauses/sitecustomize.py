"""Read by each Python that a test of faults starts: stops a stage before a call that the test names.

PAUSE is a list in JSON: the stage, a module, a function in it, words of its arguments, how many such calls go by.
The process then writes ``paused.<pid>`` into PAUSES, and goes on when the test has made ``go`` there.
SET is a list in JSON of a stage's module, name in it, and value.
"""

import functools
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def _owner(module: str, name: str) -> tuple[Any, str]:
    """The module or class that holds the dotted name, and the last part of the name."""
    *classes, last = name.split(".")
    return functools.reduce(getattr, classes, importlib.import_module(module)), last


def _pause_before(module: str, name: str, words: str, others: int) -> None:
    owner, last = _owner(module, name)
    function, folder, calls = getattr(owner, last), Path(os.environ["PAUSES"]), iter(range(others + 1))

    @functools.wraps(function)
    def paused(*arguments: Any, **named: Any) -> Any:
        if words in f"{arguments} {named}" and next(calls, None) == others:
            (folder / f"paused.{os.getpid()}").touch()
            while not (folder / "go").exists():
                time.sleep(0.02)
        return function(*arguments, **named)

    setattr(owner, last, paused)


def _arrange() -> None:
    stage = next((word for word in sys.orig_argv if word.startswith("pipeline.")), "")
    for of, module, name, value in json.loads(os.environ.get("SET", "[]")):
        if of == stage:
            setattr(*_owner(module, name), value)
    if "PAUSE" in os.environ:
        of, module, name, words, others = json.loads(os.environ["PAUSE"])
        if of == stage:
            _pause_before(module, name, words, others)


_arrange()
