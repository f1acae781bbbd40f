"""Training steps of a model on a GPU: how fast, how long they wait for batches, in how much memory."""

import time
from collections.abc import Callable, Iterable
from itertools import islice
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.results import Row
from pipeline.errors import InputError
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

STEPS = 40  # of a measurement
WARM_UP = 10
GOAL_WAIT = 5.0  # percent

Step = Callable[[dict[str, torch.Tensor]], None]


def build(name: str) -> tuple[Any, Any, Any]:
    """Module, data module with statistics taken, and section."""
    section, model = load_params("params.yaml").model_section(name), MODELS[name]
    module, datamodule = model.make_module(section), model.make_datamodule(section)
    datamodule.setup("fit")
    module.fit_statistics(datamodule)
    return module, datamodule, section


def one_process() -> SimpleNamespace:
    """All that a step asks of Lightning's Trainer, where there is one process."""
    strategy = SimpleNamespace(all_gather=lambda tensor, **_: tensor)
    return SimpleNamespace(world_size=1, global_rank=0, global_step=0, strategy=strategy)


def on_gpu(name: str) -> list[Row]:
    """The rows of a model.

    Raises:
        InputError: there is no GPU.
    """
    if not torch.cuda.is_available():
        raise InputError("--accelerator gpu: no CUDA device here; leave it out")
    return on_device(name, torch.device("cuda"))


def on_device(name: str, device: torch.device) -> list[Row]:
    """Rows a second, waiting, memory, and what torch.compile gains, of steps with batches from the loader."""
    module, datamodule, section = build(name)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)  # those of the model before
    placed = SimpleNamespace(global_rank=0, world_size=1, strategy=SimpleNamespace(root_device=device))
    datamodule.trainer = placed
    module.to(device).train()
    module._trainer = one_process()
    step, loader = stepping(module), datamodule.train_dataloader()
    steps = min(STEPS, len(loader))
    seconds_per_step(step, islice(loader, WARM_UP), device)
    loaded = seconds_per_step(step, islice(loader, steps), device)
    memory = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0
    ready = list(islice(loader, steps))
    alone = seconds_per_step(step, ready, device)
    module.losses = torch.compile(module.losses)
    seconds_per_step(step, ready[:WARM_UP], device)
    compiled = seconds_per_step(step, ready, device)
    note = f"{loaded * 1e3:.2f} ms a step of {section.data.batch_size} with its batch, {alone * 1e3:.2f} ms without"
    wait = 100 * max(0.0, 1 - alone / loaded)
    return [
        Row(f"{name}: rows of a batch", section.data.batch_size / loaded, "1/s", None, None, "higher", note),
        Row(f"{name}: waiting for data", wait, "%", None, GOAL_WAIT, "lower", "of the step"),
        Row(f"{name}: memory of the device", memory, "GB", None, None, "lower"),
        Row(f"{name}: gain by torch.compile", alone / compiled, "x", None, None, "higher"),
    ]


def stepping(module: Any) -> Step:
    """One training step, in single precision."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-5)

    def step(batch: dict[str, torch.Tensor]) -> None:
        optimizer.zero_grad()
        module.training_step(batch, 0)["loss"].backward()
        optimizer.step()

    return step


def seconds_per_step(step: Step, batches: Iterable[dict[str, torch.Tensor]], device: torch.device) -> float:
    """Wall time of a step over some batches."""
    start, steps = time.perf_counter(), 0
    for batch in batches:
        step(batch)
        steps += 1
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / steps
