"""What `pipeline.predict` writes: answers that never replace one another, and their summary."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, readable
from pipeline.outputs import atomic_file

if TYPE_CHECKING:
    from pipeline.evaluation.common.result import Result

SECONDS = 30.0  # between two writes of a summary
QUESTION = ("input", "family", "options", "models")  # what of the provenance tells one question from another


# --- names --------------------------------------------------------------------------------------


def answer_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A name under --out for each input, no two alike: its stem, below as many folders as tell it from the others.

    Two in one folder keep the suffix by which they differ.
    """
    inputs = {Path(os.path.abspath(path)): path for path in paths}  # a file given twice is answered once
    longer = {path: [*tails(path.with_suffix("")), *tails(path)] for path in inputs}
    names = {path: candidates.pop(0) for path, candidates in longer.items()}
    while doubled := _doubled(names):
        names |= {path: longer[path].pop(0) for path in doubled if longer[path]}
    return {inputs[path]: name for path, name in names.items()}


def _doubled(names: Mapping[Path, str]) -> list[Path]:
    owners: dict[str, list[Path]] = {}
    for path, name in names.items():
        owners.setdefault(name, []).append(path)
    return [path for alike in owners.values() if len(alike) > 1 for path in alike]


def tails(path: Path) -> list[str]:
    """The last part of an absolute path, the last two, ..., all."""
    parts = path.parts[1:]
    return ["/".join(parts[-length:]) for length in range(1, len(parts) + 1)]


def free_place(start: Path, provenance: Mapping[str, Any]) -> Path:
    """``start``, or ``start-2``, ``start-3``, ... where an earlier run has left an answer to another question.

    The same input asked again of the same weights with the same options is the same question: its answer is replaced.
    """
    place, number = start, 1
    while Path(f"{place}.json").exists() and _question_of(Path(f"{place}.json")) != _question(provenance):
        number += 1
        place = start.with_name(f"{start.name}-{number}")
    return place


