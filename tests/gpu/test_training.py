"""Each model trains and is evaluated on a GPU in its own precision; `pytest -m gpu` on a machine with one."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import edit_params, section_of
from pytorch_lightning.callbacks import Callback, LearningRateMonitor
from test_devices import EQUAL
from torch.profiler import ProfilerActivity, profile

from pipeline import evaluate, train
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]

STEPS, WARM = 20, 5  # steps of a training, and those in which memory and kernels are made ready
TOLERANCE = {"32-true": 1e-3, "64-true": 1e-6, "bf16-mixed": 2e-2}


class Losses(Callback):
    """Keeps the loss of each step on its device, and ends the training after ``STEPS``."""

    def __init__(self) -> None:
        self.found: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        self.found.append(outputs["loss"].detach().clone())
        trainer.should_stop = len(self.found) >= STEPS


class StepProfiler(Callback):
    """Writes down what the GPU does from the step after ``WARM`` on, from each batch to the end of its step."""

    def __init__(self) -> None:
        self.copies: list[str] = []

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        self.profile = profile(activities=[ProfilerActivity.CUDA]) if trainer.global_step > WARM else None
        if self.profile:
            torch.cuda.synchronize()
            self.profile.start()

    def on_train_batch_end(self, *_: Any) -> None:
        if self.profile:
            torch.cuda.synchronize()
            self.profile.stop()
            self.copies += [event.key for event in self.profile.key_averages() if "DtoH" in event.key]


def prepare(workspace: Path, name: str) -> None:
    """Enough epochs for the steps, nothing dropped where the model's numbers can then be those of the CPU."""
    edit_params(workspace, {f"{section_of(name)}.trainer.max_epochs": STEPS, **EQUAL.get(name, {})})


def trained(workspace: Path, name: str, accelerator: str, *callbacks: Callback) -> tuple[np.ndarray, str]:
    """Losses of the steps on a device, and the precision in which it was trained."""
    shutil.rmtree(workspace / "runs", ignore_errors=True)
    edit_params(workspace, {"runtime.accelerator": accelerator, "runtime.devices": 1})
    training, losses = train.build(name, load_params("params.yaml")), Losses()
    kept = [each for each in training.trainer.callbacks if not isinstance(each, LearningRateMonitor)]  # asks a tracker
    training.trainer.callbacks = [*callbacks, *kept, losses]
    train.fit(training)
    return torch.stack(losses.found).float().cpu().numpy(), training.trainer.precision


@pytest.mark.parametrize("name", MODELS)
def test_losses_are_those_of_the_processor(workspace: Path, name: str) -> None:
    """Step by step where no random numbers of the device enter; else they are finite, and their mean is near."""
    prepare(workspace, name)
    there, precision = trained(workspace, name, "gpu")
    here, _ = trained(workspace, name, "cpu")
    assert len(there) == STEPS and np.isfinite(there).all()
    if name in EQUAL:
        np.testing.assert_allclose(there, here, rtol=TOLERANCE[precision], atol=1e-3 * np.abs(here).max())
    else:
        assert abs(there.mean() - here.mean()) < 5 * here.std() + 0.1 * abs(here.mean())


@pytest.mark.parametrize("name", MODELS)
def test_no_step_copies_to_the_processor(workspace: Path, name: str) -> None:
    prepare(workspace, name)
    steps = StepProfiler()
    trained(workspace, name, "gpu", steps)
    assert not steps.copies


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_the_gpu_is_evaluated_there_and_loads_on_the_processor(workspace: Path, name: str) -> None:
    edit_params(workspace, {f"{section_of(name)}.trainer.max_epochs": 2, "runtime.accelerator": "gpu"})
    train.main([name])
    evaluate.main([name])
    module = MODELS[name].load(Path("models") / f"{name}.ckpt")
    assert {tensor.device.type for tensor in module.state_dict().values()} == {"cpu"}
    assert (workspace / f"reports/evaluate/{name}.json").is_file()
