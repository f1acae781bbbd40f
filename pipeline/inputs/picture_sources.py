"""Where pictures come from: a folder, an archive, a table of files and labels, or a manifest of addresses."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.errors import InputError
from pipeline.inputs.archives import ARCHIVES, File, is_archive, named_files, open_files, read_file
from pipeline.inputs.layouts import Skipped, folder_labels, sort_out, stem_of, unique_stems
from pipeline.inputs.manifests import fetch, is_manifest, rows_of
from pipeline.inputs.metadata import Description, Table, describes_pictures, descriptions, known_columns, read_table
from pipeline.inputs.pictures import SUFFIXES

KNOWN_PATIENTS = (r"^(\d{8})_\d{3}$",)  # of files' names: NIH ChestX-ray


@dataclass(frozen=True)
class Entry:
    """One picture of a source: where it came from, what it shows, and whom."""

    name: str
    """For messages."""
    label: str
    stem: str
    """Its name below the label."""
    patient: str
    """Empty where nobody knows."""
    credit: str
    licence: str
    read: Callable[[], bytes]


@dataclass
class Source:
    """All pictures of a source, and what was left out."""

    entries: Iterator[Entry]
    total: int
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@contextmanager
def open_source(name: str, source: Path, pattern: str | None) -> Iterator[Source]:
    """The pictures of a folder, an archive, a table of metadata or a manifest.

    Args:
        name: of the set.
        source: its place.
        pattern: regular expression of the patient in a file's name; None: known patterns.

    Raises:
        InputError: ``source`` is nothing of these, or wrong.
    """
    if source.is_dir() or is_archive(source):
        with open_files(source) as files:
            yield _of_files(name, source, files, pattern, table=None)
    elif source.suffix.lower() == ".csv" and source.is_file():
        table = read_table(read_file(source), str(source))
        if is_manifest(table):
            yield _of_manifest(name, table, pattern)
        elif describes_pictures(table):
            yield _of_files(name, source.parent, _beside(source, table), pattern, table)
        else:
            raise InputError(
                f"{source}: columns file and label are missing; a table of pictures has file,label,patient"
            )
    else:
        kinds = ", ".join(ARCHIVES)
        raise InputError(f"{source}: no such folder, archive ({kinds}) or .csv; correct images.{name}.source")


def _of_files(name: str, source: Path, files: list[File], pattern: str | None, table: Table | None) -> Source:
    pictures, tables, skipped = sort_out(files)
    if not pictures and table:
        raise InputError(f"{table.name}: no picture that it names lies beside it; correct its column of files")
    if not pictures:
        kinds = ", ".join(SUFFIXES)
        raise InputError(f"{source}: no picture in it ({kinds}); set images.{name}.source to a filled one")
    table = table or _table_among(source, tables)
    unused = [file for file in tables if table is None or file.name != table.name]
    skipped += [Skipped(str(file.path), "a table that is not needed") for file in unused]
    said = descriptions(table, pictures) if table else {}
    if table and "label" in known_columns(table):
        reasons = {file: "no label" if file in said else "not" for file in pictures if not _label(said.get(file))}
        skipped += [Skipped(str(file.path), f"{reason} in {table.file}") for file, reason in reasons.items()]
        pictures = [file for file in pictures if file not in reasons]
        told = [(_label(said[file]), "") for file in pictures]
    else:
        told = folder_labels(name, [file.path for file in pictures], archive=source.is_file())
    found = Source(iter(()), len(pictures), skipped)
    if table and (unread := _without_labels(table)):
        found.warnings.append(unread)
    if table and len(said) < len(table.rows):
        found.warnings.append(f"{table.file}: {len(table.rows)} rows, {len(said)} of them with a picture here")
    stems = unique_stems([label for label, _ in told], [file.path for file in pictures])
    named = _patients(name, [stem_of(file.path) for file in pictures], pattern, found.warnings)
    found.entries = (
        _entry(file, label, stem, said.get(file, Description()), patient or folder)
        for file, (label, folder), stem, patient in zip(pictures, told, stems, named, strict=True)
    )
    return found


def _beside(source: Path, table: Table) -> list[File]:
    """The files that a table names by their paths from its folder, if all are there; else all files of the folder."""
    column = known_columns(table)["file"]
    names = {row[column] for row in table.rows}
    named = named_files(source.parent, sorted(names))
    if len(named) == len(names) or source.parent.resolve() == Path.cwd():  # which holds the whole project
        return named
    with open_files(source.parent) as files:
        return files


def _without_labels(table: Table) -> str:
    """A warning where the labels may stand in a column of a name that nobody knows; empty where they do not."""
    known = known_columns(table)
    others = ", ".join(column for column in table.columns if column and column not in known.values())
    if "label" in known or not others:
        return ""
    return f"{table.file}: no column label, so folders are the labels; its columns {others} are not read"


def _label(said: Description | None) -> str:
    """As the name of a folder."""
    return re.sub(r"[/\\]", "-", said.label).replace("|", "+") if said else ""


def _entry(file: File, label: str, stem: str, said: Description, patient: str) -> Entry:
    return Entry(file.name, label, stem, said.patient or patient, said.credit, said.licence, file.read)


def _table_among(source: Path, files: list[File]) -> Table | None:
    """The one table of metadata in a source, if there is one."""
    tables = [read_table(file.read(), file.name, str(file.path.parent)) for file in files]
    good = [table for table in tables if describes_pictures(table)]
    if len(good) > 1:
        raise InputError(f"{source}: {good[0].name} and {good[1].name} both describe pictures; remove one")
    return good[0] if good else None


def _patients(name: str, stems: list[str], pattern: str | None, warnings: list[str]) -> list[str]:
    """The patient that each file's name tells, or nothing.

    Raises:
        InputError: the user's own pattern fits no name.
    """
    patterns = KNOWN_PATIENTS if pattern is None else (pattern,)
    found = [next((match[1] for p in patterns if (match := re.search(p, stem))), "") or "" for stem in stems]
    if pattern is not None and stems and not any(found):
        raise InputError(f"images.{name}.patient: {pattern!r} fits no name, such as {stems[0]!r}; correct it")
    if pattern is not None and not all(found):
        example = stems[found.index("")]
        warnings.append(
            f"images.{name}.patient fits {len(found) - found.count('')} of {len(found)} names, not {example}"
        )
    return found


def _of_manifest(name: str, table: Table, pattern: str | None) -> Source:
    rows = rows_of(table, name)
    stems = [stem_of(PurePosixPath(row["file"])) for row in rows]
    found = Source(iter(()), len(rows))
    patients = _patients(name, stems, pattern, found.warnings)
    found.entries = (
        Entry(row["url"], row["label"], stem, row["patient"] or patient, row["credit"], row["licence"], path.read_bytes)
        for row, path, stem, patient in zip(rows, fetch(table, rows), stems, patients, strict=True)
    )
    return found
