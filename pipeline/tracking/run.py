"""One W&B run a stage, whose trouble never stops or hangs the stage.

It is recorded in runs/wandb, where all that wandb writes lies; WANDB_MODE=online sends it at the same time.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from pipeline.errors import one_line, warn
from pipeline.tracking import live
from pipeline.tracking.recorded import becomes_whole, next_step
from pipeline.training.registry import MODELS

if TYPE_CHECKING:
    import wandb

PROJECT = "star-clusters"
FOLDER = Path("runs/wandb")
_senders: dict[str, live.Sender] = {}  # of the runs of this process, by id
SECONDS_TO_START = 15.0  # of wandb's own process
SECONDS_TO_LOSE = 2.0  # of the metrics of a process that is killed


class StageLogger(WandbLogger):
    """Lightning's logger of one run; what goes wrong in it is told once and stops nothing."""

    complained = False

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers, pictures, tables or plots; on rank 0."""
        with self.forgiving():
            super().log_metrics(metrics, step)

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Log pictures: tensors, arrays or files; on rank 0."""
        with self.forgiving():
            super().log_image(key, images, step, **kwargs)

    @rank_zero_only
    def log_summary(self, numbers: Mapping[str, Any]) -> None:
        """Set the run's summary, which otherwise holds what was logged last."""
        with self.forgiving():
            self.experiment.summary.update(dict(numbers))

    @rank_zero_only
    def log_input(self, artifact: "wandb.Artifact | None") -> None:
        """Declare what the stage read; None: nothing that is known by its hash, or that could be copied."""
        if artifact is None or not self.recorded:
            return
        with self.forgiving():
            # What run.use_artifact does, but that refuses offline, and online waits for the upload.
            self.experiment._log_artifact(artifact, aliases=[], is_user_created=True, use_after_commit=True)

    @rank_zero_only
    def log_output(self, artifact: "wandb.Artifact | None") -> None:
        """Upload what the stage made; None: it could not be copied."""
        if artifact is None or not self.recorded:
            return
        with self.forgiving():
            self.experiment.log_artifact(artifact)

    @property
    def recorded(self) -> bool:
        """Whether a run is written: not where it is disabled or could not begin."""
        return not self.experiment.disabled

    def place(self) -> str:
        """The folder of the run, as `wandb sync` and `wandb leet run` take it."""
        return live.shown(Path(self.experiment.dir).parent)

    @contextmanager
    def forgiving(self) -> Iterator[None]:
        """Let what goes wrong inside be told once, and go on."""
        try:
            yield
        except Exception as error:  # wandb has no common class of them: a full disk, a dead service, a server's answer
            if not self.complained:
                warn(f"W&B: {one_line(error)}; the stage goes on")
            self.complained = True


def start(model: str, job_type: str, config: Mapping[str, Any], run_id: str | None = None) -> StageLogger:
    """Begin the run of a stage, on rank 0; the logger of the other ranks logs nothing.

    The mode comes from WANDB_MODE: offline (default), online, disabled. What cannot be sent or recorded is told in
    one line.

    Args:
        model: the run's name and tag, beside the tag of its family.
        job_type: the stage, ``train`` or ``evaluate``.
        config: parameters shown with the run.
        run_id: of a run that goes on; None: a new one.
    """
    import wandb

    options: dict[str, Any] = {
        "name": model,
        "project": os.environ.get("WANDB_PROJECT", PROJECT),
        "job_type": job_type,
        "tags": list(dict.fromkeys([model, *([MODELS[model].family] if model in MODELS else [])])),
        "config": dict(config),
    }
    if getattr(rank_zero_only, "rank", 0) != 0:
        return StageLogger(**options)
    folder = _prepare_folder()
    options |= {
        "group": run_group(),
        "id": _own_id(job_type, run_id),
        "save_dir": str(folder),
        "settings": wandb.Settings(init_timeout=SECONDS_TO_START, x_transaction_log_flush_interval=SECONDS_TO_LOSE),
    }
    wanted = os.environ.get("WANDB_MODE", "offline")
    try:
        step = next_step(folder / "wandb", options["id"])
        logger = _begin(options, "offline" if wanted == "online" else wanted)
    except Exception as error:  # see forgiving
        warn(f"W&B does not start: {one_line(error)}; the run is not recorded")
        return _begin(options, "disabled")
    if step and wanted != "disabled":
        logger.experiment.log({}, step=step)  # offline, wandb would count from 0 again
    if wanted == "online":
        with logger.forgiving():
            _send(logger)
    return logger


