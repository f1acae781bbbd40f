"""How large packed files are once they are read, told by their headers before anything is unpacked."""

import bz2
import gzip
import math
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import IO, Any

from pipeline.errors import InputError

PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}  # by how it begins
ALWAYS = 1 << 26  # numbers that any file may hold, half a gigabyte
RATIO = 100  # numbers to a byte of the file, beyond that; noise does not pack like this
CARD, BLOCK = 80, 2880  # bytes of FITS
BLOCKS = 1000  # of a header: 36 000 cards
WHOLE = re.compile(rb"(\w+) *= +(-?\d{1,20})\b")
MOST = dict.fromkeys(("NAXIS", "ZNAXIS", "TFIELDS"), 999) | dict.fromkeys(  # FITS 4.0, sec. 4.4.1 and 7.3.1
    ("WCSAXES", "A_ORDER", "B_ORDER", "AP_ORDER", "BP_ORDER"), 9
)


def check_unpacked(path: Path, kind: str) -> None:
    """Refuse a file that holds far more numbers than its size can.

    Args:
        path: the file.
        kind: ``fits``, ``parquet`` or ``hdf5``.

    Raises:
        InputError: it does.
    """
    if not path.is_file():
        return  # the reader says what is wrong
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
    """Pixels of all images and bytes of all tables of a FITS file, by its headers, up to more than ``most``.

    Raises:
        InputError: a card of its structure says what no file has, which astropy would count to; or a header has no end.
    """
    with path.open("rb") as file:
        start = file.read(3)
    opened = next((unpacked for magic, unpacked in PACKED.items() if start.startswith(magic)), open)
    numbers = 0
    try:
        with opened(path, "rb") as file:
            while numbers <= most and (cards := _structure(path, file)):
                sides = [cards.get(f"NAXIS{axis + 1}", 0) for axis in range(cards.get("NAXIS", 0))]
                pixels = math.prod(sides) if sides else 0
                size = abs(cards.get("BITPIX", 8)) // 8 * cards.get("GCOUNT", 1) * (cards.get("PCOUNT", 0) + pixels)
                seen = [cards.get(f"ZNAXIS{axis + 1}", 0) for axis in range(cards.get("ZNAXIS", 0))]
                numbers += math.prod(seen) if seen else pixels
                if min(size, numbers) < 0:
                    raise InputError(f"{path}: a header that tells of less than nothing; mend it")
                if numbers <= most:  # to reach the next header, all of this one's data are unpacked
                    file.seek(-(-size // BLOCK) * BLOCK, 1)
    except InputError:
        raise
    except (OSError, EOFError, zlib.error, ValueError, OverflowError):
        pass  # the reader says what is wrong
    return numbers


def _structure(path: Path, file: IO[bytes]) -> dict[str, int]:
    """The whole numbers of the next header of a FITS file, by card; empty where there is no header any more."""
    cards: dict[str, int] = {}
    for _ in range(BLOCKS):
        block = file.read(BLOCK)
        for card in (block[at : at + CARD] for at in range(0, len(block), CARD)):
            if card.rstrip() == b"END":
                return cards or {"NAXIS": 0}
            if found := WHOLE.match(card):
                name, value = found[1].decode(), int(found[2])
                if value > MOST.get(name, value):
                    raise InputError(f"{path}: card {name} is {value}, which no image has; mend the header")
                cards[name] = value
        if len(block) < BLOCK:
            return {}
    raise InputError(f"{path}: a header without an end; give a FITS image")


def parquet_numbers(path: Path, most: int) -> int:
    """Rows times columns of a Parquet file, by its footer, and, if these are not too many, the letters of its texts.

    Raises:
        InputError: fields hold lists, whose lengths the footer does not tell, or pages are broken.
    """
    import polars as pl

    try:
        table = pl.scan_parquet(path)
        columns = table.collect_schema()
        if any(kind.is_nested() for kind in columns.dtypes()):
            raise InputError(f"{path}: fields that hold lists; give a table with one number in each field")
        numbers = int(table.select(pl.len()).collect().item()) * len(columns)
        texts = [name for name, kind in columns.items() if kind == pl.String]
        if numbers <= most:
            _read_elsewhere(path)
        if numbers <= most and texts:  # a text that is stored once may stand in every row
            numbers += table.select(pl.sum_horizontal(pl.col(texts).str.len_bytes().sum())).collect().item()
        return numbers
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return 0  # the reader says what is wrong


def _read_elsewhere(path: Path) -> None:
    """Let another process read a Parquet file: where a page is longer than any memory, polars ends the process."""
    command = (sys.executable, "-c", "import polars, sys; polars.read_parquet(sys.argv[1])", path)
    if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode < 0:
        raise InputError(f"{path}: a Parquet file with a broken page; save it again")


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
