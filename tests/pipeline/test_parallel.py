import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from pipeline import parallel
from pipeline.errors import InputError
from pipeline.settings.runtime import Runtime

RUNTIME = Runtime(
    accelerator="cpu", devices=1, num_nodes=1, strategy="auto", workers=2, parallel_backend="loky", plot_real_time=False
)


@pytest.mark.parametrize("jobs", [3, 9])
def test_results_come_in_the_order_of_the_jobs(jobs: int) -> None:
    found = parallel.in_parallel(divmod, [(k, 4) for k in range(jobs)], RUNTIME, "dividing")
    assert list(found) == [divmod(k, 4) for k in range(jobs)]


def test_a_stage_beside_others_has_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    found = parallel.in_parallel(os.getpid, [()] * 9, RUNTIME, "counting")
    assert set(found) == {os.getpid()}


def test_dask_does_it_too() -> None:
    pytest.importorskip("distributed")
    runtime = RUNTIME.model_copy(update={"parallel_backend": "dask"})
    found = parallel.in_parallel(abs, [(-k,) for k in range(5)], runtime, "")
    assert next(found) == 0
    ports = [each.laddr.ip for each in psutil.Process().net_connections() if each.status == psutil.CONN_LISTEN]
    assert set(ports) == {"127.0.0.1"}, "open to the network"
    assert list(found) == [1, 2, 3, 4]


def test_mistakes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = RUNTIME.model_copy(update={"parallel_backend": "carrier-pigeon"})
    with pytest.raises(InputError, match="loky or dask"):
        list(parallel.in_parallel(abs, [(1,)], runtime, ""))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match="pip install"):
        list(parallel.in_parallel(abs, [(1,)] * 9, RUNTIME.model_copy(update={"parallel_backend": "dask"}), ""))


def kill_worker(folder: Path, times: int, k: int) -> int:
    """End the process that does job 5, the first few times; return the job's number."""
    killed = len(list(folder.iterdir()))
    if k == 5 and killed < times:
        (folder / str(killed)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return k


@pytest.mark.parametrize(
    ("backend", "times"), [("loky", 1), *(pytest.param("dask", times, marks=pytest.mark.slow) for times in (1, 99))]
)
def test_killed_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, times: int) -> None:
    """Dask does their jobs again, but not for ever."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    runtime = RUNTIME.model_copy(update={"parallel_backend": backend})
    jobs = [(tmp_path, times, k) for k in range(12)]
    if (backend, times) == ("dask", 1):
        assert list(parallel.in_parallel(kill_worker, jobs, runtime, "killing")) == list(range(12))
    else:
        with pytest.raises(InputError, match="a worker was killed"):
            list(parallel.in_parallel(kill_worker, jobs, runtime, "killing"))
    again = [(tmp_path, 0, k) for k in range(12)]
    assert list(parallel.in_parallel(kill_worker, again, runtime, "going on")) == list(range(12))


def test_a_cluster_that_is_not_there_is_named() -> None:
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    nobody = {"scheduler-address": "tcp://127.0.0.1:9", "distributed.comm.timeouts.connect": "1s"}
    with dask.config.set(nobody), pytest.raises(InputError, match=r"DASK_SCHEDULER_ADDRESS: .*127\.0\.0\.1:9"):
        list(parallel.in_parallel(abs, [(1,)] * 9, RUNTIME.model_copy(update={"parallel_backend": "dask"}), ""))
