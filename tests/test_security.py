"""Files of strangers run nothing, lead nowhere else and fill no memory; keys are written nowhere."""

import ast
import gzip
import io
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
import torch
from conftest import ROOT, edit_params, run_stage

from pipeline.errors import InputError

ROOMS = ("pipeline", "lit_modules", "datamodules", "benchmarks", "examples")
PICKLES = (
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "joblib.load",
    "pandas.read_pickle",
    "read_pickle",
)
BELL = Path("rung")  # the file that a pickle would have made
KEYS = {"WANDB_API_KEY": "5afe" * 10, "AWS_SECRET_ACCESS_KEY": "c0deSecretKey" + "9/Zq" * 7}
MOST_MEGABYTES = 300  # that a bomb may cost


# --- pickle ---------------------------------------------------------------------------------------


def sources() -> list[Path]:
    return [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]


def wrong_calls(tree: ast.AST) -> list[str]:
    """Calls that may read a pickle."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [name for name in names if name.split(".")[0] in PICKLES]
        if not isinstance(node, ast.Call):
            continue
        name, told = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
        if name.endswith(PICKLES) or name in ("eval", "exec", "yaml.unsafe_load", "yaml.full_load"):
            found.append(name)
        if name == "torch.load" and told.get("weights_only") != "True":
            found.append(ast.unparse(node))
        if (
            name.endswith((".fit", "load_from_checkpoint"))
            and "ckpt_path" in told
            and told.get("weights_only") != "True"
        ):
            found.append(ast.unparse(node))
        if name == "np.load" and told.get("allow_pickle", "False") != "False":
            found.append(ast.unparse(node))
        if name == "YAML" and told.get("typ", "'rt'") not in ("'safe'", "'rt'"):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_read_with_pickle(path: Path) -> None:
    assert wrong_calls(ast.parse(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "trainer.fit(module, ckpt_path=path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "joblib.load(path)",
        "YAML(typ='unsafe')",
        "eval(text)",
    ],
)
def test_a_pickle_would_be_seen(line: str) -> None:
    assert wrong_calls(ast.parse(line))


class Ringer:
    """Its pickle makes a file when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (BELL,)


def in_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([Ringer()], dtype=object), allow_pickle=True)


def in_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, light=np.array([Ringer()], dtype=object))


def plain(path: Path) -> None:
    path.write_bytes(pickle.dumps(Ringer()))


def in_checkpoint(path: Path) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": {"lr": Ringer()}, "pytorch-lightning_version": "2.6.6"}, path)


def in_old_checkpoint(path: Path) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": Ringer()}, path, _use_new_zipfile_serialization=False)


def read_map(path: Path) -> None:
    from benchmarks.fuzz_readers import training_maps
    from pipeline.inputs.observation import read_npy

    read_npy(path, training_maps())


def read_all_maps(path: Path) -> None:
    from pipeline.inputs.cluster_maps import read_array

    read_array(path)


def read_image(path: Path) -> None:
    from pipeline.inputs.cluster_maps import _image
    from pipeline.settings.load import load_params

    _image(path, "light", load_params(ROOT / "params.yaml").clusters)


def read_checkpoint(path: Path) -> None:
    from pipeline.training.registry import MODELS

    MODELS["gnn"].load(path)


@pytest.mark.parametrize("read", [read_map, read_all_maps, read_image, read_checkpoint])
@pytest.mark.parametrize("write", [in_npy, in_npz, plain, in_checkpoint, in_old_checkpoint])
def test_a_pickle_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], read: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("gnn.ckpt" if read is read_checkpoint else "map.npy")
    write(path)
    with pytest.raises(InputError, match=rf"^{path}: not (a|an) (checkpoint|NPY)") as error:
        read(path)
    assert not BELL.exists()
    assert "\n" not in str(error.value)


