"""How large packed files are once they are read, told by their headers before anything is unpacked."""

import bz2
import gzip
import math
import zlib
from pathlib import Path
from typing import Any

from pipeline.errors import InputError

PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}  # by how it begins
ALWAYS = 1 << 26  # numbers that any file may hold, half a gigabyte
RATIO = 100  # numbers to a byte of the file, beyond that; noise does not pack like this


def check_unpacked(path: Path, kind: str) -> None:
    """Refuse a file that holds far more numbers than its size can.

    Args:
        path: the file.
        kind: ``fits``, ``parquet`` or ``hdf5``.

    Raises:
        InputError: it does.
    """
    most = max(ALWAYS, RATIO * path.stat().st_size)
    with path.open("rb") as file:
        start = file.read(8)
    if unpacks_too_far(path, start, 8 * most):
        numbers = most + 1
    elif kind == "fits":
        numbers = fits_numbers(path, most)
    else:
        numbers = parquet_numbers(path, most) if kind == "parquet" else hdf5_numbers(path)
    if numbers > most:
        raise InputError(f"{path}: a small file that unpacks to more than {most:,} numbers; save it again")


def unpacks_too_far(path: Path, start: bytes, most: int) -> bool:
    """Whether a file that is packed as a whole has more bytes than any good one: a header without an end, say."""
    for magic, unpacked in PACKED.items():
        if start.startswith(magic):
            with unpacked(path) as file:
                try:
                    file.seek(most)
                    return file.read(1) != b""
                except (OSError, EOFError, zlib.error):
                    return False  # the reader says what is wrong
    return False


def fits_numbers(path: Path, most: int) -> int:
    """Pixels of all images and bytes of all tables of a FITS file, by its headers, up to more than ``most``."""
    import warnings

    from astropy.io import fits

    numbers = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the reader then tells in its own words
        try:
            with fits.open(path, memmap=False) as hdus:
                for hdu in hdus:  # one after the other: to reach the next, all of this one is unpacked
                    numbers += math.prod(hdu.shape) if hdu.is_image and hdu.shape else int(hdu.size)
                    if numbers > most:
                        break
        except Exception:  # on broken bytes astropy raises nearly anything; the reader refuses them
            return numbers
    return numbers


def parquet_numbers(path: Path, most: int) -> int:
    """Rows times columns of a Parquet file, by its footer, and, if these are not too many, the letters of its texts.

    Raises:
        InputError: fields hold lists, whose lengths the footer does not tell.
    """
    import polars as pl

    try:
        table = pl.scan_parquet(path)
        columns = table.collect_schema()
        if any(kind.is_nested() for kind in columns.dtypes()):
            raise InputError(f"{path}: fields that hold lists; give a table with one number in each field")
        numbers = int(table.select(pl.len()).collect().item()) * len(columns)
        texts = [name for name, kind in columns.items() if kind == pl.String]
        if numbers <= most and texts:  # a text that is stored once may stand in every row
            numbers += table.select(pl.sum_horizontal(pl.col(texts).str.len_bytes().sum())).collect().item()
        return numbers
    except pl.exceptions.PolarsError:
        return 0  # the reader says what is wrong


def hdf5_numbers(path: Path) -> int:
    """Numbers in all datasets of an HDF5 file, by their shapes."""
    import h5py

    sizes: list[int] = []
    try:
        with h5py.File(path, "r") as file:
            file.visititems(lambda _, each: sizes.append(each.size) if isinstance(each, h5py.Dataset) else None)
    except Exception:  # on broken bytes h5py raises nearly anything; the reader refuses them
        return 0
    return sum(sizes)
