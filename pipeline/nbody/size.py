"""How large a run will be, and whether this machine holds it: asked before it starts."""

import os
import resource
import shutil
from pathlib import Path

from pipeline.errors import InputError
from pipeline.settings.nbody import NBody

ROW_BYTES = 130  # of the CSV, as measured
STATE_BYTES = 6 * 8 * 4  # of a star at one output in memory: the coordinates, their copies and the text of the row


def check_size(nbody: NBody, block_rows: int, folder: Path) -> None:
    """Refuse a run whose file would fill the disk, or whose longest simulation the memory.

    Args:
        nbody: the parameters.
        block_rows: rows computed at once, unless one simulation has more.
        folder: where the rows are collected.

    Raises:
        InputError: it is too large.
    """
    simulation = nbody.n_stars * (nbody.steps + 1)
    rows = nbody.n_simulations * simulation
    free, memory = shutil.disk_usage(folder).free, available_memory()
    remedy = "raise nbody.dt, or lower nbody.t_end, nbody.n_simulations or nbody.n_stars"
    if rows * ROW_BYTES > free:
        raise InputError(
            f"nbody: {rows:.3g} rows would take {_size(rows * ROW_BYTES)} of disk, {_size(free)} are free; {remedy}"
        )
    needed = max(simulation, min(block_rows, rows)) * STATE_BYTES
    if needed > memory:
        raise InputError(
            f"nbody: a simulation of {simulation:.3g} rows would take {_size(needed)} of memory, "
            f"{_size(memory)} are there; {remedy}"
        )


def available_memory() -> float:
    """Bytes that this process may have: of the machine, its control group (Linux) or its own limit."""
    limits = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    own, _ = resource.getrlimit(resource.RLIMIT_AS)
    if own != resource.RLIM_INFINITY:
        limits.append(float(own))
    group = Path("/sys/fs/cgroup/memory.max")
    if group.exists() and (text := group.read_text("utf-8").strip()).isdecimal():
        limits.append(float(text))
    return min(limits)


def _size(count: float) -> str:
    return f"{count / 1e9:.3g} GB"
