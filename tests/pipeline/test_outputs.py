"""Folders appear whole or not at all, and a killed process leaves nothing for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.outputs import atomic_folder


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
