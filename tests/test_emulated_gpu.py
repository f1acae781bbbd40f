"""Trainings and evaluations keep to the device of the model, told by an emulated GPU (elsewhere.py)."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from elsewhere import CPU, GPU, emulated_gpu

from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

FAMILIES = [name for name in MODELS if name != "autoencoder-covid"]


def untrained(name: str) -> tuple[Any, Any, Any]:
    """Module, data and section of a model, of the current folder."""
    model, section = MODELS[name], load_params("params.yaml").model_section(name)
    module, data = model.make_module(section), model.make_datamodule(section)
    data.setup("fit")
    module.fit_statistics(data)
    return module, data, section


def alone(module: Any) -> Any:
    """The module with all that a step asks of Lightning."""
    module._trainer = SimpleNamespace(world_size=1, global_rank=0, global_step=0)
    module.all_gather = lambda tensor: tensor
    return module


def evaluated(name: str, device: torch.device) -> dict[str, float]:
    """Metrics of an untrained model on a device; data and weights after part of the training are where they are."""
    module, data, section = untrained(name)
    part_way = [untrained(name)[0].to(device) for _ in module.kept_epochs]
    torch.manual_seed(section.seed)
    evaluate = MODELS[name].evaluation().evaluate
    result = evaluate(module.to(device).eval(), data, section, *(each.eval() for each in part_way))
    return {key: float(value) for key, value in result.metrics.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_evaluates_where_the_model_is(workspace: Path, name: str) -> None:
    """It measures the same wherever that is: the emulated GPU draws the processor's random numbers."""
    expected = evaluated(name, CPU)
    with emulated_gpu():
        assert evaluated(name, GPU) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_does_not_wait_for_the_gpu(workspace: Path, name: str) -> None:
    """Loss and gradients are those of the processor, and nothing is brought back to it on the way."""
    _, data, section = untrained(name)
    (batch, *_) = data.train_dataloader()
    found = []
    for device in (CPU, GPU):
        with emulated_gpu() as emulation:
            again = alone(untrained(name)[0].to(device).train())
            there = {key: tensor.to(device) for key, tensor in batch.items()}
            torch.manual_seed(section.seed)
            before = len(emulation.waits)
            loss = again.training_step(there, 0)["loss"]
            loss.backward()
            waits = emulation.waits[before:]
            found.append([float(loss), *(float(p.grad.norm()) for p in again.parameters() if p.grad is not None)])
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert not waits


def test_devices_do_not_mix() -> None:
    """What the tests above rest on: the emulated GPU refuses what a true one refuses."""
    layer = torch.nn.Linear(3, 2)
    with emulated_gpu() as emulation:
        layer.to(GPU)
        with pytest.raises(RuntimeError, match="same device"):
            layer(torch.ones(1, 3))
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, device=GPU, generator=torch.Generator())
        with pytest.raises((RuntimeError, TypeError)):
            layer.weight.detach().numpy()
        assert not emulation.waits
        float(layer(torch.ones(1, 3, device=GPU)).sum())
        assert len(emulation.waits) == 1
