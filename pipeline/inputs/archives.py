"""The files of a folder, a zip or a tar, by one interface; archives are read without unpacking them."""

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pipeline.errors import InputError

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ARCHIVES = (".zip", *TARS)
MAX_BYTES = 300_000_000  # of one file
RATIO = 200  # bytes that a byte of a packed tar may unpack to: pictures pack far less
ALWAYS = 100_000_000  # bytes that any tar may unpack to
PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # kinds that zipfile unpacks no further than it is asked
TAR_PACKED: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    IndexError,
)


@dataclass(frozen=True)
class File:
    """One file of a source."""

    path: PurePosixPath
    """Inside the source, as text that can be written anywhere."""
    name: str
    """With the source, for messages."""
    size: int
    open: Callable[[], IO[bytes]]

    def read(self) -> bytes:
        """All of it.

        Raises:
            InputError: it is too large, or the archive is broken.
        """
        if self.size > MAX_BYTES:
            raise InputError(f"{self.name}: larger than {MAX_BYTES:,} bytes; make it smaller or remove it")
        return self.head(self.size)

    def head(self, n: int) -> bytes:
        """Its first n bytes, or all where there are fewer."""
        with _readable(self.name), self.open() as stream:
            return stream.read(n)


def is_archive(source: Path) -> bool:
    """Whether a file's name is that of an archive that is read."""
    return source.name.lower().endswith(ARCHIVES) and source.is_file()


@contextmanager
def open_files(source: Path) -> Iterator[list[File]]:
    """The files of a folder or an archive, in the order in which they are best read.

    Raises:
        InputError: the archive is broken, or a member is a link or would lie outside.
    """
    if source.is_dir():
        yield sorted(_folder(source), key=lambda file: file.path)
    elif source.suffix.lower() == ".zip":
        with _readable(source):
            archive = zipfile.ZipFile(source)
            files = sorted(_zip(source, archive), key=lambda file: file.path)
        with archive:
            yield files
    else:
        with _readable(source):
            stream = _unpacked(source)
        with stream:
            with _readable(source):
                tape = tarfile.open(fileobj=stream, mode="r:")
                files = list(_tar(source, tape))
            yield files


class _Bounded(io.RawIOBase):
    """A tar as a stream that refuses to be read or skipped too far: ``tarfile`` believes what headers say."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self.stream, self.most = stream, most

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MAX_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        self._check(self.stream.tell() + size)
        return self.stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check(offset)
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        return self.stream.tell()

    def close(self) -> None:
        self.stream.close()
        super().close()

    def _check(self, end: int) -> None:
        if end > self.most:
            raise tarfile.ReadError(f"it unpacks to more than {self.most:,} bytes")


def _unpacked(source: Path) -> _Bounded:
    """A tar, however it is packed."""
    size = source.stat().st_size
    with source.open("rb") as file:
        start = file.read(6)
    for magic, unpacked in TAR_PACKED.items():
        if start.startswith(magic):
            return _Bounded(unpacked(source), max(ALWAYS, RATIO * size))
    return _Bounded(source.open("rb"), size + MAX_BYTES)  # what is cut is seen as such


@contextmanager
def _readable(source: Path | str) -> Iterator[None]:
    try:
        yield
    except (PermissionError, InputError):
        raise
    except BROKEN as error:
        raise InputError(f"{source}: an archive or file that cannot be read ({error}); make it anew") from error


def _folder(source: Path) -> Iterator[File]:
    """Also behind symbolic links, each folder once on a way down."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); change its permissions or remove it")

    for folder, children, names in os.walk(source, onerror=refuse, followlinks=True):
        here = os.path.realpath(folder)
        children[:] = [
            child for child in children if not f"{here}/".startswith(f"{os.path.realpath(f'{folder}/{child}')}/")
        ]
        for name in names:
            yield _on_disk(source, Path(folder, name))


def named_files(folder: Path, names: Iterable[str]) -> list[File]:
    """Those of the named files that are there."""
    return [_on_disk(folder, folder / name) for name in names if (folder / name).is_file()]


def _on_disk(source: Path, path: Path) -> File:
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: neither file nor folder; remove it")
    size = path.stat().st_size if path.exists() else 0
    inside = path.relative_to(source) if path.is_relative_to(source) else path.relative_to(path.anchor)
    return File(PurePosixPath(readable_name(str(inside))), readable_name(str(path)), size, lambda: path.open("rb"))


def _zip(source: Path, archive: zipfile.ZipFile) -> Iterator[File]:
    for info in archive.infolist():
        path = _inside(source, _zip_name(info), link=stat.S_ISLNK(info.external_attr >> 16))
        if info.compress_type not in PLAIN:
            raise InputError(
                f"{source}: its member {info.filename!r} is packed in an unusual way; pack it as plain zip"
            )
        if not info.is_dir():
            yield File(path, f"{source}: {path}", info.file_size, partial(archive.open, info))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Many programs write UTF-8 without the flag that says so; zipfile then reads it as code page 437."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _tar(source: Path, archive: tarfile.TarFile) -> Iterator[File]:
    for member in archive.getmembers():
        path = _inside(source, member.name, link=member.issym() or member.islnk())
        if member.isfile():
            yield File(path, f"{source}: {path}", member.size, partial(_extracted, archive, member))
    archive.fileobj.seek(archive.offset)  # type: ignore[union-attr]
    if not archive.fileobj.read(1):  # type: ignore[union-attr]
        raise EOFError("it ends too early")  # between two members, where tarfile does not mind


def _extracted(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(member)
    if stream is None:
        raise tarfile.ReadError(f"{member.name} is no file")
    return stream


def _inside(source: Path, name: str, *, link: bool) -> PurePosixPath:
    path = PurePosixPath(readable_name(name).replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", str(path)):
        raise InputError(f"{source}: its member {name!r} lies outside of it; make the archive anew")
    if link:
        raise InputError(f"{source}: its member {name!r} is a link; make the archive anew with the file itself")
    return path


def read_file(path: Path, most: int = MAX_BYTES) -> bytes:
    """All of a file of the user's.

    Raises:
        InputError: it cannot be read, is too large, or is no file, which might never end.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: no file; give one")
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give another") from error
    if len(content) > most:
        raise InputError(f"{path}: larger than {most:,} bytes; make it smaller")
    return content


def readable_name(name: str) -> str:
    """A file's name as composed text; bytes that are not UTF-8 are taken for Latin-1."""
    try:
        name.encode()
    except UnicodeEncodeError:
        name = os.fsencode(name).decode("latin-1")
    return unicodedata.normalize("NFC", name)
