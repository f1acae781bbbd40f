"""The stand-in of W&B's server writes into its folder alone; sending runs to it takes nothing from a project."""

import http.client
from pathlib import Path

import pytest

from benchmarks.tracking import restored
from benchmarks.wandb_stand_in import StandIn, serving


@pytest.mark.parametrize(("name", "status"), [("runs/a/files/x.txt", 200), ("../outside.txt", 400)])
def test_files_are_kept_in_its_folder_alone(name: str, status: int, tmp_path: Path) -> None:
    with serving(StandIn(tmp_path / "kept").app()) as address:
        connection = http.client.HTTPConnection(address.removeprefix("http://"))
        connection.request("PUT", f"/storage/{name}", b"content")
        assert connection.getresponse().status == status
    files = [file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()]
    assert files == ([Path("kept", name)] if status == 200 else [])


def test_a_folder_is_given_back_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "staging"
    (folder / "a").mkdir(parents=True)
    (folder / "a/weights").write_text("weights")
    with restored(folder, tmp_path / "copy"):
        (folder / "a/weights").unlink()
        (folder / "new").write_text("left behind")
    assert [file.name for file in folder.rglob("*") if file.is_file()] == ["weights"]
    assert (folder / "a/weights").read_text() == "weights"
