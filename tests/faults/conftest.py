"""What an undisturbed run leaves, made once; and an end of whatever a failed test has left running."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import edit_params, working_in

from faults import harness
from faults.harness import contents, run, stage


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    yield
    harness.end_all()


@pytest.fixture(scope="session")
def undisturbed(
    tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Path, dict[str, bytes]]]:
    """Runs a stage once at scale tiny, after the training it needs: its folder, and its files in models and reports."""
    done: dict[tuple[str, ...], tuple[Path, dict[str, bytes]]] = {}

    def result(name: str, *arguments: str, processes: int = 1) -> tuple[Path, dict[str, bytes]]:
        key = (name, *arguments, str(processes))
        if key not in done:
            folder = tmp_path_factory.mktemp("undisturbed")
            shutil.copy(tiny_data / "params.yaml", folder)
            (folder / "data").symlink_to(tiny_data / "data")
            if processes > 1:
                edit_params(folder, {"runtime.devices": processes, "runtime.accelerator": "cpu"})
            if name == "evaluate":
                shutil.copytree(result("train", *arguments)[0] / "models", folder / "models")
            before = contents("models", "reports", folder=folder)
            with working_in(folder):
                run(stage(name, *arguments))
                after = contents("models", "reports")
            done[key] = folder, {file: after[file] for file in after if file not in before}
        return done[key]

    return result


@pytest.fixture
def same(undisturbed: Callable[..., tuple[Path, dict[str, bytes]]]) -> Callable[..., None]:
    """Asserts that a stage has left in the current folder what an undisturbed one leaves, and no more."""

    def check(name: str, *arguments: str, processes: int = 1) -> None:
        folder, expected = undisturbed(name, *arguments, processes=processes)
        if name == "evaluate":
            expected = expected | contents("models", folder=folder)
        harness.assert_same(contents("models", "reports"), expected)

    return check
