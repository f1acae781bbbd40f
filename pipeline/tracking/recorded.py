"""Reads the file of a run. Where the disk is full, wandb goes on and says nothing: the file's end is then missing."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

HEADER = 7  # bytes, of the file and of each chunk: checksum, length, kind
BLOCK = 32_768  # bytes; a chunk lies in one block, a record may need several
LAST = (1, 4)  # kinds of chunks that end a record: the only one, the last one
SECONDS_TO_WRITE = 15.0  # wandb.finish() may return before its process has written the end


def becomes_whole(file: Path) -> bool:
    """Whether all of a run that was just finished is written."""
    deadline = time.monotonic() + SECONDS_TO_WRITE
    while not is_whole(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_whole(file: Path) -> bool:
    """Whether the file of a run ends with the record of the run's end."""
    kind = None
    for record in records(file):
        kind = record.WhichOneof("record_type")
    return kind == "exit"


def next_step(folder: Path, run_id: str) -> int:
    """The step of W&B at which a run goes on whose parts so far lie in the folder; 0 of a new one."""
    parts = folder.glob(f"offline-run-*-{run_id}*/run-{run_id}.wandb")  # W&B numbers those of one second: -1, -2
    steps = [record.history.step.num for part in parts for record in records(part) if record.HasField("history")]
    return max(steps, default=-1) + 1


def records(file: Path) -> "Iterator[Record]":
    """The records of a run, as far as they are whole: those before the first that a full disk or a crash has damaged.

    The format is that of LevelDB's log (https://github.com/google/leveldb/blob/main/doc/log_format.md) of protocol
    buffers, after seven bytes of W&B's own.
    """
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    content = file.read_bytes() if file.is_file() else b""
    place, parts = HEADER, b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:  # no room for another chunk in this block
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        place += HEADER + length
        if place > len(content):
            return
        parts += content[place - length : place]
        if kind in LAST:
            try:
                record = Record.FromString(parts)
            except DecodeError:
                return
            yield record
            parts = b""
