"""Tables that say what pictures show, and whom: CSV of people, of NIH ChestX-ray and of covid-chestxray-dataset."""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.errors import InputError
from pipeline.inputs.archives import File, readable_name

NAMES = {  # of columns, without case, spaces, hyphens and underscores
    "file": ("file", "filename", "path", "image", "imageindex", "imageid"),
    "label": ("label", "finding", "findinglabels", "diagnosis", "class"),
    "patient": ("patient", "patientid"),
    "licence": ("licence", "license"),
    "credit": ("credit",),
}


@dataclass(frozen=True)
class Table:
    """A table of text: its columns, and its rows by column."""

    name: str
    columns: list[str]
    rows: list[dict[str, str]]
    folder: str
    """Inside the source of its pictures."""

    @property
    def file(self) -> str:
        """Its name without folders and archive."""
        return PurePosixPath(self.name.rpartition(": ")[2]).name


def read_table(content: bytes, name: str, folder: str = "") -> Table:
    """Read a CSV with commas, semicolons or tabs, with or without a byte-order mark.

    Cells that a row lacks are empty.

    Raises:
        InputError: it is no text in UTF-8, or two columns have one name.
    """
    try:
        text = content.decode("utf-8-sig")
        header, *_ = text.splitlines() or [""]
        delimiter = max(",;\t", key=header.count)
        columns, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) or [[]]
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise InputError(f"{name}: not a table of text ({error}); save it as UTF-8 CSV") from error
    columns = [column.strip() for column in columns]
    doubled = [column for column, times in Counter(columns).items() if column and times > 1]
    if doubled:
        raise InputError(f"{name}: two columns are called {doubled[0]!r}; remove one")
    filled = [[cell.strip() for cell in row] + [""] * (len(columns) - len(row)) for row in rows if any(row)]
    return Table(name, columns, [dict(zip(columns, row, strict=False)) for row in filled], folder)


@dataclass(frozen=True)
class Description:
    """What a table says of one picture; empty where it says nothing."""

    label: str = ""
    patient: str = ""
    licence: str = ""
    credit: str = ""


def known_columns(table: Table) -> dict[str, str]:
    """Of ``NAMES``, those that a table has: to its own name of the column.

    Raises:
        InputError: two columns may be meant.
    """
    found: dict[str, str] = {}
    for column in table.columns:
        plain = re.sub(r"[\s_-]", "", column).casefold()
        for meaning, names in NAMES.items():
            if plain in names and found.setdefault(meaning, column) != column:
                raise InputError(
                    f"{table.name}: {found[meaning]!r} and {column!r} may both be the {meaning}; remove one"
                )
    return found


def describes_pictures(table: Table) -> bool:
    """Whether a table names files and their labels or patients."""
    columns = known_columns(table)
    return "file" in columns and ("label" in columns or "patient" in columns)


def descriptions(table: Table, files: Sequence[File]) -> dict[File, Description]:
    """What a table says of each of the files that it names, by path or by name alone, with or without suffix.

    Raises:
        InputError: a row may mean several files, two rows contradict each other, or no row fits a file.
    """
    columns = known_columns(table)
    by_name = defaultdict(list)
    for file in files:
        for name in {file.path.name, file.path.stem}:
            by_name[name].append(file)
    found: dict[File, Description] = {}
    for row in table.rows:
        named = PurePosixPath(readable_name(row[columns["file"]]).replace("\\", "/"))
        meant = [file for file in by_name[named.name] if _agree(_folders(file, table), named.parent.parts)]
        if len(meant) > 1:
            raise InputError(f"{table.name}: {named} may be {meant[0].path} or {meant[1].path}; write the folder too")
        said = Description(**{key: row[column] for key, column in columns.items() if key != "file"})
        for file in meant:
            if found.setdefault(file, said) != said:
                raise InputError(f"{table.name}: two rows of {named} contradict each other; remove one")
    if not found:
        raise InputError(
            f"{table.name}: none of its {len(table.rows)} files lies beside it; correct its column of files"
        )
    return found


def _folders(file: File, table: Table) -> tuple[str, ...]:
    """Of a picture, seen from its table."""
    path, folder = file.path.parent, table.folder
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).parts


def _agree(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two folders are one as far as both are told, from the end."""
    shared = min(len(one), len(other))
    return shared == 0 or one[-shared:] == other[-shared:]
