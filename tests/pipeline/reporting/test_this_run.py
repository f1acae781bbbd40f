"""What the page that is sent on tells of its run."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.reporting.this_run import commit, this_run, written


def test_the_commit_and_whether_files_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == "not known: no Git checkout"
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("a")
    for arguments in (["init", "-q"], ["add", "file"], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert commit() == head
    (tmp_path / "file").write_text("b")
    assert commit() == f"{head}, with changes that are not committed"


def test_times_and_versions(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    os.utime(tmp_path / "file", (0, 86_400))
    assert written(tmp_path / "file") == "1970-01-02 00:00 UTC"
    assert this_run([])["versions"]["pytorch-lightning"].startswith("2.6")
