"""Where pictures come from: a folder, a .zip, or a manifest .csv of addresses and hashes."""

import csv
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.errors import InputError
from pipeline.inputs.pictures import SUFFIXES

COLUMNS = ("set", "label", "file", "url", "sha256", "bytes", "patient", "licence", "credit")  # of a manifest
MAX_BYTES = 300_000_000  # of one file
DOWNLOADS = 4  # at a time


@dataclass(frozen=True)
class Entry:
    """One file of a source: where it came from, what it shows, and whom."""

    name: str
    label: str
    stem: str
    patient: str
    content: bytes


def read_source(name: str, source: Path, downloads: Path) -> Iterator[Entry]:
    """The entries of a folder, a .zip or a manifest .csv.

    The label of a file is the folder it lies in, or the set's name where it lies in none.

    Raises:
        InputError: ``source`` is nothing of these.
    """
    if source.is_dir():
        yield from read_folder(name, source)
    elif source.suffix == ".zip" and source.is_file():
        yield from read_zip(name, source)
    elif source.suffix == ".csv" and source.is_file():
        yield from read_manifest(name, source, downloads)
    else:
        raise InputError(f"{source}: no such folder, .zip or .csv; correct images.{name}.source in params.yaml")


def _is_picture(path: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _check_size(name: str, size: int) -> None:
    if size > MAX_BYTES:
        raise InputError(f"{name}: larger than {MAX_BYTES:,} bytes; make it smaller or remove it")


def read_folder(name: str, source: Path) -> Iterator[Entry]:
    """Every picture below a folder."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if _is_picture(PurePosixPath(inside)) and path.is_file():
            _check_size(str(path), path.stat().st_size)
            yield Entry(str(path), inside.parent.name or name, path.stem, "", path.read_bytes())


def read_zip(name: str, source: Path) -> Iterator[Entry]:
    """Every picture of an archive, read without unpacking it: no member can land elsewhere."""
    try:
        with zipfile.ZipFile(source) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.filename):
                path = PurePosixPath(info.filename.replace("\\", "/"))
                if _is_picture(path) and not info.is_dir():
                    _check_size(f"{source}: {path}", info.file_size)
                    yield Entry(f"{source}: {path}", path.parent.name or name, path.stem, "", archive.read(info))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise InputError(
            f"{source}: an archive that cannot be read ({error}); make it anew, without password"
        ) from error


def read_manifest(name: str, source: Path, downloads: Path) -> Iterator[Entry]:
    """The rows of one set in a table of addresses, fetched and checked against their SHA-256.

    Raises:
        InputError: a column is missing, a row is wrong, or a picture cannot be had.
    """
    from concurrent.futures import ThreadPoolExecutor

    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
            rows = [row for row in table if row.get("set") == name]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{source}: not a table of text ({error}); save it as UTF-8 CSV") from error
    if missing:
        raise InputError(f"{source}: column {missing[0]} is missing; a manifest has {','.join(COLUMNS)}")
    if not rows:
        raise InputError(f"{source}: no row of set {name}; add some or choose another images.{name}.source")
    for number, row in enumerate(rows, 1):
        if None in row.values() or not re.fullmatch(r"[0-9a-f]{64}", row["sha256"]):
            raise InputError(f"{source}: row {number} of set {name} is cut or has no sha256; mend it")
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        paths = pool.map(lambda row: fetch(row, source, downloads), rows)
        for row, path in zip(rows, paths, strict=True):
            origin = f"{source}: {row['url']}"
            yield Entry(origin, row["label"], Path(row["file"]).stem, row["patient"], path.read_bytes())


def fetch(row: dict[str, str], source: Path, downloads: Path) -> Path:
    """Download one row's picture, unless an interrupted run has left it."""
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(pooch.retrieve(row["url"], f"sha256:{row['sha256']}", fname=row["sha256"], path=downloads))
    except (requests.RequestException, ValueError) as error:
        reason = str(error)[:200]
        raise InputError(
            f"{source}: {row['url']} cannot be had ({reason}); check the network and the row, or use a folder"
        ) from error
