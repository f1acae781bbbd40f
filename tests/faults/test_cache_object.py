"""A byte of an object in DVC's cache is another: `pipeline.verify` finds it, and the chain makes it anew."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from test_chain import checkout, environment

CHAIN = """
stages:
  file:
    cmd: echo one > data/file
    outs: [data/file]
  folder:
    cmd: mkdir -p data/folder && echo two > data/folder/a && echo three > data/folder/b
    outs: [data/folder]
  last:
    cmd: cat data/file data/folder/* > data/last
    deps: [data/file, data/folder]
    outs: [data/last]
"""
WHOLE = {"file": "one\n", "folder/a": "two\n", "folder/b": "three\n", "last": "one\ntwo\nthree\n"}
# Names that md5sum gives to what the stages write; the list of files of the folder is JSON.
OBJECTS = {
    "file": "5b/bf5a52328e7439ae6e719dfe712200",
    "folder/b": "fe/be6995bad457991331348f7b9c85fa",
    "folder": "*/*.dir",
}

pytestmark = pytest.mark.fault


def run(folder: Path, *command: str) -> str:
    """What a command says; it must succeed."""
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def verify(folder: Path) -> str:
    return run(folder, sys.executable, "-m", "pipeline.verify")


def written(folder: Path) -> dict[str, str]:
    return {name: (folder / "data" / name).read_text() for name in WHOLE}


def flip(path: Path) -> None:
    """Change a byte as a failing disk does: neither mode nor time of the file tell."""
    before = path.stat()
    path.chmod(before.st_mode | stat.S_IWUSR)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as stream:
        stream.write(content)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    folder = checkout(tmp_path / "project")
    (folder / "dvc.yaml").write_text(CHAIN)
    (folder / "dvc.lock").unlink()
    return folder


@pytest.mark.parametrize(
    ("damaged", "links"),
    [("file", "hardlink"), ("file", "symlink"), ("file", "copy"), ("folder/b", "hardlink"), ("folder", "hardlink")],
)
def test_verify_names_and_heals_a_damaged_object(damaged: str, links: str, chain: Path) -> None:
    run(chain, "dvc", "config", "cache.type", links)
    run(chain, "dvc", "repro")
    lock = (chain / "dvc.lock").read_text()
    [path] = (chain / ".dvc/cache/files/md5").glob(OBJECTS[damaged])
    flip(path)

    told = verify(chain)
    linked = f", data/{damaged}" if damaged != "folder" and links != "copy" else ""
    assert f"damaged: {path}{linked}\n" in told
    assert told.endswith(" 1 damaged: removed with their links; run dvc repro\n")
    assert not path.exists()

    run(chain, "dvc", "repro")
    assert written(chain) == WHOLE
    assert (chain / "dvc.lock").read_text() == lock
    assert run(chain, "dvc", "status") == "Data and pipelines are up to date.\n"
    assert path.exists()
    assert verify(chain).endswith(" 0 damaged: all is well\n")


def test_verify_leaves_what_is_whole_and_needs_a_repository(chain: Path, tmp_path: Path) -> None:
    run(chain, "dvc", "repro")
    assert verify(chain).endswith("5 objects, 0 damaged: all is well\n")
    assert written(chain) == WHOLE
    command = [sys.executable, "-m", "pipeline.verify"]
    elsewhere = environment() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=elsewhere, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}: in no DVC repository; run this in the project's folder\n"
