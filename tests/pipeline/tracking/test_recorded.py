"""The file of a run: how far it goes, whether or not it was damaged."""

from pathlib import Path

import pytest
import wandb

from pipeline.tracking import recorded, run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder, in which wandb writes the runs of the test."""
    wandb.teardown()  # and what it knew of the environment
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for variable in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "runs/wandb"))
    monkeypatch.chdir(tmp_path)


def log(*rows: dict[str, float]) -> None:
    """Log the rows to the run ``known``, which goes on if there is one."""
    with run.closing():
        logger = run.start("gnn", "train", {}, "known")
        for row in rows:
            logger.log_metrics(row)


def file_of_run() -> Path:
    [file] = Path("runs/wandb/wandb").glob("offline-run-*/run-known.wandb")
    return file


def test_a_run_is_whole_only_to_its_last_byte(tmp_path: Path) -> None:
    log({f"step/{name}": 1.0 for name in range(3000)})  # longer than a block of the file
    content = file_of_run().read_bytes()
    assert len(content) > 3 * recorded.BLOCK
    cut = tmp_path / "cut.wandb"
    for length in (0, 7, 100, recorded.BLOCK, recorded.BLOCK + 3, len(content) // 2, len(content) - 1):
        cut.write_bytes(content[:length])
        assert not recorded.is_whole(cut)
    cut.write_bytes(content)
    assert recorded.is_whole(cut)


def test_a_damaged_run_stops_no_stage(capsys: pytest.CaptureFixture[str]) -> None:
    """Its file may be torn by a crash of the machine, or by a disk that was full for a while."""
    log(*100 * [{"step/loss": 1.0}])
    file = file_of_run()
    content = bytearray(file.read_bytes())
    middle = content.index(b"step/loss", len(content) // 2)
    content[middle : middle + 9] = b"\xff" * 9
    file.write_bytes(content)
    assert not recorded.is_whole(file)
    assert 10 < recorded.next_step(Path("runs/wandb/wandb"), "known") < 90
    log({"step/loss": 1.0})
    assert capsys.readouterr().err == ""
