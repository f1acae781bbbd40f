"""Names of uploads, and files that unpack to far more than they are."""

import bz2
import gzip
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from astropy.io import fits

from pipeline.errors import InputError
from pipeline.serving import uploads
from pipeline.serving.uploads import check_unpacked, own_name

SUFFIXES = (".fits", ".fits.gz", ".png", ".csv")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("m13.fits", "m13.fits"),
        ("M 13 (V).FITS.GZ", "M_13_V.fits.gz"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\a.png", "a.png"),
        ("/etc/cron.d/x.csv", "x.csv"),
        ("..", "upload"),
        (".fits", "upload.fits"),
        ("-rf.csv", "rf.csv"),
        ("a\0b\n.png", "a_b.png"),
        ("x\u202egnp.exe", "x_gnp.exe"),
        ("<img src=x onerror=alert(1)>.png", "img_src_x_onerror_alert_1.png"),
        ("Ω Cen.fits", "Ω_Cen.fits"),
        ("x" * 500 + ".png", "x" * 60 + ".png"),
    ],
)
def test_names_are_our_own(given: str, name: str) -> None:
    assert own_name(given, SUFFIXES) == name


def header(side: int) -> bytes:
    cards = fits.PrimaryHDU(np.zeros((1, 1))).header
    cards["NAXIS1"] = cards["NAXIS2"] = side
    return bytes(cards.tostring(), "ascii")


def fits_file(folder: Path, side: int, pack: str) -> Path:
    path = folder / f"map.fits{pack}"
    content = header(side) + bytes(2880)
    path.write_bytes({"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[pack](content))
    return path


@pytest.mark.parametrize("pack", ["", ".gz", ".bz2"])
def test_fits(tmp_path: Path, pack: str) -> None:
    with pytest.raises(InputError, match="unpacks to more than 67,108,864 numbers; cut it"):
        check_unpacked(fits_file(tmp_path, 8193, pack))
    check_unpacked(fits_file(tmp_path, 19, pack))


@pytest.mark.parametrize("pack", [gzip, bz2])
def test_a_header_without_an_end(tmp_path: Path, pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Astropy would read all of it."""
    content = header(1).replace(b"END", b"   ") + b" " * 10**6
    path = tmp_path / "map.fits.gz"
    path.write_bytes(pack.compress(content))
    monkeypatch.setattr(uploads, "BYTES", len(content))
    check_unpacked(path)
    monkeypatch.setattr(uploads, "BYTES", len(content) - 1)
    monkeypatch.setattr(fits, "open", None)
    with pytest.raises(InputError, match="unpacks to more"):
        check_unpacked(path)


def test_a_later_image_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [fits.PrimaryHDU(), *(fits.CompImageHDU(np.zeros((30, 30), "i2")) for _ in range(3))]
    fits.HDUList(images).writeto(tmp_path / "map.fits.fz")
    monkeypatch.setattr(uploads, "NUMBERS", 2700)
    check_unpacked(tmp_path / "map.fits.fz")
    monkeypatch.setattr(uploads, "NUMBERS", 2699)
    with pytest.raises(InputError, match="unpacks to more"):
        check_unpacked(tmp_path / "map.fits.fz")


def test_a_zip_is_no_fits(tmp_path: Path) -> None:
    """Astropy would unpack all of it onto the disk."""
    with zipfile.ZipFile(tmp_path / "map.fits", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("map.fits", bytes(10**6))
    with pytest.raises(InputError, match=r"map\.fits: not a readable FITS file; give a FITS image"):
        check_unpacked(tmp_path / "map.fits")


def test_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 10_000
    monkeypatch.setattr(uploads, "NUMBERS", 2 * rows)
    for name, length in (("more", rows + 1), ("most", rows)):
        pl.select(x=pl.repeat(0, length, dtype=pl.Int8), y=pl.repeat(0, length, dtype=pl.Int8)).write_parquet(
            tmp_path / f"{name}.parquet"
        )
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            for column in "xy":
                file.create_dataset(f"group/{column}", (length,), "f8", chunks=(1000,), compression="gzip")
    for suffix in ("parquet", "h5"):
        check_unpacked(tmp_path / f"most.{suffix}")
        with pytest.raises(InputError, match="to fewer systems"):
            check_unpacked(tmp_path / f"more.{suffix}")


def test_texts_count_their_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long one is stored once, however many rows have it."""
    pl.select(star=pl.repeat("x" * 1000, 100)).write_parquet(tmp_path / "names.parquet")
    assert (tmp_path / "names.parquet").stat().st_size < 3000
    monkeypatch.setattr(uploads, "NUMBERS", 100 * 1001)
    check_unpacked(tmp_path / "names.parquet")
    monkeypatch.setattr(uploads, "NUMBERS", 100 * 1001 - 1)
    with pytest.raises(InputError, match="unpacks to more"):
        check_unpacked(tmp_path / "names.parquet")


def test_lists_are_refused(tmp_path: Path) -> None:
    """The footer does not tell how long they are."""
    pl.DataFrame({"x": [[0.0] * 1000]}).write_parquet(tmp_path / "lists.parquet")
    with pytest.raises(InputError, match=r"lists\.parquet: fields that hold lists; give a table with one number"):
        check_unpacked(tmp_path / "lists.parquet")


@pytest.mark.parametrize("start", [b"PAR1", b"\x89HDF\r\n\x1a\n"])
def test_what_is_broken_is_left_to_the_readers(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "table.csv").write_bytes(start + b"junk")
    check_unpacked(tmp_path / "table.csv")
    (tmp_path / "map.fits").write_bytes(b"SIMPLE" + b"junk")
    check_unpacked(tmp_path / "map.fits")
