"""Who started this process: torchrun, srun, or a person, for whom Lightning starts the other processes itself."""

import os
from typing import TYPE_CHECKING

from pipeline.errors import InputError, warn

if TYPE_CHECKING:
    from pytorch_lightning.plugins.environments import ClusterEnvironment

TORCHRUN = ("TORCHELASTIC_RUN_ID", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
INTERACTIVE = ("bash", "interactive")  # names of jobs in which srun started a shell, not the training


def by_torchrun() -> bool:
    """Whether torchrun started this process: it sets all of its variables."""
    return all(name in os.environ for name in TORCHRUN)


def by_srun() -> bool:
    """Whether srun started this process as one of several.

    srun numbers the tasks of its step; sbatch's own shell has no step, and `srun --pty bash` is a step of one task.
    """
    several = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1
    return several and os.environ.get("SLURM_JOB_NAME") not in INTERACTIVE


def drop_foreign_ranks() -> None:
    """Forget ranks that no launcher of ours has set, before Lightning is imported, which would believe them.

    Lightning's own children have a LOCAL_RANK and a NODE_RANK, and no RANK.
    """
    if by_torchrun():
        os.environ.pop("SLURM_PROCID", None)  # that of the torchrun which srun started on this node
        return
    rank = os.environ.pop("RANK", None)
    if rank is not None:
        for name in ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE"):
            os.environ.pop(name, None)
    if by_srun():
        return
    os.environ.pop("SLURM_PROCID", None)
    if rank is not None:
        warn(f"RANK={rank} was set by neither torchrun nor srun: this process works alone")


def environment() -> "ClusterEnvironment":
    """What tells Lightning ranks and addresses; given to the Trainer, so that Lightning detects nothing itself."""
    from pytorch_lightning.plugins import environments

    started = processes()
    if started is None:
        return environments.LightningEnvironment()
    if by_torchrun():
        return environments.TorchElasticEnvironment()
    os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(started[0]))  # Lightning asks for it; srun --ntasks sets none
    return environments.SLURMEnvironment(auto_requeue=False)


def processes() -> tuple[int, int] | None:
    """Processes of each node, and nodes, that a launcher started; None: there is no launcher.

    Raises:
        InputError: not as many processes on one node as on the next.
    """
    if by_torchrun():
        every, on_this = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = every // on_this
    elif by_srun():
        every, nodes = int(os.environ["SLURM_STEP_NUM_TASKS"]), int(os.environ["SLURM_STEP_NUM_NODES"])
        on_this = every // nodes
    else:
        return None
    if on_this * nodes != every:
        raise InputError(f"{every} processes on {nodes} nodes: start as many on one node as on the next")
    return on_this, nodes
