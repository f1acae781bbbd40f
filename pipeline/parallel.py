"""The work of the data stages in parallel: processes of this machine, or a Dask cluster."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.errors import AGAIN, InputError
from pipeline.progress import track
from pipeline.settings.runtime import Runtime
from pipeline.surroundings import die_with_parent

if TYPE_CHECKING:
    from distributed import Client

FEW_JOBS = 4  # fewer are done before other processes have started
AHEAD = 4  # jobs that a Dask worker has been given and not done
PATIENCE = 60  # seconds in which a Dask cluster has its first worker
KILLED = f"a worker was killed (out of memory?); lower runtime.workers and {AGAIN}"

Jobs = Sequence[tuple[Any, ...]]


def in_parallel(function: Callable[..., Any], jobs: Jobs, runtime: Runtime, description: str) -> Iterator[Any]:
    """Yield ``function(*job)`` of each job, in order, as they get done; show on stderr how far they are.

    Raises:
        InputError: there is no such backend, its package is missing, or a worker was killed.
    """
    if runtime.parallel_backend not in ("loky", "dask"):
        raise InputError(f"runtime.parallel_backend is {runtime.parallel_backend!r}; choose loky or dask")
    by_dask = runtime.parallel_backend == "dask" and len(jobs) >= FEW_JOBS
    done = (_by_dask if by_dask else _by_loky)(function, jobs, runtime.workers)
    yield from track(done, description, len(jobs))


def _by_loky(function: Callable[..., Any], jobs: Jobs, workers: int) -> Iterator[Any]:
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    cores = joblib.cpu_count()  # or LOKY_MAX_CPU_COUNT: what `make` gives a stage that runs beside others
    n_jobs = 1 if len(jobs) < FEW_JOBS else min(workers, cores)
    with joblib.parallel_config("loky", n_jobs=n_jobs, initializer=die_with_parent):
        try:
            yield from joblib.Parallel(return_as="generator")(joblib.delayed(function)(*job) for job in jobs)
        except TerminatedWorkerError as error:
            raise InputError(KILLED) from error


def _by_dask(function: Callable[..., Any], jobs: Jobs, workers: int) -> Iterator[Any]:
    """Dask does a killed worker's jobs again, until the same job has ended four of them.

    Not by joblib's Dask backend, which then waits for ever.
    """
    with _client(workers) as client:
        from distributed import KilledWorker

        waiting: deque[Any] = deque()
        ahead = AHEAD * sum(client.ncores().values())
        try:
            for job in jobs:
                waiting.append(client.submit(function, *job, pure=False))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except KilledWorker as error:
            raise InputError(KILLED) from error


def _client(workers: int) -> "Client":
    """The cluster at DASK_SCHEDULER_ADDRESS, whose workers see this folder; else one on this machine.

    Raises:
        InputError: there is no Dask, no answer at this address, or no worker.
    """
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise InputError("runtime.parallel_backend: no dask here; pip install 'dask[distributed]'") from error
    address = dask.config.get("scheduler-address", None)
    if not address:
        page = "127.0.0.1:0"  # of Dask's own page: without an address it is open to the network
        return Client(n_workers=workers, threads_per_worker=1, dashboard_address=page)
    try:
        client = Client(address)
        client.wait_for_workers(1, timeout=PATIENCE)
    except OSError as error:  # TimeoutError is one
        raise InputError(f"DASK_SCHEDULER_ADDRESS: no scheduler with a worker at {address}; start them") from error
    return client
