import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import chain_time

MODULE = '''
class Settings:
    """Of a network.

    Args:
        hidden: width.
    """

    hidden: int


class Network:
    def __init__(self, hidden: int, other: int) -> None:
        self.hidden = hidden


def build(settings: Settings) -> Network:
    return Network(hidden=settings.hidden, other=settings.hidden)


def mathematics(hidden: float) -> float:
    return power(hidden=2 * hidden)
'''


def test_spellings_are_declarations_and_what_hands_them_on(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(MODULE)
    assert chain_time.spellings(tmp_path / "module.py", "hidden") == 4  # line of Args, field, parameter, keyword
    assert chain_time.spellings(tmp_path / "module.py", "absent") == 0


@pytest.mark.parametrize(
    ("command", "stage"),
    [
        (["python", "-m", "pipeline.train", "gnn"], "train@gnn"),
        (["python", "-m", "pipeline.report"], "report"),
        (["python", "-m", "pipeline.scale", "tiny"], None),
        (["sh", "-c", "python -m pipeline.train gnn"], None),
        (["python", "-m"], None),
        ([], None),
    ],
)
def test_a_stage_is_known_by_its_command(command: list[str], stage: str | None) -> None:
    assert chain_time.stage_of(command) == stage


def test_cost_of_a_command(tmp_path: Path) -> None:
    work = "import time; print(1, flush=True); time.sleep(1.5); print(2); t = time.process_time\nwhile t() < 1: pass"
    (tmp_path / "x").mkdir()
    cost = chain_time.measure(tmp_path / "x", [sys.executable, "-c", work], dict(os.environ))
    assert cost.wall > 2
    assert 1 <= cost.cpu < 1.5
    assert 1.4 < cost.silence < cost.wall
    assert (tmp_path / "x.log").read_text().split()[1::2] == ["1", "2"]
    with pytest.raises(subprocess.CalledProcessError):
        chain_time.measure(tmp_path / "x", ["false"], dict(os.environ))


def test_links_count_once(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / ".dvc/cache").mkdir(parents=True)
    (tmp_path / "data/a").write_bytes(bytes(10_000_000))
    os.link(tmp_path / "data/a", tmp_path / ".dvc/cache/a")
    assert chain_time.gigabytes(tmp_path) == pytest.approx(0.01, rel=0.1)