def test_the_bell_rings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would see nothing."""
    monkeypatch.chdir(tmp_path)
    in_checkpoint(Path("gnn.ckpt"))
    torch.load("gnn.ckpt", weights_only=False)
    assert BELL.exists()


def test_a_damaged_weight_is_seen(tmp_path: Path) -> None:
    """Torch looks at no check sum: a flipped bit of a tensor would be read in silence."""
    from benchmarks.fuzz_readers import checkpoints
    from pipeline.training.registry import stored_in

    (content,) = checkpoints()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
        place = largest.header_offset + 128 + largest.file_size // 2
    assert stored_in(Path("a.ckpt"), content)["state_dict"]
    spoilt = content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :]
    torch.load(io.BytesIO(spoilt), weights_only=True)
    with pytest.raises(InputError, match=r"a\.ckpt: not a checkpoint"):
        stored_in(Path("a.ckpt"), spoilt)


# --- bombs ----------------------------------------------------------------------------------------


def zip_of(name: str, size: int, compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive, archive.open(name, "w", force_zip64=True) as member:
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    return buffer.getvalue()


def zip_1000(path: Path) -> str:
    path.with_suffix(".zip").write_bytes(zip_of("a/1.png", 310 << 20, zipfile.ZIP_DEFLATED))
    return "bomb.zip: a/1.png: larger than 300,000,000 bytes"


def zip_lzma(path: Path) -> str:
    """Zipfile would unpack all that a piece of it holds."""
    path.with_suffix(".zip").write_bytes(zip_of("a/1.png", 100 << 20, zipfile.ZIP_LZMA))
    return "bomb.zip: its member 'a/1.png' is packed in an unusual way"


def nested(path: Path) -> str:
    inner = zip_of("a/1.png", 1 << 20, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        archive.writestr("a/inner.zip", inner)
    return "bomb.zip: no picture in it"


def declared(path: Path) -> str:
    """A stored member that says to be larger than it is."""
    content = zip_of("a/1.png", 1 << 20, zipfile.ZIP_STORED)
    path.with_suffix(".zip").write_bytes(
        content.replace((1 << 20).to_bytes(4, "little"), (200 << 20).to_bytes(4, "little"))
    )
    return "bomb.zip"


def packed_zeros(path: Path, head: bytes, size: int) -> None:
    with gzip.open(path, "wb", compresslevel=6) as file:
        file.write(head)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))


def tar_member(path: Path) -> str:
    info = tarfile.TarInfo("a/readme.txt")
    info.size = 300 << 20
    packed_zeros(path.with_suffix(".tgz"), info.tobuf(), 300 << 20)
    return "bomb.tgz: an archive or file that cannot be read (it unpacks to more than 100,000,000 bytes)"


def tar_header(path: Path) -> str:
    """A name of many megabytes, which tarfile reads as a whole."""
    info = tarfile.TarInfo("a/readme.txt")
    info.size, info.type = 400 << 20, tarfile.GNUTYPE_LONGNAME
    packed_zeros(path.with_suffix(".tgz"), info.tobuf(), 400 << 20)
    return "bomb.tgz: an archive or file that cannot be read (a header of 419,430,400 bytes)"


@pytest.mark.slow
@pytest.mark.parametrize("write", [zip_1000, zip_lzma, nested, declared, tar_member, tar_header])
def test_a_bomb_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], str]
) -> None:
    monkeypatch.chdir(tmp_path)
    message = write(Path("bomb"))
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size < 2 << 20
    told = cost_of(f"from benchmarks.fuzz_readers import read_archive as read; read(Path({path.name!r}))")
    assert told.startswith(message), told


def weights_zip(path: Path) -> str:
    path.write_bytes(zip_of("weights.json", 400 << 20, zipfile.ZIP_DEFLATED))
    return "from benchmarks.fuzz_readers import read_weights_archive as read"


def npy_header(path: Path) -> str:
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000), }"
    path.write_bytes(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117) + b"\n" + bytes(100))
    return "from benchmarks.fuzz_readers import read_arrays as read"


def fits_header(path: Path) -> str:
    from astropy.io import fits

    header = fits.PrimaryHDU(np.zeros((1, 1))).header
    header["NAXIS1"] = header["NAXIS2"] = 20000
    path.write_bytes(bytes(header.tostring(), "ascii") + bytes(2880))
    return "from benchmarks.fuzz_readers import read_map as read"


def fits_count(path: Path) -> str:
    """Astropy would count to TFIELDS."""
    from benchmarks.fuzz_readers import fits_maps

    content = fits_maps()[2]
    path.write_bytes(content.replace(b"TFIELDS =                    1", b"TFIELDS =           4294967296"))
    return "from benchmarks.fuzz_readers import read_map as read"


def fits_packed(path: Path) -> str:
    """A header without an end."""
    packed_zeros(path, b"SIMPLE  =                    T".ljust(80), 600 << 20)
    return "from benchmarks.fuzz_readers import read_map as read"


def fits_order(path: Path) -> str:
    """A polynomial of the sky whose coefficients would fill the memory."""
    from benchmarks.fuzz_readers import fits_maps

    content = fits_maps()[0].replace(b"RA---TAN", b"RA---TAN-SIP"[:8])
    path.write_bytes(content.replace(b"EXPTIME =                 10.0", b"A_ORDER =                99999"))
    return "from benchmarks.fuzz_readers import read_map as read"


def parquet_rows(path: Path) -> str:
    pl.select(x=pl.repeat(0, 100_000_000, dtype=pl.Int8)).write_parquet(path)
    return "from benchmarks.fuzz_readers import read_stars as read"


def hdf5_rows(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset("data/1/keys", (1 << 40,), "u8", chunks=(1000,))
    return "from benchmarks.fuzz_readers import read_stars as read"


def thin_picture(path: Path) -> str:
    """Which borders would make a square of ten thousand million pixels."""
    row = zlib.compress(bytes(1 + 100_000), 9)
    chunks = [(b"IHDR", (100_000).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])), (b"IDAT", row)]
    whole = b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        for kind, body in (*chunks, (b"IEND", b""))
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + whole)
    return "from benchmarks.fuzz_readers import read_picture as read"


def yaml_aliases(path: Path) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    path.write_text("\n".join(lines))
    return "from benchmarks.fuzz_readers import read_params as read"


FILES = {
    weights_zip: "a packed archive",
    npy_header: "not an NPY array",
    fits_header: "unpacks to more",
    fits_count: "card TFIELDS is 4294967296",
    fits_packed: "unpacks to more",
    fits_order: "card A_ORDER is 99999",
    parquet_rows: "unpacks to more",
    hdf5_rows: "unpacks to more",
    thin_picture: "",
    yaml_aliases: "an alias",
}


@pytest.mark.slow
@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__name__)
def test_a_small_file_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path({"n": "a.npy", "f": "a.fits", "p": "a.parquet", "t": "a.png"}.get(write.__name__[0], "a.yaml"))
    importing = write(path)
    assert path.stat().st_size < 2 << 20
    told = cost_of(f"{importing}; read(Path({path.name!r}))")
    assert told.startswith(f"{path}: ") and FILES[write] in told, told


def cost_of(code: str) -> str:
    """What a reader says, in a process of its own whose memory stays small."""
    script = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from pipeline.errors import InputError
import numpy, PIL.Image, polars, h5py, astropy.io.fits, astropy.wcs, torch, torchvision, ruamel.yaml, pydantic
import pipeline.inputs.observation, pipeline.inputs.own_picture, pipeline.settings.load
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    {code}
except InputError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    *told, megabytes = done.stdout.strip().splitlines()
    assert int(megabytes) < MOST_MEGABYTES
    assert len(told) <= 1
    return told[0] if told else ""


# --- links, slips ---------------------------------------------------------------------------------


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


def test_a_pipe_among_pictures_does_not_block(tmp_path: Path) -> None:
    from pipeline.inputs.picture_sources import open_source

    os.mkfifo(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"1\.png: neither file nor folder"), open_source("lungs", tmp_path, None):
        pass


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_key_is_written_anywhere(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    monkeypatch.setenv("WANDB_MODE", "offline")
    edit_params(workspace, {"boltzmann.trainer.max_epochs": 1})
    run_stage("train", "boltzmann")
    run_stage("evaluate", "boltzmann")
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
