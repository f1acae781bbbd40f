"""Trainings of two processes: one dies, is told to end, or sits in another folder; whoever started them."""

import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import edit_params

from faults.harness import Pause, Running, environment, kill, orphans, pause, run, setting, stage, start, until

pytestmark = pytest.mark.fault

BATCH = ("pipeline.training.callbacks", "SeedEachBatch.on_train_batch_start")
OFTEN = (
    ("pipeline.training.resume", "LEAST_SECONDS", -1.0),
    ("pipeline.training.resume", "MOST_SECONDS", -1.0),
    ("pipeline.training.resume", "SECONDS_BETWEEN_LOOKS", 0.0),
)
COMMAND = stage("train", "gnn")
SECONDS_TO_END = 60


@pytest.fixture
def two(workspace: Path) -> Path:
    """The current folder of a test in which a training has two processes."""
    edit_params(workspace, {"runtime.devices": 2, "runtime.accelerator": "cpu"})
    return workspace


def often(**changes: str) -> dict[str, str]:
    return {"SET": setting(COMMAND, *OFTEN), **changes}


def at_a_batch() -> tuple[Pause, Running, list[int]]:
    """A training of two processes that wait before the fourth batch, the first process and the second."""
    place = pause(COMMAND, *BATCH, others=3)
    training = start(COMMAND, env=place.env(**often()))
    waiting = place.reached(training, processes=2)
    first = training.process.pid
    return place, training, [first, *(number for number in waiting if number != first)]


def check_end(training: Running, folder: Path, status: Callable[[int], bool]) -> None:
    """It ends in time, no process goes on, no weights are there, and there is a checkpoint to go on from."""
    assert status(training.end(SECONDS_TO_END)), training.output
    until(lambda: not list(orphans(folder)), "the end of all processes", 10)
    assert not list(folder.glob("models/*.ckpt"))
    assert len(list(folder.glob("runs/train/gnn/*/last.ckpt"))) == 1


@pytest.mark.parametrize("told", [[0], [1], [0, 1]], ids=["first", "second", "both"])
def test_told_to_end(told: list[int], two: Path, same: Callable[..., None]) -> None:
    """Whoever hears SIGTERM, all write one checkpoint together and end with 143."""
    place, training, numbers = at_a_batch()
    for k in told:
        kill(numbers[k], signal.SIGTERM)
    place.go_on()
    check_end(training, two, lambda status: status == 128 + signal.SIGTERM)
    run(COMMAND)
    same("train", "gnn", processes=2)


@pytest.mark.parametrize("dead", [0, 1], ids=["first", "second"])
def test_killed(dead: int, two: Path, same: Callable[..., None]) -> None:
    """The other process does not wait for ever."""
    place, training, numbers = at_a_batch()
    kill(numbers[dead])
    place.go_on()
    check_end(training, two, lambda status: status != 0)
    run(COMMAND)
    same("train", "gnn", processes=2)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def torchrun(node: int, port: int) -> Sequence[str]:
    """What is typed on each of two nodes."""
    address = ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    return [
        *(COMMAND[0], "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(node)),
        *("--nproc-per-node", "1", *address, *COMMAND[1:]),
    ]


def test_two_nodes_by_torchrun(workspace: Path, same: Callable[..., None]) -> None:
    port = free_port()
    nodes = [start(torchrun(node, port)) for node in range(2)]
    for node in nodes:
        assert node.end() == 0, "\n".join(node.output for node in nodes)
    same("train", "gnn", processes=2)


def test_nodes_that_share_no_folder(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The node that would go on from a checkpoint, and the one that has none: both end with a line."""
    other, port = tmp_path_factory.mktemp("node"), free_port()
    (other / "params.yaml").write_text(Path("params.yaml").read_text())
    (other / "data").symlink_to(workspace / "data")
    place = pause(COMMAND, *BATCH, others=3)
    alone = start(COMMAND, env=place.env(**often()))
    place.reached(alone)
    kill(alone)
    alone.end()
    nodes = [start(torchrun(0, port)), start(torchrun(1, port), folder=other)]
    for node in nodes:
        assert node.end(SECONDS_TO_END) != 0
        assert "error: runs/train/gnn/" in node.output and "must be one folder" in node.output, node.output
    assert not list(workspace.glob("models/*.ckpt"))


JOB = {"SLURM_JOB_ID": "4242", "SLURM_NTASKS": "4", "SLURM_NPROCS": "4", "SLURM_JOB_NUM_NODES": "1"}
SHELL = JOB | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost"}
FOREIGN = {
    "sbatch --wrap": SHELL | {"SLURM_JOB_NAME": "wrap"},
    "sbatch of a name": SHELL | {"SLURM_JOB_NAME": "run"},
    "srun --pty bash": SHELL
    | {"SLURM_JOB_NAME": "bash", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"},
    "salloc": {**JOB, "SLURM_JOB_NAME": "interactive", "SLURM_NODELIST": "localhost"},
    "torchelastic": {"TORCHELASTIC_RUN_ID": "none"},
    "rank": {"RANK": "1"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_variables_of_somebody_else(name: str, workspace: Path, same: Callable[..., None]) -> None:
    """One process trains and has its run in W&B, whatever a scheduler's shell holds."""
    training = run(COMMAND, env=environment(WANDB_MODE="offline", **FOREIGN[name]))
    assert ("RANK=1" in training.output) == (name == "rank")
    same("train", "gnn")
    assert len(list(workspace.glob("runs/wandb/wandb/offline-run-*"))) == 1


PORT = free_port()


def task(rank: int) -> dict[str, str]:
    """The variables of srun's tasks, two on one node."""
    step = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1", "SLURM_NTASKS": "2"}
    own = {
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
        "SLURM_STEP_NODELIST": "localhost",
    }
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(PORT)}
    return {"SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "localhost", **step, **own, **address}


def test_srun_of_two_tasks_is_preempted_and_goes_on(two: Path, same: Callable[..., None]) -> None:
    place = pause(COMMAND, *BATCH, others=3)
    tasks = [start(COMMAND, env=place.env(**often(), **task(rank), WANDB_MODE="offline")) for rank in range(2)]
    place.reached(tasks[0], processes=2)
    for each in tasks:  # as SLURM does at a preemption
        kill(each, signal.SIGTERM)
    place.go_on()
    assert [each.end(SECONDS_TO_END) for each in tasks] == [143, 143], [each.output for each in tasks]
    tasks = [start(COMMAND, env=environment(WANDB_MODE="offline", **task(rank))) for rank in range(2)]
    assert [each.end() for each in tasks] == [0, 0], [each.output for each in tasks]
    same("train", "gnn", processes=2)
    folders = [folder.name for folder in two.glob("runs/wandb/wandb/offline-run-*")]
    assert len({name.rsplit("-", 1)[1] for name in folders}) == 1, folders
