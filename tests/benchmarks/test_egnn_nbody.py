"""The charged benchmark on a handful of systems: it runs, and its measures are what they are called."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.egnn_nbody import MODEL, best_of_training, both_ways, read, rotation_error, squared_errors
from pipeline.errors import InputError
from pipeline.simulation.nbody.integrators import integrate

TINY: dict[str, Any] = MODEL | {"layers": 2, "hidden": 8}


def systems(folder: Path, number: int = 8) -> dict[str, torch.Tensor]:
    """Random systems of five charges that move freely."""
    rng = np.random.default_rng(0)
    position, velocity = rng.standard_normal((2, number, 1, 5, 3))
    frames = {"position": np.concatenate([position, position + velocity], 1), "velocity": velocity.repeat(2, axis=1)}
    np.savez(folder / "some.npz", **frames, charge=rng.choice([-1.0, 1.0], (number, 5)))
    return read(folder / "some.npz")


def test_a_training_keeps_its_best_epoch(tmp_path: Path) -> None:
    some = systems(tmp_path)
    errors = [float(squared_errors(best_of_training(TINY, some, some, 1, epochs), some).mean()) for epochs in (1, 12)]
    assert errors[1] < errors[0]


def test_squared_errors_are_the_mean_over_stars_and_coordinates(tmp_path: Path) -> None:
    some = systems(tmp_path)
    module = best_of_training(TINY, some, some, 1, 1)
    predicted = module(some["position"][:, 0], some["velocity"][:, 0], some["charge"])[0].detach().numpy()
    by_hand = [((predicted[k] - some["position"][k, 1].numpy()) ** 2).sum() / 15 for k in range(8)]
    assert np.allclose(squared_errors(module, some), by_hand, rtol=1e-5)


def test_rotation_error_sees_what_depends_on_the_axes(tmp_path: Path) -> None:
    some = systems(tmp_path)
    module = best_of_training(TINY, some, some, 1, 1)
    assert rotation_error(module, some) < 1e-5
    module.net.register_forward_hook(lambda _, inputs, answer: (answer[0] + torch.tensor([0.1, 0, 0]), answer[1]))
    assert rotation_error(module, some) > 1e-2


def test_the_motion_backwards_is_a_motion() -> None:
    """Stars that are integrated back from the end come to where they began."""
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(2, 1, 4, 3, generator=generator, dtype=torch.float64)
    how: dict[str, Any] = {
        "mass": torch.ones(4),
        "dt": 1.0,
        "steps": 1,
        "substeps": 200,
        "softening": 0.5,
        "integrator": "leapfrog",
    }
    position, velocity = integrate(start[0], 0.1 * start[1], **how)
    backwards = both_ways({"position": position, "velocity": velocity})
    again, _ = integrate(backwards["position"][1, :1], backwards["velocity"][1, :1], **how)
    assert torch.allclose(again[0], backwards["position"][1], rtol=0, atol=1e-9)
    assert not torch.allclose(position[0, 0], position[0, 1], rtol=0, atol=0.1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.npz: no such file; see --data"):
        read(tmp_path / "train.npz")
