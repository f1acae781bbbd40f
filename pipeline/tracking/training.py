"""The run of a training: begun with what it reads, concluded with what it exports."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.progress import progress
from pipeline.tracking import artifacts, config, run
from pipeline.tracking.closing import close
from pipeline.training.registry import MODELS

if TYPE_CHECKING:
    from pipeline.train import Training


@contextmanager
def run_of(training: "Training") -> Iterator[run.StageLogger]:
    """The run of a killed training that goes on, else a new one, on rank 0; it fails where the block does."""
    trainer, name, source = training.trainer, training.name, MODELS[training.name].source
    if not trainer.is_global_zero:
        trainer.logger = logger = run.start(name, "train", {})
        yield logger
        return
    with run.closing():
        with progress(f"prepare {name}", 1):
            run_id = run.kept_id(training.checkpoint.with_name("run_id"))
            told = config.stage_config(training.section, source) if run.enabled() else {}  # DVC takes seconds
            logger = run.start(name, "train", told, run_id)
            if logger.recorded:
                with logger.forgiving():
                    logger.log_input(artifacts.dataset(source))
        trainer.logger = logger
        yield logger


def conclude(training: "Training", logger: run.StageLogger, seconds: float) -> None:
    """Tell tracker and terminal what was exported: the weights, and the numbers of their epoch."""
    row, measure = training.exported(), f"val/{MODELS[training.name].curve}"
    facts = {
        "epoch": f"{row['epoch'] + 1} of {len(training.curves.rows)}",
        measure: f"{row[measure]:.4g}",
        "time": f"{seconds:.0f} s",
        "weights": str(training.weights),
        "curves": str(training.curves_file),
    }
    if logger.recorded:
        logger.log_summary({**row, "exported_epoch": row["epoch"]})
        with logger.forgiving():
            logger.log_output(artifacts.checkpoint(training.name))
        facts["run"] = logger.place()
    close(f"train {training.name}", facts)
