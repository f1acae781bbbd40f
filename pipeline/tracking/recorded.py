"""Whether all of a run was written to its file: where the disk is full, wandb goes on and says nothing."""

import struct
import time
from pathlib import Path

HEADER = 7  # bytes, of the file and of each chunk: checksum, length, kind
BLOCK = 32_768  # bytes; a chunk lies in one block, a record may need several
SECONDS_TO_WRITE = 5.0  # wandb.finish() may return before its process has written the end
LAST = (1, 4)  # kinds of chunks that end a record: the only one, the last one


def becomes_whole(file: Path) -> bool:
    """Whether all of a run that was just finished is written."""
    deadline = time.monotonic() + SECONDS_TO_WRITE
    while not is_whole(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_whole(file: Path) -> bool:
    """Whether the file of a run ends with the record of the run's end.

    The format is that of LevelDB's log (https://github.com/google/leveldb/blob/main/doc/log_format.md) of protocol
    buffers, after seven bytes of W&B's own.
    """
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    try:
        return Record.FromString(_last_record(file.read_bytes())).WhichOneof("record_type") == "exit"
    except (OSError, DecodeError):
        return False


def _last_record(content: bytes) -> bytes:
    place, record, parts = HEADER, b"", b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:  # no room for another chunk in this block
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in LAST:
            record, parts = parts, b""
    return b"" if parts or place > len(content) else record
