"""A training is killed and goes on: the same weights and curves, and little done twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from faults.harness import killed_at, pause, run, stage

pytestmark = pytest.mark.fault


def test_killed_at_the_first_batch(workspace: Path, same: Callable[..., None]) -> None:
    command = stage("train", "gnn")
    killed_at(pause(command, "pipeline.training.callbacks", "SeedEachBatch.on_train_batch_start"))
    assert not list(workspace.glob("models/*.ckpt"))
    run(command)
    same("train", "gnn")
