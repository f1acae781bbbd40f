import os
import sys

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
    assert list(parallel.in_parallel(abs, [(-k,) for k in range(5)], runtime, "")) == [0, 1, 2, 3, 4]


def test_mistakes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = RUNTIME.model_copy(update={"parallel_backend": "carrier-pigeon"})
    with pytest.raises(InputError, match="loky or dask"):
        list(parallel.in_parallel(abs, [(1,)], runtime, ""))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match="pip install"):
        list(parallel.in_parallel(abs, [(1,)] * 9, RUNTIME.model_copy(update={"parallel_backend": "dask"}), ""))