def _question_of(answer: Path) -> Any:
    try:
        return _question(json.loads(answer.read_text("utf-8"))["provenance"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # of an older version, or no answer at all


def _question(provenance: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps({name: provenance.get(name) for name in QUESTION}))


# --- files --------------------------------------------------------------------------------------


def write(result: "Result", start: Path, source: Path) -> Path:
    """Write an answer's JSON, pictures, FITS maps and tables, each named after ``start``; the path of the first.

    Args:
        result: of ``pipeline.predict.predict``.
        start: of the names; numbered where an earlier answer lies, see :func:`free_place`.
        source: the input, whose name may stand in a figure.
    """
    from pipeline.evaluation.common.result import write_animation, write_json

    start = free_place(start, result.metrics["provenance"])
    for picture in result.pictures:
        take_literally(picture.figure, source)
        with atomic_file(Path(f"{start}_{picture.name}.png")) as temporary:
            picture.figure.savefig(temporary)
    for animation in result.animations:
        with atomic_file(Path(f"{start}_{animation.name}.webp")) as temporary:
            write_animation(animation, temporary)
    for name, hdus in result.hdus.items():
        with atomic_file(Path(f"{start}_{name}.fits")) as temporary:
            hdus.writeto(temporary)
    for name, table in result.tables.items():
        write_table(table, Path(f"{start}_{name}"))
    path = Path(f"{start}.json")
    with atomic_file(path) as temporary:
        captions = {readable(f"{start.name}_{picture.name}.png"): picture.caption for picture in result.pictures}
        captions |= {readable(f"{start.name}_{film.name}.webp"): film.caption for film in result.animations}
        write_json({**result.metrics, "pictures": captions}, temporary)
    return path


def write_table(table: Any, place: Path) -> None:
    """A polars table as CSV, one of astropy, which has units, as ECSV, which keeps them."""
    if hasattr(table, "write_csv"):
        with atomic_file(Path(f"{place}.csv")) as temporary:
            table.write_csv(temporary)
    else:
        with atomic_file(Path(f"{place}.ecsv")) as temporary:
            table.write(temporary, format="ascii.ecsv", overwrite=True)


def take_literally(figure: Any, source: Path) -> None:
    """A file's name in a figure is no mathematics, whatever dollar signs are in it, and is valid Unicode."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if source.stem in text.get_text():
            text.set_parse_math(False)
            text.set_text(readable(text.get_text()))


def in_one_line(metrics: Mapping[str, Any]) -> str:
    """An answer in one line: each quantity with its interval and unit, each number, and how many warnings."""
    from pipeline.evaluation.common.result import short

    parts = []
    for name, value in metrics.items():
        match value:
            case {"value": middle, "low": low, "high": high, "unit": unit}:
                parts.append(f"{name} {short(middle)} ({short(low)} to {short(high)}) {unit}")
            case list() if value:
                parts.append(f"{name}: {len(value)}")
            case bool():
                parts += [name.replace("_", " ")] * value
            case list() | str() | dict():
                pass
            case _:
                parts.append(f"{name} {float(value):.4g}")
    if "interval" in metrics:
        parts.append(f"intervals: {metrics['interval']}")
    return ", ".join(parts)


@dataclass
class Summary:
    """The table of all answers in a folder, a row an input; rows of earlier runs stay until they are answered again.

    Args:
        path: of the table, ECSV, which astropy, TOPCAT and spreadsheets read.

    Raises:
        InputError: there is a file of this name that is no such table.
    """

    path: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    written: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        from astropy.table import Table

        self.earlier = None
        if self.path.exists():
            try:
                self.earlier = Table.read(self.path, format="ascii.ecsv")
                self.earlier["input", "answer"]
            except (ValueError, OSError, KeyError) as error:
                raise InputError(f"{self.path}: no summary of earlier answers; choose another --out") from error

    def add(self, source: Path, answer: Path, metrics: Mapping[str, Any]) -> None:
        """The row of an input that was answered."""
        row: dict[str, Any] = {"input": readable(source), "answer": readable(answer.relative_to(self.path.parent))}
        for name, value in metrics.items():
            match value:
                case {"value": middle, "low": low, "high": high, "unit": unit}:
                    row |= {name: _digits(middle), f"{name}_low": _digits(low), f"{name}_high": _digits(high)}
                    self.units |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), unit)
                case list() | str() | dict() | None:
                    pass
                case bool():
                    row[name] = value
                case _:
                    row[name] = _digits(value)
        self.rows.append(row | {"warnings": len(metrics.get("warnings", [])), "error": ""})

    def add_failure(self, source: Path, message: str) -> None:
        """The row of an input that had no answer."""
        self.rows.append({"input": readable(source), "answer": "", "warnings": 0, "error": message})

    def write_if_due(self) -> None:
        """Replace the table now and then: a run that is killed keeps most of it."""
        if time.monotonic() - self.written > SECONDS:
            self.write()

    def write(self) -> None:
        """Replace the table."""
        import numpy as np
        from astropy.table import Table, vstack

        self.written = time.monotonic()
        if not self.rows:
            return  # interrupted before the first answer
        table = Table(rows=self.rows)
        for name, unit in self.units.items():
            table[name].unit = unit
        if self.earlier is not None:
            source, answer = (np.ma.filled(self.earlier[name], "") for name in ("input", "answer"))
            again = np.where(answer == "", np.isin(source, table["input"]), np.isin(answer, table["answer"]))
            table = vstack([self.earlier[~again], table], metadata_conflicts="silent")
        names = [name for name in table.colnames if name not in ("warnings", "error")]
        with atomic_file(self.path) as temporary:
            table[[*names, "warnings", "error"]].write(temporary, format="ascii.ecsv", overwrite=True)


def _digits(value: Any) -> float:
    return float(f"{float(value):.7g}")  # those of the JSON
