"""How long a checkpoint for resuming takes to write: for benchmarks.scale, after an epoch of a few batches."""

import argparse
import json
import statistics
import time
from typing import Any

from pipeline.settings.load import load_params
from pipeline.train import build
from pipeline.training.registry import MODELS

BATCHES, TIMES = 5, 7


def main() -> None:
    """Train with the callbacks of pipeline.train, whose states are in the checkpoint, and write it again and again."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_checkpoint", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    name = parser.parse_args().model
    training = build(name, load_params("params.yaml"))
    trainer: Any = training.trainer
    file = training.checkpoint
    own = [each for each in trainer.callbacks if type(each).__module__.startswith("pipeline.training")]
    trainer.callbacks = own  # the tracker's have no state, and want a run
    trainer.fit_loop.max_epochs = 1
    trainer.limit_train_batches = trainer.limit_val_batches = BATCHES
    trainer.fit(training.module, datamodule=training.datamodule)
    file.parent.mkdir(parents=True, exist_ok=True)
    seconds = []
    for _ in range(TIMES):
        start = time.perf_counter()
        trainer.save_checkpoint(file)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": statistics.median(seconds), "bytes": file.stat().st_size}), flush=True)


if __name__ == "__main__":
    main()
