"""Small files that would fill the memory: refused in one line, before they are read."""

import gzip
import io
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from conftest import ROOT

MOST_MEGABYTES = 300  # that a bomb may cost

pytestmark = pytest.mark.slow


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
    from benchmarks.fuzz_seeds import fits_maps

    content = fits_maps()[2]
    path.write_bytes(content.replace(b"TFIELDS =                    1", b"TFIELDS =           4294967296"))
    return "from benchmarks.fuzz_readers import read_map as read"


def fits_packed(path: Path) -> str:
    """A header without an end."""
    packed_zeros(path, b"SIMPLE  =                    T".ljust(80), 600 << 20)
    return "from benchmarks.fuzz_readers import read_map as read"


def fits_order(path: Path) -> str:
    """A polynomial of the sky whose coefficients would fill the memory."""
    from benchmarks.fuzz_seeds import fits_maps

    content = fits_maps()[0]
    path.write_bytes(content.replace(b"EXPTIME =                 10.0", b"A_ORDER =                99999"))
    return "from benchmarks.fuzz_readers import read_map as read"


def fits_backwards(path: Path) -> str:
    """Less than nothing between two headers: the first would be read for ever."""
    from astropy.io import fits

    header = fits.PrimaryHDU().header
    header["PCOUNT"] = -2880
    path.write_bytes(bytes(header.tostring(), "ascii"))
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
    fits_backwards: "less than nothing",
    parquet_rows: "unpacks to more",
    hdf5_rows: "unpacks to more",
    thin_picture: "",
    yaml_aliases: "an alias",
}


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
