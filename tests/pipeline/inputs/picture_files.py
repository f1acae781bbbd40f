"""Folders, archives and tables of small pictures, and what is read of them."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.inputs.picture_sources import Source, open_source

SEEDS = iter(range(10**6))


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(next(SEEDS)).integers(0, 256, (8, 8), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def fill(*names: str, source: str = "source") -> Path:
    for name in names:
        path = Path(source, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png())
    return Path(source)


def read(source: Path | str, pattern: str | None = None, name: str = "lungs") -> tuple[Source, list[tuple[str, str]]]:
    """The source, and label/stem and patient of its entries, in order."""
    with open_source(name, Path(source), pattern) as found:
        entries = [(f"{entry.label}/{entry.stem}", entry.patient) for entry in found.entries if entry.read()]
    assert len(entries) == found.total
    return found, sorted(entries)


def names(source: Path | str) -> list[str]:
    return [name for name, _ in read(source)[1]]


def skipped(found: Source) -> dict[str, str]:
    return {item.file: item.reason for item in found.skipped}


def zipped(members: dict[str, bytes], path: str = "pictures.zip") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return Path(path)


def tarred(source: Path, path: str, prefix: str = "") -> Path:
    with tarfile.open(path, "w:gz" if path.endswith("gz") else "w") as archive:
        archive.add(source, prefix or ".")
    return Path(path)


def table(text: str, path: str = "source/table.csv", encoding: str = "utf-8") -> Path:
    Path(path).write_bytes(text.encode(encoding))
    return Path(path)
