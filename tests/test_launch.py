"""Who started a process, told from its environment alone: what torchrun, srun, sbatch, a shell and others set.

The variables are those of torchrun's manual (torch.distributed.run, "Environment variables") and of srun's and
sbatch's ("output environment variables"). No SLURM was at hand.
"""

import os

import pytest
from conftest import ROOT

from pipeline.errors import InputError
from pipeline.settings.load import load_params
from pipeline.training import launch
from pipeline.training.trainer import placement, strategy

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "a", "RANK": "3", "LOCAL_RANK": "1", "GROUP_RANK": "1", "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node1", "MASTER_PORT": "29500",
}  # fmt: skip
JOB = {"SLURM_JOB_ID": "91234", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4", "SLURM_NNODES": "2"}
SHELL = {**JOB, "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}  # of an sbatch script
STEP = {
    **JOB, "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_NODELIST": "node[1-2]",
}  # fmt: skip
ONE = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"}
PTY = {**STEP, "SLURM_JOB_NAME": "bash"}  # srun --ntasks 4 --pty bash
CHILD = {"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
EXPORTED = {**STEP, "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}  # by a script, from srun's numbers

WORLD = {  # environment, the launcher, global rank (None: whatever runtime says), processes of a node and nodes
    "a shell": ({}, "Lightning", None, None),
    "torchrun": (TORCHRUN, "TorchElastic", 3, (2, 2)),
    "torchrun by srun": ({**STEP, **TORCHRUN, "SLURM_PROCID": "1"}, "TorchElastic", 3, (2, 2)),
    "only torchrun's run id": ({"TORCHELASTIC_RUN_ID": "a"}, "Lightning", None, None),
    "srun": (STEP, "SLURM", 3, (2, 2)),
    "srun, ranks exported": (EXPORTED, "SLURM", 3, (2, 2)),
    "srun of one": ({**STEP, **ONE, "SLURM_PROCID": "0"}, "Lightning", None, None),
    "sbatch without srun": (SHELL, "Lightning", None, None),
    "srun --pty bash": (PTY, "Lightning", None, None),
    "somebody's RANK": ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}, "Lightning", None, None),
    "Lightning's child": (CHILD, "Lightning", None, None),
}
RUNTIME = load_params(ROOT / "params.yaml").runtime


def surrounded(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Live in an environment of these variables alone."""
    monkeypatch.setattr(os, "environ", dict(variables))


@pytest.mark.parametrize("case", WORLD)
def test_who_started_this_process(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    variables, launcher, rank, processes = WORLD[case]
    surrounded(monkeypatch, variables)
    launch.drop_foreign_ranks()
    environment = launch.environment()
    assert type(environment).__name__ == f"{launcher}Environment"
    assert launch.processes() == processes
    if rank is not None:
        assert (environment.global_rank(), environment.local_rank(), environment.node_rank()) == (rank, 1, 1)
        assert environment.world_size() == 4
        environment.validate_settings(2, 2)


@pytest.mark.parametrize("case", WORLD)
def test_ranks_that_are_left_are_the_launcher_s(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """Whoever asks the environment for a rank, as Lightning and the progress do, is told the right one."""
    variables, launcher, *_ = WORLD[case]
    surrounded(monkeypatch, variables)
    launch.drop_foreign_ranks()
    left = {name: os.environ[name] for name in ("RANK", "SLURM_PROCID") if name in os.environ}
    expected = {"TorchElastic": {"RANK": "3"}, "SLURM": {"SLURM_PROCID": "3"}, "Lightning": {}}
    assert left == expected[launcher]
    assert ("LOCAL_RANK" in os.environ) == (case in ("torchrun", "torchrun by srun", "Lightning's child"))


def test_a_dropped_rank_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    surrounded(monkeypatch, {"RANK": "1"})
    launch.drop_foreign_ranks()
    assert capsys.readouterr().err == (
        "warning: RANK=1 was set by neither torchrun nor srun: this process works alone\n"
    )
    for silent in (TORCHRUN, STEP, EXPORTED, SHELL, CHILD):
        surrounded(monkeypatch, silent)
        launch.drop_foreign_ranks()
    assert capsys.readouterr().err == ""


def test_nodes_without_equal_numbers_of_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    surrounded(monkeypatch, {**STEP, "SLURM_STEP_NUM_TASKS": "3", "SLURM_STEP_TASKS_PER_NODE": "2,1"})
    with pytest.raises(InputError, match="3 processes on 2 nodes"):
        launch.environment()


def test_launchers_count_more_than_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    surrounded(monkeypatch, STEP)
    assert placement(RUNTIME.model_copy(update={"devices": 1})) == (2, 2)


def test_several_nodes_need_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    surrounded(monkeypatch, {})
    two = RUNTIME.model_copy(update={"num_nodes": 2, "devices": 1})
    with pytest.raises(InputError, match="torchrun or srun"):
        placement(two)
    surrounded(monkeypatch, {"MASTER_ADDR": "node1", "NODE_RANK": "1"})
    assert placement(two) == (1, 2)


def test_a_process_that_waits_for_another_gives_up() -> None:
    chosen = strategy(RUNTIME.model_copy(update={"strategy": "auto"}), 2, 1)
    assert chosen._timeout.total_seconds() == 300  # type: ignore[union-attr]
    assert strategy(RUNTIME.model_copy(update={"strategy": "auto"}), 1, 1) == "auto"
