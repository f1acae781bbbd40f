"""Homes, caches, languages and servers that are not as expected: a stage does its work all the same."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, edit_params

from faults.harness import assert_same, contents, environment, read_only, run, setting, stage
from faults.test_kill_evaluate import write_what_models_leave

pytestmark = pytest.mark.fault

FIXED = {"nbody.integrator": "leapfrog", "nbody.tolerance": None, "nbody.n_simulations": 6}


@pytest.mark.parametrize("home", ["/proc/none", None], ids=["read-only home", "no home"])
def test_a_checkout_and_a_home_that_are_read_only(home: str | None, tiny_folder: Path) -> None:
    """numba can keep what it compiles neither beside the code nor at home; nothing is written outside the folder."""
    edit_params(tiny_folder, FIXED)
    run(stage("generate_nbody"))
    expected = contents("data", "reports")
    shutil.rmtree("data")
    temporary = tiny_folder.parent / f"{tiny_folder.name}.tmp"
    temporary.mkdir()
    run(
        stage("generate_nbody"),
        env=environment(HOME=home, TMPDIR=str(temporary), XDG_CACHE_HOME=None, MPLCONFIGDIR=None),
        prefix=read_only(str(ROOT)),
    )
    assert_same(contents("data", "reports"), expected)
    assert contents(str(temporary), folder=Path("/")) == {}


def test_training_without_a_home(workspace: Path, same: Callable[..., None]) -> None:
    run(stage("train", "rbm"), env=environment(HOME=None, MPLCONFIGDIR=None, WANDB_MODE="offline"))
    same("train", "rbm")


def test_a_numba_cache_that_cannot_be_written(tiny_folder: Path) -> None:
    edit_params(tiny_folder, FIXED)
    run(stage("generate_nbody"))
    expected = contents("data", "reports")
    shutil.rmtree("data")
    run(stage("generate_nbody"), env=environment(NUMBA_CACHE_DIR="/proc/none", HOME="/proc/none"))
    assert_same(contents("data", "reports"), expected)


def test_a_tracker_that_is_silent(workspace: Path, same: Callable[..., None]) -> None:
    """A server takes the connection and says nothing: the training ends, and the warning tells how to send its run."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        command = stage("train", "rbm")
        soon = setting(command, ("pipeline.tracking.live", "SECONDS_TO_FINISH", 1.0))
        online = environment(WANDB_MODE="online", WANDB_BASE_URL=address, WANDB_API_KEY="k" * 40, SET=soon)
        training = run(command, env=online)
    assert "wandb sync" in training.output
    same("train", "rbm")


LOCALES = {
    "LANG=C": {"LANG": "C", "LC_ALL": None},
    "not UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("name", LOCALES)
def test_training_in_another_language(name: str, workspace: Path, same: Callable[..., None]) -> None:
    run(stage("train", "rbm"), env=environment(**LOCALES[name]))
    same("train", "rbm")


def test_report_without_utf8(workspace: Path) -> None:
    """It reads and writes letters beyond ASCII."""
    write_what_models_leave()
    page, titles = Path("reports/index.html"), Path("reports/figures/gnn/learned.json")
    titles.write_text(
        titles.read_text(encoding="utf-8").replace('"notes": []', '"notes": ["Sternhaufen, π und 日"]'), "utf-8"
    )
    run(stage("report"))
    expected = page.read_bytes()
    assert "π und 日" in expected.decode()
    page.unlink()
    run(stage("report"), env=environment(**LOCALES["not UTF-8"]))
    assert page.read_bytes() == expected


def test_pictures_without_utf8(tiny_folder: Path, tiny_data: Path) -> None:
    shutil.copytree(tiny_data / "data/synthetic", "data/synthetic")
    run(stage("import_images", "lungs"), env=environment(**LOCALES["not UTF-8"]))
    assert_same(contents("data/raw/lungs"), contents("data/raw/lungs", folder=tiny_data))
