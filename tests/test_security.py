"""Files of strangers lead nowhere else; keys are written nowhere."""

import gzip
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import pytest
from conftest import ROOT, edit_params

from pipeline.errors import InputError

KEYS = {"WANDB_API_KEY": "5afe" * 10, "AWS_SECRET_ACCESS_KEY": "c0deSecretKey" + "9/Zq" * 7}


def test_hdf5_reads_no_other_file(tmp_path: Path) -> None:
    """Neither by a link nor as the place of its numbers."""
    from pipeline.inputs.star_tables import read_star_table

    (tmp_path / "secret").write_bytes(bytes(24))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["data"] = h5py.ExternalLink("other.h5", "/data")
    with h5py.File(tmp_path / "place.h5", "w") as file:
        file.create_dataset("data/1/keys", (3,), "u8", external=[("secret", 0, 24)])
    for name in ("link", "place"):
        with pytest.raises(InputError, match=rf"{name}\.h5: data(/1/keys)? (is a link to|lies in) another file"):
            read_star_table(tmp_path / f"{name}.h5")


@pytest.mark.parametrize("link", [h5py.HardLink(), h5py.SoftLink("/data/0000000001")], ids=["hard", "soft"])
def test_hdf5_reads_no_numbers_twice(link: object, tmp_path: Path) -> None:
    """Of a thousand states that are one, a small file would fill the memory."""
    from benchmarks.fuzz_seeds import amuse_sets
    from pipeline.inputs.star_tables import read_star_table

    path = tmp_path / "a.h5"
    path.write_bytes(amuse_sets()[0])
    with h5py.File(path, "r+") as file:
        file["data/0000000003"] = file["data/0000000001"] if isinstance(link, h5py.HardLink) else link
    with pytest.raises(InputError, match=r"a\.h5: data/\d+ (has several names|is a link to another place)"):
        read_star_table(path)


def test_a_pipe_among_pictures_does_not_block(tmp_path: Path) -> None:
    from pipeline.inputs.picture_sources import open_source

    os.mkfifo(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"1\.png: neither file nor folder"), open_source("lungs", tmp_path, None):
        pass


@pytest.mark.slow
def test_no_key_is_written_anywhere(workspace: Path) -> None:
    edit_params(workspace, {"boltzmann.trainer.max_epochs": 1})
    told = {**os.environ, **KEYS, "WANDB_MODE": "offline", "PYTHONPATH": str(ROOT)}
    for stage in ("train", "evaluate"):  # in processes of their own: W&B keeps the key in mind
        subprocess.run([sys.executable, "-m", f"pipeline.{stage}", "boltzmann"], env=told, check=True)
    files = [path for path in workspace.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any(path.suffix == ".wandb" for path in files), "W&B wrote nothing: the test sees nothing"
    assert any(path.suffix == ".ckpt" for path in files)
    for path in files:
        for content in contents(path):
            assert not [name for name, key in KEYS.items() if key.encode() in content], path


def contents(path: Path) -> list[bytes]:
    """Of a file, and of what is packed in it."""
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        return [content, gzip.decompress(content)]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return [content, *(archive.read(name) for name in archive.namelist())]
    return [content]
