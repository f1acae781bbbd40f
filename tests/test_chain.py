"""The Makefile: stages side by side, what happens to them on failure and Ctrl-C, and where it may stand."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from ruamel.yaml import YAML

SMALL = """
stages:
  first:
    cmd: echo 1 > data/first
    outs: [data/first]
  long:
    foreach: [a, b]
    do:
      cmd: sleep 300.${item}; echo 1 > data/${item}
      deps: [data/first]
      outs: ["data/${item}"]
  last:
    cmd: LAST
    deps: [data/first]
    outs: [data/last]
"""

QUICK = """
stages:
  first:
    cmd: echo 1 > data/first
    outs: [data/first]
  quick:
    foreach: [NAMES]
    do:
      cmd: echo ${item} > data/quick${item}
      deps: [data/first]
      outs: ["data/quick${item}"]
"""


def checkout(folder: Path) -> Path:
    """A Git repository of its own with the files that are checked out here, changes and all."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for file in filter(None, files):
        if (ROOT / file).exists():
            shutil.copyfile(ROOT / file, folder / file)
    return folder


def small_chain(folder: Path, last: str, seconds: str = "300") -> Path:
    """A checkout whose chain is a file, two long stages beside each other, and a last one."""
    checkout(folder)
    (folder / "dvc.yaml").write_text(SMALL.replace("LAST", last).replace("300.${item}", seconds))
    (folder / "dvc.lock").unlink()
    return folder


def environment() -> dict[str, str]:
    """That of this process without what an outer make tells an inner one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "VENV"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def make(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["make", f"VENV={sys.prefix}", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_setup_makes_its_environment_in_the_folder_even_with_a_space_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "ein schöner Ordner"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    python = tmp_path / "python"
    python.write_text(
        f"""#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi
echo "$0 $1 $2 $3" >> "{tmp_path}/calls"
"""
    )
    python.chmod(0o755)
    command = ["make", "setup", f"PYTHON={python}"]
    subprocess.run(command, cwd=folder, env=environment(), check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[-3:-1] == [f"{python} -m venv .venv", ".venv/bin/python -m pip install"]
    assert calls[-1].endswith("python -m pipeline.plots_page ")
    (folder / ".dvc").mkdir()
    (folder / ".dvc/plots.html").touch()
    subprocess.run(command, cwd=folder, env=environment(), check=True)
    assert len((tmp_path / "calls").read_text().splitlines()) == len(calls), "nothing is installed twice"


def test_help_names_the_targets() -> None:
    text = subprocess.run(["make", "help"], cwd=ROOT, env=environment(), capture_output=True, text=True).stdout
    named = set(re.findall(r"\bmake ([a-z-]+)(?=  |\b adds)", text))
    declared = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared
    assert named == set(declared[1].split()) - {"all", "side-by-side", "help"}


@pytest.mark.slow
def test_a_stage_that_fails_ends_the_others_and_is_named_last(tmp_path: Path) -> None:
    folder = small_chain(tmp_path / "a folder", "sleep 3; echo reason; exit 1")
    running = make(folder, "JOBS=3")
    output = running.communicate(timeout=120)[0]
    assert running.returncode == 2
    assert "reason" in output
    assert output.splitlines()[-1].endswith("*** stage last failed with status 255: see above.  Stop.")
    assert processes_in(folder) == []
    assert not (folder / "data/a").exists()


@pytest.mark.slow
def test_ctrl_c_ends_all_stages(tmp_path: Path) -> None:
    folder = small_chain(tmp_path / "folder", "sleep 300")
    running = make(folder, "JOBS=3")
    assert running.stdout
    for line in running.stdout:
        if "long@b" in line:
            break
    time.sleep(2)
    os.killpg(running.pid, signal.SIGINT)  # what a terminal does
    running.communicate(timeout=60)
    assert running.returncode != 0
    assert processes_in(folder) == []


@pytest.mark.slow
def test_outs_are_links_to_the_cache_and_clean_frees_them(tmp_path: Path) -> None:
    folder = small_chain(tmp_path / "folder", "mkdir data/last; echo 2 > data/last/a; echo 3 > data/last/b", "0")
    assert make(folder, "JOBS=2").wait(timeout=120) == 0
    outs = [file for file in (folder / "data").rglob("*") if file.is_file() and file.name != ".gitignore"]
    assert len(outs) == 5
    assert all(file.stat().st_nlink > 1 for file in outs)
    assert make(folder, "clean").wait(timeout=60) == 0
    assert not any(file.exists() for file in outs)
    assert not (folder / ".dvc/cache").exists()
    assert (folder / "data/.gitignore").exists()


@pytest.mark.slow
def test_no_entry_of_the_lock_is_lost(tmp_path: Path) -> None:
    folder = small_chain(tmp_path / "folder", "")
    names = ", ".join(str(k) for k in range(24))
    (folder / "dvc.yaml").write_text(QUICK.replace("NAMES", names))
    assert make(folder, "JOBS=4").wait(timeout=300) == 0
    stages = YAML(typ="safe").load(folder / "dvc.lock")["stages"]
    assert set(stages) == {"first", *(f"quick@{k}" for k in range(24))}
    assert all(stage["outs"][0]["md5"] for stage in stages.values())


@pytest.mark.slow
def test_side_by_side_gives_the_bytes_of_one_after_another(tmp_path: Path) -> None:
    serial, parallel = (checkout(tmp_path / name) for name in ("serial", "side by side"))
    scale = [sys.executable, "-m", "pipeline.scale", "tiny"]
    subprocess.run(scale, cwd=serial, check=True)
    subprocess.run(["dvc", "repro"], cwd=serial, env=environment(), check=True)
    running = make(parallel, "JOBS=2", "SCALE=tiny")
    output = running.communicate()[0]
    assert running.returncode == 0, output
    assert (parallel / "dvc.lock").read_bytes() == (serial / "dvc.lock").read_bytes()
    last_repro = output.split("\ndvc repro\n")[-1]
    assert "Running stage" not in last_repro, "stages ran in an order that left something stale"