def _begin(options: dict[str, Any], mode: str) -> StageLogger:
    logger = StageLogger(**options, mode=mode)
    logger._wandb_init.pop("anonymous", None)  # wandb 0.31 warns of it at every start, even where it is None
    _ = logger.experiment
    return logger


def _send(logger: StageLogger) -> None:
    """Send the run from now on, or say why not and how to send it later."""
    folder = Path(logger.experiment.dir).parent
    trouble = live.trouble()
    if trouble:
        warn(f"W&B stays offline: {trouble}; {live.later(folder)}")
    else:
        _senders[logger.experiment.id] = live.Sender(folder)


def kept_id(file: Path) -> str:
    """The id of a killed training that goes on, which the file has; else a new one, which the file keeps."""
    from wandb.sdk.lib.runid import generate_id

    if not file.exists():
        file.write_text(generate_id(), encoding="utf-8")
    return file.read_text("utf-8")


def finish(failed: bool = False) -> None:
    """Close the run of this process, if any, and wait a little until it is sent; W&B shows a failed one as such."""
    import wandb

    if wandb.run is None:
        return
    disabled, run_id, folder = wandb.run.disabled, wandb.run.id, Path(wandb.run.dir).parent
    trouble = "is the disk full?"
    try:
        wandb.finish(exit_code=int(failed))
    except Exception as error:  # see forgiving
        trouble = one_line(error)
    if not disabled:
        _conclude(folder / f"run-{run_id}.wandb", _senders.pop(run_id, None), trouble)


def _conclude(file: Path, sender: live.Sender | None, trouble: str) -> None:
    """See to it that the run is written and sent, or tell what is missing."""
    if not becomes_whole(file):
        warn(f"{file.parent}: W&B could not write the whole run ({trouble}); reports/ has the numbers of the stage")
        if sender:
            sender.stop()
    elif sender:
        sender.finish()


@contextmanager
def closing() -> Iterator[None]:
    """Close the run when the block ends, as a failed one if it raises."""
    try:
        yield
    except BaseException:
        finish(failed=True)
        raise
    finish()


def enabled() -> bool:
    """Whether runs are wanted at all."""
    return os.environ.get("WANDB_MODE") != "disabled"


def run_group() -> str:
    """What groups the runs of one `dvc repro`: WANDB_RUN_GROUP, the DVC experiment, or the commit."""
    named = os.environ.get("WANDB_RUN_GROUP") or os.environ.get("DVC_EXP_NAME")
    if named:
        return named
    try:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, encoding="utf-8")
    except OSError:  # no git
        return "no-commit"
    return commit.stdout.strip() or "no-commit"


def _prepare_folder() -> Path:
    """Make the folder and tell wandb to write nowhere else; where it cannot be written to, take a temporary one."""
    folder = _project() / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="wandb-"))
        warn(f"{FOLDER}: {error.strerror}; the run lies in {folder}, send it from there by `wandb sync`")
    for variable in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        os.environ.setdefault(variable, str(folder))
    os.environ.setdefault("WANDB_SILENT", "true")
    # wandb reports about itself to the server even where it is offline; one that hangs would hold each stage for 10 s
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    return folder


def _project() -> Path:
    """The project, also of a queued experiment, which DVC runs in a copy below .dvc/tmp and then deletes."""
    here = Path.cwd()
    return Path(*here.parts[: here.parts.index(".dvc")]) if ".dvc" in here.parts else here


def _own_id(job_type: str, run_id: str | None) -> str:
    """An id that no other stage has: of the runs that `wandb agent` wants, the first training of a trial is one."""
    from wandb.sdk.lib.runid import generate_id

    wanted = os.environ.get("WANDB_RUN_ID")
    swept = wanted is not None and "WANDB_SWEEP_ID" in os.environ
    if swept and job_type == "train" and not any((_project() / FOLDER).glob(f"wandb/*run-*-{wanted}")):
        return str(wanted)
    os.environ.pop("WANDB_RUN_ID", None)
    os.environ.pop("WANDB_SWEEP_ID", None)
    return run_id or generate_id()
