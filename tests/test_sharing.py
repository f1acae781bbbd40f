"""Results among people: what one clone has made, another makes alike, or takes from a store without making it again."""

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from ruamel.yaml import YAML
from test_chain import checkout, environment
from test_experiments import STAGE

STAGES = ("draw_radiographs", "draw_star_fields", "train@spectral")
OUTS = ("data", "models", "reports/train/spectral.csv")
BUCKET = "star-clusters"

pytestmark = pytest.mark.slow


def run(folder: Path, *command: str, **variables: str) -> str:
    """What a command prints; it must succeed."""
    settings = environment() | variables
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(folder: Path, what: str) -> None:
    person = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    run(folder, "git", "add", ".")
    run(folder, "git", *person, "commit", "-qm", what)


def tiny(folder: Path) -> Path:
    """A checkout at scale tiny; its lock knows the default scale alone."""
    checkout(folder)
    run(folder, sys.executable, "-m", "pipeline.scale", "tiny")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """The files of the stages' outputs, but Git's."""
    places = [folder / out for out in OUTS]
    files = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place])]
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in files
        if file.is_file() and file.name != ".gitignore"
    }


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which three stages ran, and whose results are committed."""
    folder = tiny(tmp_path_factory.mktemp("first") / "project")
    run(folder, "dvc", "repro", *STAGES)
    commit(folder, "three stages")
    return folder


def test_two_clones_write_one_lock(first: Path, tmp_path: Path) -> None:
    second = tiny(tmp_path / "noch ein Ordner")
    elsewhere = {"TZ": "Asia/Kathmandu", "LANG": "C", "LC_ALL": "C", "PYTHONHASHSEED": "7", "HOME": str(tmp_path)}
    run(second, "dvc", "repro", *STAGES, **elsewhere)
    before, after = (YAML(typ="safe").load(folder / "dvc.lock")["stages"] for folder in (ROOT, first))
    assert sorted(name for name in after if after[name] != before[name]) == sorted(STAGES)
    assert (second / "dvc.lock").read_bytes() == (first / "dvc.lock").read_bytes()
    assert contents(second) == contents(first)


@pytest.fixture
def store(tmp_path: Path) -> tuple[str, dict[str, str]]:
    """A folder as a store: its address and the variables that open it."""
    return str(tmp_path / "store"), {}


@pytest.fixture
def s3_store(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The same of a bucket of S3, which moto serves on loopback."""
    pytest.importorskip("dvc_s3")
    pytest.importorskip("moto")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "moto.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            make_bucket(address)
            keys = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}
            yield f"s3://{BUCKET}/dvc", {**keys, "AWS_ENDPOINT_URL": address}
        finally:
            server.terminate()


def make_bucket(address: str) -> None:
    for _ in range(300):  # until it listens
        try:
            urllib.request.urlopen(urllib.request.Request(f"{address}/{BUCKET}", method="PUT"), timeout=5)
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"moto does not answer at {address}")


@pytest.mark.parametrize("kind", ["store", "s3_store"])
def test_pushed_results_are_pulled_and_nothing_runs(
    kind: str, first: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address, keys = request.getfixturevalue(kind)
    giver, taker = tmp_path / "giver", tmp_path / "taker"
    shutil.copytree(first, giver, symlinks=True)
    run(giver, "dvc", "remote", "add", "-d", "store", address)
    commit(giver, "a store")
    run(giver, "dvc", "push", **keys)

    run(tmp_path, "git", "clone", "-q", str(giver), str(taker))
    assert not (taker / "models/spectral.ckpt").exists()
    run(taker, "dvc", "pull", *STAGES, **keys)
    assert contents(taker) == contents(giver)
    told = run(taker, "dvc", "repro", *STAGES)
    assert re.findall(r"Stage '(.*)' didn't change, skipping", told) == list(STAGES)
    assert "Running stage" not in told
    assert run(taker, "git", "status", "--short") == ""


def count_trainings(folder: Path, log: Path) -> None:
    """Let stages take no time, and each training write a line."""
    line = f"Path({str(log)!r}).open('a').write(sys.argv[1] + '\\n')\n"
    (folder / "stage.py").write_text(STAGE + line)
    chain = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(re.sub(r"python -m pipeline\.", f"{sys.executable} stage.py ", chain))


def test_a_second_person_pulls_the_training(tmp_path: Path) -> None:
    """Of parameters that no commit has: the run cache knows them."""
    giver, taker, log = tmp_path / "giver", tmp_path / "taker", tmp_path / "ran"
    count_trainings(checkout(giver), log)
    run(giver, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    run(giver, "dvc", "repro", "train@gnn")
    commit(giver, "trained")
    rate = ("dvc", "exp", "run", "-S", "gnn.model.lr=0.5", "train@gnn")
    run(giver, *rate)
    assert (giver / "models/gnn.ckpt").read_text() == "0.5"
    run(giver, "dvc", "push", "--run-cache")
    ran = log.read_text().splitlines()
    assert ran == ["generate_nbody", "import_nbody", "train", "train"]

    run(tmp_path, "git", "clone", "-q", str(giver), str(taker))
    run(taker, "dvc", "pull", "--run-cache", "train@gnn")
    assert (taker / "models/gnn.ckpt").read_text() != "0.5"
    told = run(taker, "dvc", "repro", "train@gnn")
    assert "Running stage" not in told
    told = run(taker, *rate)
    assert "Stage 'train@gnn' is cached - skipping run, checking out outputs" in told
    for out in ("models/gnn.ckpt", "models/part-way/gnn/1.ckpt", "reports/train/gnn.csv"):
        assert (taker / out).read_text() == (giver / out).read_text(), out
    assert (taker / "models/gnn.ckpt").read_text() == "0.5"
    assert log.read_text().splitlines() == ran, "trained again"
