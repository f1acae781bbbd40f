"""A stage ends with what started it, numba finds a folder to write to, and any name can be printed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

from pipeline import surroundings

STAGE = """
import os, sys, time
from pipeline.errors import run
from pipeline.parallel import in_parallel
from pipeline.settings.runtime import Runtime

def job(k):
    print(os.getpid(), flush=True)
    time.sleep(60)

def main():
    print(os.getpid(), flush=True)
    runtime = Runtime(accelerator="cpu", devices=1, num_nodes=1, strategy="auto", workers=2, parallel_backend="loky",
                      plot_real_time=False)
    list(in_parallel(job, [(k,) for k in range(4)], runtime, "waiting"))

run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked to end them")
def test_a_stage_and_its_workers_end_with_the_dvc_that_started_them() -> None:
    dvc = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    started = subprocess.Popen(
        [sys.executable, "-c", dvc, STAGE],
        cwd=ROOT,
        env=os.environ | {"DVC_ROOT": str(ROOT), "LOKY_MAX_CPU_COUNT": "2"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout
    stage, *workers = [int(started.stdout.readline()) for _ in range(3)]
    assert all(alive(process) for process in (stage, *workers))
    started.send_signal(signal.SIGKILL)
    started.wait()
    deadline = time.monotonic() + 5
    while any(alive(process) for process in (stage, *workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(process) for process in (stage, *workers))


def alive(process: int) -> bool:
    """Whether it runs: an orphan that nobody waits for stays in the table."""
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("code", "given", "runs", "expected"),
    [
        (True, None, True, None),
        (True, "closed", True, "closed"),
        (False, "open", True, "open"),
        (False, None, True, "runs/numba"),
        (False, "closed", True, "runs/numba"),
        (False, None, False, "temporary"),
    ],
)
def test_numba_writes_where_it_may(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: bool,
    given: str | None,
    runs: bool,
    expected: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "closed").touch()  # a file: no folder can be made there, not even by root
    monkeypatch.setattr(surroundings, "KERNELS", tmp_path / ("open" if code else "closed"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", given or "")
    if not runs:
        (tmp_path / "runs").touch()
    surroundings.find_numba_cache()
    found = os.environ["NUMBA_CACHE_DIR"]
    if expected == "temporary":
        assert Path(found).is_dir() and tmp_path not in Path(found).parents
    else:
        assert found == (str(tmp_path / "runs/numba") if expected == "runs/numba" else expected or "")


def test_a_locale_without_the_letters_of_a_name() -> None:
    code = r"from pipeline.errors import run; run(lambda: print('\u65e5 \xfc \udce9'))"
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | locale, capture_output=True)
    assert (said.returncode, said.stderr) == (0, b"")
    assert said.stdout == rb"\u65e5 \xfc \udce9" + b"\n"
