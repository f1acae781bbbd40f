"""Two `dvc repro` in one folder at once: one ends well, the other says who is before it, and nothing is made twice."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from test_chain import checkout, environment

CHAIN = """
stages:
  first:
    cmd: echo one > data/first; echo first >> runs/ran
    outs: [data/first]
  long:
    cmd: echo long >> runs/ran; until [ -e runs/go ]; do sleep 0.1; done; echo two > data/long
    deps: [data/first]
    outs: [data/long]
  last:
    cmd: cat data/first data/long > data/last; echo last >> runs/ran
    deps: [data/long]
    outs: [data/last]
"""
STAGES = ["first", "long", "last"]

pytestmark = pytest.mark.fault


def repro(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["dvc", "repro"], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end(chain: subprocess.Popen[str]) -> tuple[int, str]:
    """Status of the command and what it said."""
    said = chain.communicate(timeout=120)[0]
    return chain.returncode, said


def ran(folder: Path) -> list[str]:
    file = folder / "runs/ran"
    return file.read_text().split() if file.exists() else []


def wait_for(stage: str, folder: Path) -> None:
    for _ in range(1200):
        if stage in ran(folder):
            return
        time.sleep(0.05)
    raise TimeoutError(f"{stage} did not begin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = checkout(tmp_path / "project")
    (folder / "dvc.yaml").write_text(CHAIN)
    (folder / "dvc.lock").unlink()
    (folder / "runs").mkdir()
    return folder


def assert_whole(folder: Path) -> None:
    """Everything was made once, the lock knows it, and a third `dvc repro` has nothing to do."""
    assert ran(folder) == STAGES
    assert (folder / "data/last").read_text() == "one\ntwo\n"
    lock = YAML(typ="safe").load(folder / "dvc.lock")["stages"]
    assert sorted(lock) == sorted(STAGES)
    assert all(stage["outs"][0]["md5"] for stage in lock.values())
    status, said = end(repro(folder))
    assert status == 0
    assert said.endswith("Data and pipelines are up to date.\n")
    assert ran(folder) == STAGES


def test_a_second_repro_while_a_stage_runs(folder: Path) -> None:
    one = repro(folder)
    wait_for("long", folder)
    status, said = end(repro(folder))
    assert status == 255
    assert re.search(rf"is busy, it is being blocked by:\n  \(PID {one.pid}\): .*dvc repro\n", said), said
    assert "Traceback" not in said
    (folder / "runs/go").touch()
    assert end(one)[0] == 0
    assert_whole(folder)


def test_two_repros_that_start_together(folder: Path) -> None:
    (folder / "runs/go").touch()
    ends = sorted(end(chain) for chain in [repro(folder), repro(folder)])
    assert ends[0][0] == 0
    assert ends[1][0] in (0, 255)
    assert all("Traceback" not in said for _, said in ends)
    assert_whole(folder)


def test_a_repro_after_one_that_was_killed(folder: Path) -> None:
    """The file that names the killed one is DVC's: it drops a process that is no more."""
    one = repro(folder)
    wait_for("long", folder)
    os.kill(one.pid, 9)
    end_of_stage = folder / "runs/go"
    end_of_stage.touch()
    end(one)
    (folder / "runs/ran").write_text("first\n")
    assert end(repro(folder))[0] == 0
    assert_whole(folder)
