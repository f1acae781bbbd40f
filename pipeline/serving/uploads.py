"""What people drop: how large it may be, sent and unpacked, and the name that it gets here."""

import bz2
import gzip
import math
import re
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.inputs.arguments import MAPS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message

LARGEST = 64 * 2**20  # bytes of a file
FORM = 64 * 1024  # bytes of the form around it
NUMBERS = LARGEST  # that a file may unpack to: as many as one of the largest size holds at a byte each
BYTES = 8 * NUMBERS  # of these numbers, at the most
PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}  # by how it begins
LONGEST = 60  # letters of a name
FITS = (b"SIMPLE", *PACKED)  # how it begins, plain or packed
TOO_LARGE = f"the file is larger than {LARGEST >> 20} MB: cut it to the field, or ask python -m pipeline.predict on it"


class TooLargeError(InputError):
    """More was sent than is taken."""


def limited(request: "Request") -> "Request":
    """The same request, refused as soon as it is too large: by what its header says, or while it arrives.

    Raises:
        TooLargeError: the header says so.
    """
    from starlette.requests import Request

    if int(request.headers.get("content-length", 0)) > LARGEST + FORM:
        raise TooLargeError(TOO_LARGE)
    arrived = 0

    async def receive() -> "Message":
        nonlocal arrived
        message = await request.receive()
        arrived += len(message.get("body", b""))
        if arrived > LARGEST + FORM:
            raise TooLargeError(TOO_LARGE)
        return message

    return Request(request.scope, receive)


def own_name(given: str, suffixes: tuple[str, ...]) -> str:
    """A name for a file here: letters, digits, dots, - and _ of the name given, and its suffix if one of these."""
    last = PureWindowsPath(PurePosixPath(given).name).name
    known = [suffix for suffix in suffixes if last.lower().endswith(suffix)]
    suffix = max(known, key=len, default="")
    stem = last[: len(last) - len(suffix)]
    return (re.sub(r"[^\w.-]+", "_", stem).strip("._-")[:LONGEST] or "upload") + suffix


def check_unpacked(path: Path) -> None:
    """Refuse what would unpack to more than a plain file can hold, before anything reads it.

    Pictures have a limit of their own, see ``pipeline.inputs.pictures``.

    Raises:
        InputError: it would, or calls itself FITS and is packed in another way.
    """
    with path.open("rb") as file:
        start = file.read(8)
    if path.name.lower().endswith(MAPS) and path.suffix.lower() != ".npy":
        if not start.startswith(FITS):
            raise InputError(f"{path}: not a readable FITS file; give a FITS image")
        numbers = NUMBERS + 1 if unpacks_too_far(path, start) else fits_numbers(path)
    elif start.startswith(b"PAR1"):
        numbers = parquet_numbers(path)
    elif start == b"\x89HDF\r\n\x1a\n":
        numbers = hdf5_numbers(path)
    else:
        return
    if numbers > NUMBERS:
        raise InputError(f"{path}: unpacks to more than {NUMBERS:,} numbers; cut it to the field or to fewer systems")


def unpacks_too_far(path: Path, start: bytes) -> bool:
    """Whether a file that is packed as a whole has more bytes than any good one: a header without an end, say."""
    for magic, unpacked in PACKED.items():
        if start.startswith(magic):
            with unpacked(path) as file:
                try:
                    file.seek(BYTES)
                    return file.read(1) != b""
                except (OSError, EOFError, zlib.error):
                    return False  # the reader says what is wrong
    return False


def fits_numbers(path: Path) -> int:
    """Pixels of all images and bytes of all tables of a FITS file, by its headers, up to too many."""
    import warnings

    from astropy.io import fits

    numbers = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the reader then tells in its own words
        try:
            with fits.open(path, memmap=False) as hdus:
                for hdu in hdus:  # one after the other: to reach the next, all of this one is unpacked
                    numbers += math.prod(hdu.shape) if hdu.is_image and hdu.shape else int(hdu.size)
                    if numbers > NUMBERS:
                        break
        except Exception:  # on broken bytes astropy raises nearly anything; the reader refuses them
            return numbers
    return numbers


def parquet_numbers(path: Path) -> int:
    """Rows times columns of a Parquet file, by its footer, and the letters of its texts.

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
        if numbers <= NUMBERS and texts:  # a text that is stored once may stand in every row
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
    except (OSError, RuntimeError):
        return 0  # the reader says what is wrong
    return sum(sizes)
