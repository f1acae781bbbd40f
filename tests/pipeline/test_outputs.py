"""Folders appear whole or not at all, and a killed process leaves nothing for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from pipeline.outputs import atomic_file, atomic_folder


def test_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with atomic_folder(out) as folder:
        (folder / "a").write_text("1")
        assert not out.exists()
    with pytest.raises(KeyboardInterrupt), atomic_folder(out) as folder:
        (folder / "b").write_text("2")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "a"]


def test_leftovers_of_dead_processes_are_removed(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead = tmp_path / f".out.{int(child.stdout)}"
    others = [tmp_path / name for name in (f".out.{os.getppid()}", f".other.{int(child.stdout)}", ".out.kept")]
    for folder in (dead, *others):
        folder.mkdir()
    with atomic_folder(tmp_path / "out"):
        assert not dead.exists()
    assert all(folder.exists() for folder in others)


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.outputs import {writer}
with {writer}(Path(sys.argv[1])) as temporary:
    {write}
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("writer", "write"),
    [("atomic_file", "temporary.write_text('half')"), ("atomic_folder", "(temporary / 'a').write_text('half')")],
)
def test_what_a_killed_process_left_is_ignored_by_git_and_gone_at_the_next_run(
    tmp_path: Path, writer: str, write: str
) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    out = tmp_path / "data/out [1].json"
    code = KILLED.format(writer=writer, write=write)
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT)
        assert killed.returncode == -9
        assert len(list(out.parent.iterdir())) == 1, "the first one's is gone"
    shown = subprocess.run(
        ["git", "status", "--short", "-uall"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["??", ".gitignore"]
    others = [out.parent / name for name in (f".out [1].{os.getppid()}.json", ".out [1].mine.json", ".out [1].json")]
    for path in others:
        path.touch()
    with (atomic_file if writer == "atomic_file" else atomic_folder)(out) as temporary:
        if writer == "atomic_file":
            temporary.touch()
    assert sorted(out.parent.iterdir()) == sorted([out, *others])
