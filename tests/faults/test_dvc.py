"""`dvc repro` is killed, called from elsewhere, in a folder of any name: no orphans, the same lock and outputs."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, working_in
from ruamel.yaml import YAML

from faults.harness import (
    assert_same,
    contents,
    dvc,
    environment,
    kill,
    orphans,
    pause,
    run,
    stage,
    start,
    until,
)
from faults.wall_clock import clock

pytestmark = pytest.mark.fault

OUTS = ("models/gnn.ckpt", "models/part-way/gnn", "reports/train/gnn.csv")
TARGET = "train@gnn"


def checkout(folder: Path) -> Path:
    """A clone with the files that are checked out here, at scale tiny; nothing has run."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in filter(None, files.split("\0")):
        if (ROOT / file).exists():
            shutil.copyfile(ROOT / file, folder / file)
    (folder / "dvc.lock").unlink()
    with working_in(folder):
        run(stage("scale", "tiny"))
    return folder


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which the training of stars and all before it has run, undisturbed."""
    folder = checkout(tmp_path_factory.mktemp("chain") / "clone")
    with working_in(folder):
        run(dvc("repro", TARGET))
    return folder


@pytest.fixture
def clone(chain: Path) -> Iterator[Path]:
    """The same, as the current folder."""
    with working_in(chain):
        yield chain


def locked(folder: Path, name: str = TARGET) -> object:
    return YAML(typ="safe").load(folder / "dvc.lock")["stages"][name]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
@pytest.mark.parametrize("name", ["generate_clusters", TARGET, "evaluate@gnn"])
def test_dvc_is_killed(name: str, number: signal.Signals, clone: Path) -> None:
    """The stage that it has started ends with it; a training writes its checkpoint first."""
    module, _, model = name.partition("@")
    places = {
        "generate_clusters": ("pipeline.parallel", "in_parallel"),
        TARGET: ("pipeline.training.callbacks", "SeedEachBatch.on_train_batch_start"),
        "evaluate@gnn": ("pipeline.training.trainer", "make_trainer"),
    }
    command = stage({"train": "train", "evaluate": "evaluate"}.get(module, module), *filter(None, [model]))
    place = pause(command, *places[name])
    before, lock = contents("models", "reports"), Path("dvc.lock").read_bytes()
    repro = start(dvc("repro", "-f", "-s", name), env=place.env())
    place.reached(repro)
    kill(repro, number)
    place.go_on()
    repro.end()
    until(lambda: not list(orphans(clone)), "the end of the stage", 15)
    assert Path("dvc.lock").read_bytes() == lock
    if name == TARGET:
        run(dvc("repro", "--no-run-cache", TARGET))
        assert_same({k: v for k, v in contents("models", "reports").items() if k in before}, before)
    assert Path("dvc.lock").read_bytes() == lock


def test_a_name_beyond_ascii(chain: Path, tmp_path: Path) -> None:
    """In a folder with a space and letters of other languages, the chain to a model writes the same lock."""
    folder = checkout(tmp_path / "Sternhaufen ü 日")
    with working_in(folder):
        run(dvc("repro", TARGET))
    assert (folder / "dvc.lock").read_bytes() == (chain / "dvc.lock").read_bytes()
    assert_same(contents(*OUTS, folder=folder), contents(*OUTS, folder=chain))


def test_from_another_folder(chain: Path, tmp_path: Path) -> None:
    lock, outs = (chain / "dvc.lock").read_bytes(), contents(*OUTS, folder=chain)
    for out in OUTS[:2]:
        path = chain / out
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with working_in(chain / "docs"):
        run(dvc("repro", "-f", "-s", f"../dvc.yaml:{TARGET}"), folder=chain / "docs")
    assert_same(contents(*OUTS, folder=chain), outs)
    run(dvc("--cd", str(chain), "repro", "-f", "-s", "import_nbody"), folder=tmp_path)
    assert (chain / "dvc.lock").read_bytes() == lock


def test_the_clock_is_set_back(clone: Path) -> None:
    """DVC looks at times of files to know what to read again."""
    lock = Path("dvc.lock").read_bytes()
    shifted = environment(**clock(-86_400))
    run(dvc("repro", "-f", "-s", "import_nbody"), env=shifted)
    assert Path("dvc.lock").read_bytes() == lock
    assert run(dvc("status", "-q", TARGET)).output == ""
