"""What people drop: how large it may be, sent and unpacked, and the name that it gets here."""

import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.inputs.arguments import MAPS
from pipeline.inputs.unpacked import PACKED, fits_numbers, hdf5_numbers, parquet_numbers, unpacks_too_far

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message

LARGEST = 64 * 2**20  # bytes of a file
FORM = 64 * 1024  # bytes of the form around it
NUMBERS = LARGEST  # that a file may unpack to: as many as one of the largest size holds at a byte each
BYTES = 8 * NUMBERS  # of these numbers, at the most
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
        numbers = NUMBERS + 1 if unpacks_too_far(path, start, BYTES) else fits_numbers(path, NUMBERS)
    elif start.startswith(b"PAR1"):
        numbers = parquet_numbers(path, NUMBERS)
    elif start == b"\x89HDF\r\n\x1a\n":
        numbers = hdf5_numbers(path)
    else:
        return
    if numbers > NUMBERS:
        raise InputError(f"{path}: unpacks to more than {NUMBERS:,} numbers; cut it to the field or to fewer systems")
