"""The work of the data stages in parallel: processes of this machine, or a Dask cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipeline.errors import InputError
from pipeline.progress import track
from pipeline.settings.runtime import Runtime
from pipeline.surroundings import die_with_parent

FEW_JOBS = 4  # fewer are done before other processes have started


def in_parallel(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], runtime: Runtime, description: str
) -> Iterator[Any]:
    """Yield ``function(*job)`` of each job, in order, as they get done; show on stderr how far they are.

    Raises:
        InputError: there is no such backend, or its package is missing.
    """
    import joblib

    with _backend(runtime, len(jobs)):
        done = joblib.Parallel(return_as="generator")(joblib.delayed(function)(*job) for job in jobs)
        yield from track(done, description, len(jobs))


@contextmanager
def _backend(runtime: Runtime, jobs: int) -> Iterator[None]:
    """Where joblib runs them: this machine's cores, or a Dask cluster.

    The cluster is the one at DASK_SCHEDULER_ADDRESS, whose workers see this folder; else one on this machine.
    """
    import joblib

    if runtime.parallel_backend not in ("loky", "dask"):
        raise InputError(f"runtime.parallel_backend is {runtime.parallel_backend!r}; choose loky or dask")
    if runtime.parallel_backend == "loky" or jobs < FEW_JOBS:
        cores = joblib.cpu_count()  # or LOKY_MAX_CPU_COUNT: what `make` gives a stage that runs beside others
        n_jobs = 1 if jobs < FEW_JOBS else min(runtime.workers, cores)
        with joblib.parallel_config("loky", n_jobs=n_jobs, initializer=die_with_parent):
            yield
        return
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise InputError("runtime.parallel_backend: no dask here; pip install 'dask[distributed]'") from error
    remote = dask.config.get("scheduler-address", None)
    client = Client(remote) if remote else Client(n_workers=runtime.workers, threads_per_worker=1)
    with client, joblib.parallel_config("dask"):
        yield
