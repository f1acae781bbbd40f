"""W&B's artifacts of the chain: data by DVC's hash, checkpoints as files."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import one_line, warn
from pipeline.tracking.config import provenance

if TYPE_CHECKING:
    import wandb


def dataset(data: Path) -> "wandb.Artifact | None":
    """A reference to data by the hash under which DVC keeps them; no copy. None where DVC knows none.

    The same data are the same version of the artifact, whoever logs them.
    """
    import wandb

    found = provenance(data)
    if not found["md5"]:
        return None
    artifact = wandb.Artifact(_name(found["path"]), type="dataset", metadata=found)
    for path, md5 in found["md5"].items():
        artifact.add_reference(f"dvc://{path}?md5={md5}", name=path, checksum=False)
    return artifact


def checkpoint(model: str) -> "wandb.Artifact | None":
    """The exported weights; a copy waits in runs/wandb for `wandb sync`, for the next training replaces the file.

    None where there is no room for the copy.
    """
    import wandb

    path = Path("models") / f"{model}.ckpt"
    artifact = wandb.Artifact(_name(str(path.with_suffix(""))), type="model")
    try:
        artifact.add_file(str(path))
    except OSError as error:
        warn(f"W&B: {one_line(error)}; its run has no copy of {path}")
        return None
    return artifact


def _name(path: str) -> str:
    """W&B allows no slash in a name."""
    return path.replace("/", "-")
