"""Where a stage finds itself: who started it, where numba may keep what it compiles, which letters can be shown."""

import atexit
import ctypes
import io
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from pipeline.training.launch import drop_foreign_ranks

KERNELS = Path(__file__).parent / "simulation/nbody/__pycache__"  # where numba keeps them if it may


def settle() -> None:
    """Prepare this process for its stage, before anything heavy is imported."""
    drop_foreign_ranks()
    if "DVC_ROOT" in os.environ:
        die_with_parent()
    find_numba_cache()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a locale may lack letters of a file's name


def die_with_parent() -> None:
    """Ask Linux to end this process when the one that started it ends, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG


def find_numba_cache() -> None:
    """Give numba a folder where it may write neither to the one it was given nor beside the code.

    It raises RuntimeError where there is none, or writes to a folder called "~" where there is no home.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    if (given and writable(Path(given))) or writable(KERNELS):
        return
    cache = Path("runs/numba").resolve()  # worker processes may have another current folder
    if not writable(cache):
        cache = Path(tempfile.mkdtemp(prefix="numba-"))
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = str(cache)


def writable(folder: Path) -> bool:
    """Whether files can be made in this folder, or in a new one of this name; root may seem to but not be allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
