"""Engines that make N-body data run in turn: what the parts of benchmarks.nbody_speed share."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.chain import ROOT
from pipeline.settings.load import load_params
from pipeline.settings.nbody import NBody

DT, STEPS, SOFTENING = 0.1, 10, 0.1  # of the course
Engine = Callable[[], None]
Times = dict[str, list[float]]


def race(
    engines: Mapping[str, tuple[Engine, float]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> Times:
    """Seconds per unit of work in each round; every engine first runs once, which may compile.

    Args:
        engines: name to what runs and how many units it does.
        rounds: of all engines in turn.
        clock: seconds of wall time, or of CPU time over all cores.
    """
    times: Times = {name: [] for name in engines}
    for name, (engine, _) in engines.items():
        print(f"  warming up {name}", file=sys.stderr)
        engine()
    for _ in range(rounds):
        for name, (engine, units) in engines.items():
            time.sleep(0.2)  # until the threads of the engine before have stopped to spin
            start = clock()
            engine()
            times[name].append((clock() - start) / units)
    return times


def ratio(times: Times, rival: str, ours: str = "ours") -> float:
    """How many times longer the rival takes: median over the rounds."""
    return statistics.median(theirs / own for theirs, own in zip(times[rival], times[ours], strict=True))


def parameters(changes: dict[str, Any]) -> NBody:
    """The section nbody of params.yaml with changes."""
    return load_params(ROOT / "params.yaml").nbody.model_copy(update=changes)
