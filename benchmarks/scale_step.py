"""Some training steps of a model on the data of the current folder, for benchmarks.scale; prints how long one takes.

Several processes are started as pipeline.train starts them.
"""

import argparse
import json
import statistics
import time
from typing import Any

from pytorch_lightning.callbacks import Callback

from pipeline.settings.load import load_params
from pipeline.training.callbacks import Curves, SeedEachBatch, TrainMeans
from pipeline.training.registry import MODELS
from pipeline.training.trainer import make_trainer

WARM_UP = 5  # steps that do not count


class Clock(Callback):
    """When each step began."""

    def __init__(self) -> None:
        self.begins: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        """Look at the clock."""
        self.begins.append(time.perf_counter())

    @property
    def milliseconds(self) -> float:
        """Median of a step with its batch."""
        times = [after - before for before, after in zip(self.begins, self.begins[1:], strict=False)]
        return 1000 * statistics.median(times[WARM_UP:])


def main() -> None:
    """Train, without a checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_step", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--batch", type=int, help="of all processes (default: that of params.yaml)")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--validate", action="store_true", help="at the end, as an epoch does")
    args = parser.parse_args()
    params, model = load_params("params.yaml"), MODELS[args.model]
    section = params.model_section(args.model)
    if args.batch:
        data = section.data.model_copy(update={"batch_size": args.batch})
        section = section.model_copy(update={"data": data})
    module, datamodule, clock = model.make_module(section), model.make_datamodule(section), Clock()
    datamodule.setup("fit")
    module.fit_statistics(datamodule)
    strategy = "ddp" if args.processes > 1 else "auto"
    runtime = params.runtime.model_copy(
        update={"accelerator": "cpu", "devices": args.processes, "num_nodes": 1, "strategy": strategy}
    )
    settings = section.trainer.model_copy(update={"max_epochs": 1})
    callbacks = [SeedEachBatch(section.seed), TrainMeans(), Curves(args.model), clock]
    trainer = make_trainer(settings, runtime, logger=False, callbacks=callbacks, single=False)
    trainer.limit_train_batches, trainer.limit_val_batches = args.steps, 1.0 if args.validate else 0
    trainer.fit(module, datamodule=datamodule)
    if trainer.is_global_zero:
        print(json.dumps({"milliseconds": clock.milliseconds}), flush=True)


if __name__ == "__main__":
    main()
