"""What Lightning costs: an epoch of each model under our Trainer against a plain PyTorch loop over the same batches.

On a GPU: rows or systems a second, the share of a step that waits for its batch, memory, and what torch.compile gains.
Run after `dvc repro` (it reads the data of the chain): python -m benchmarks.throughput [--accelerator gpu]
"""

import argparse
import statistics
import time
from itertools import islice
from typing import Any

from benchmarks.results import Row, write_results
from benchmarks.throughput_gpu import build, on_gpu, one_process
from pipeline.errors import run
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

LONG_STEP = 10e-3  # seconds: above it a share counts, below it milliseconds a step
GOAL_RATIO, GOAL_EXTRA_MS = 1.15, 1.0
MOST_STEPS = 40  # of an epoch: of a longer one, what it costs to begin and end would hardly be seen


def main() -> None:
    """Time every model, both ways in turn, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="least time of one on the CPU (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each kind there (default: %(default)s)")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu", help="(default: %(default)s)")
    args = parser.parse_args()
    rows: list[Row] = []
    for name in MODELS:
        rows += measure(name, args.seconds, args.rounds) if args.accelerator == "cpu" else on_gpu(name)
    name = "throughput" if args.accelerator == "cpu" else "throughput_gpu"
    write_results(name, rows, program="throughput")


def measure(name: str, seconds: float, rounds: int) -> list[Row]:
    """Interleaved epochs of Lightning and of the plain loop, medians."""
    plain_steps = run_plain(name, epochs=2)
    epochs = max(2, round(seconds / (sum(plain_steps) / 2)))
    lightning, plain = [], []
    for _ in range(rounds):
        plain.append(statistics.median(run_plain(name, epochs)))
        lightning.append(statistics.median(run_lightning(name, epochs)))
    steps = number_of_steps(name)
    step = statistics.median(plain) / steps
    ratio = statistics.median(a / b for a, b in zip(lightning, plain, strict=True))
    extra = statistics.median(a - b for a, b in zip(lightning, plain, strict=True)) / steps
    long = step >= LONG_STEP
    note = f"plain step {step * 1e3:.2f} ms, {steps} steps an epoch"
    if long:
        return [Row(f"{name}: epoch / plain loop", ratio, "x", None, GOAL_RATIO, "lower", note)]
    return [
        Row(f"{name}: extra per step", extra * 1e3, "ms", None, GOAL_EXTRA_MS, "lower", f"{note}, ratio {ratio:.2f}")
    ]


def number_of_steps(name: str) -> int:
    """Training steps of an epoch."""
    return min(MOST_STEPS, len(build(name)[1].train_dataloader()))


def run_lightning(name: str, epochs: int) -> list[float]:
    """Seconds of each epoch, without validation, as pipeline.train runs it."""
    from pytorch_lightning.callbacks import Callback

    from pipeline.training.callbacks import Curves, SeedEachBatch, TrainMeans
    from pipeline.training.trainer import make_trainer

    class Clock(Callback):
        times: list[float] = []

        def on_train_epoch_start(self, *_: Any) -> None:
            self.start = time.perf_counter()

        def on_train_epoch_end(self, *_: Any) -> None:
            self.times.append(time.perf_counter() - self.start)

    module, datamodule, section = build(name)
    clock = Clock()
    clock.times = []
    runtime = load_params("params.yaml").runtime
    callbacks = [SeedEachBatch(section.seed), TrainMeans(), Curves(name), clock]
    settings = section.trainer.model_copy(update={"max_epochs": epochs})
    fit = make_trainer(settings, runtime, logger=False, callbacks=callbacks, single=True)
    fit.limit_train_batches = MOST_STEPS
    fit.fit(module, train_dataloaders=datamodule.train_dataloader())
    return clock.times


def run_plain(name: str, epochs: int) -> list[float]:
    """Seconds of each epoch of the loop that one would write by hand."""
    import torch

    from pipeline.training.trainer import precision

    module, datamodule, section = build(name)
    torch.set_num_threads(section.trainer.threads)
    module._trainer = one_process()
    loader = datamodule.train_dataloader()
    steps = min(MOST_STEPS, len(loader))
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-4, total_steps=epochs * steps)
    chosen = precision(section.trainer, load_params("params.yaml").runtime)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=chosen == "bf16-mixed")
    module.train()
    times = []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        start = time.perf_counter()
        for index, batch in enumerate(islice(loader, steps)):
            with autocast:
                loss = module.training_step(batch, index)["loss"]
            optimizer.zero_grad()
            loss.backward()
            if section.trainer.gradient_clip_val:
                torch.nn.utils.clip_grad_norm_(module.parameters(), section.trainer.gradient_clip_val)
            optimizer.step()
            schedule.step()
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    run(main)
