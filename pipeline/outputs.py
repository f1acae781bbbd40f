"""Outputs that appear whole or not at all: written beside their place, then renamed."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from pipeline.errors import InputError, file_of, trouble


def fingerprint(parameters: str, places: Iterable[Path]) -> str:
    """Hash of parameters, files and whole folders: names a scratch folder that only the same work may use."""
    digest = hashlib.sha256(parameters.encode())
    for place in places:
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(os.fsencode(file.name))
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def _parent(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path.parent}: cannot make this folder ({error.strerror}); choose a place you may write to"
        ) from error
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path.parent}: this folder is not writable; change its permissions or choose another")
    return path.parent.absolute()  # worker processes may have another current folder


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path (same suffix) that becomes ``path`` when the block ends well.

    Raises:
        InputError: the folder of ``path`` cannot be made or written to, or the disk is full.
    """
    folder = _parent(path)
    _remove_leftovers(folder, f".{path.stem}.", path.suffix)
    temporary = folder / f".{path.stem}.{os.getpid()}{path.suffix}"
    try:
        with _named(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder that replaces ``path`` when the block ends well.

    Raises:
        InputError: the parent of ``path`` cannot be made or written to, or the disk is full.
    """
    folder = _parent(path)
    _remove_leftovers(folder, f".{path.name}.", "")
    temporary = folder / f".{path.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)  # of a process of the same number
    try:
        with _named(path):
            temporary.mkdir()
            yield temporary
            shutil.rmtree(path, ignore_errors=True)
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def reserve(path: Path, size: int) -> None:
    """Take the room on disk of a file of ``size`` bytes that memory maps will fill.

    Without it the file has holes, and on a full disk a write into one ends the process by SIGBUS, without a word.

    Raises:
        OSError: the disk is full.
    """
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, so that none of its bytes are lost if this process is killed now; or copy it."""
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the output in an error of the disk: a failed write does not say of which file."""
    try:
        yield
    except Exception as error:
        if isinstance(error, InputError) or (said := trouble(error)) is None:
            raise
        raise InputError(f"{file_of(error) or path}: {said}") from error


def _remove_leftovers(folder: Path, start: str, end: str) -> None:
    """Remove what processes that were killed have left of one output: names of start, process and end."""
    for name in _hidden(folder):
        process = name.removeprefix(start).removesuffix(end)
        if name == f"{start}{process}{end}" and process.isdecimal() and not _runs(int(process)):
            if (folder / name).is_dir():
                shutil.rmtree(folder / name, ignore_errors=True)
            else:
                (folder / name).unlink(missing_ok=True)


@cache
def _hidden(folder: Path) -> list[str]:
    """Names that begin with a dot; looked up once, for this process leaves none behind."""
    return [entry.name for entry in os.scandir(folder) if entry.name.startswith(".")]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True
