"""A disk that is full or cannot be written to: one line, nothing half-written, and the next run ends well."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.harness import assert_same, contents, environment, fail, read_only, run, setting, stage, start, tmpfs

pytestmark = pytest.mark.fault


def full(command: list[str], size: str, place: str, **changes: str) -> None:
    """The stage meets a full disk: status 2 and one line."""
    stopped = start(command, env=environment(**changes), prefix=tmpfs(size, place))
    status, said = stopped.end(), stopped.output
    assert status == 2, f"{status}: {said}"
    assert "Traceback" not in said, said
    [line] = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "go on" in line or "space" in line, line


@pytest.mark.parametrize("size", ["256k", "3000k"])
def test_clusters_on_a_full_disk(size: str, tiny_folder: Path, tiny_data: Path) -> None:
    """There is room for neither file of maps, or for one."""
    command, out = stage("generate_clusters"), "data/synthetic/cluster_maps"
    full(command, size, "runs")
    assert not Path(out).exists()
    run(command)
    assert_same(contents(out), contents(out, folder=tiny_data))


def test_pictures_on_a_full_disk(tiny_folder: Path, tiny_data: Path) -> None:
    command, out = stage("draw_cluster_pictures"), "data/synthetic/globular_clusters"
    full(command, "64k", "data")
    run(command)
    assert_same(contents(out), contents(out, folder=tiny_data))


@pytest.mark.parametrize("size, place", [("4k", "models"), ("16k", "runs")], ids=["weights", "checkpoint"])
def test_training_on_a_full_disk(size: str, place: str, workspace: Path, same: Callable[..., None]) -> None:
    command = stage("train", "rbm")
    always = setting(command, ("pipeline.training.resume", "LEAST_SECONDS", -1.0))
    full(command, size, place, SET=always)
    run(command)
    same("train", "rbm")


def test_evaluation_on_a_full_disk(
    workspace: Path, undisturbed: Callable[..., tuple[Path, dict[str, bytes]]], same: Callable[..., None]
) -> None:
    command = stage("evaluate", "boltzmann")
    shutil.copytree(undisturbed("evaluate", "boltzmann")[0] / "models", "models")
    full(command, "32k", "reports")
    run(command)
    same("evaluate", "boltzmann")


def test_a_file_in_place_of_the_folder(workspace: Path, same: Callable[..., None]) -> None:
    command = stage("train", "rbm")
    Path("models").write_text("")
    assert "models" in fail(command)
    Path("models").unlink()
    run(command)
    same("train", "rbm")


def test_a_folder_that_is_read_only(workspace: Path, same: Callable[..., None]) -> None:
    command = stage("train", "rbm")
    Path("models").mkdir()
    assert "models" in fail(command, prefix=read_only("models"))
    run(command)
    same("train", "rbm")
