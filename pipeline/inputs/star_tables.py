"""Tables of star systems as people's own codes write them, brought to the contract of data/nbody/trajectories.csv."""

import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from datamodules.trajectories import ATTRIBUTES, COLUMNS, Units, check_names, check_numbers
from pipeline.errors import InputError
from pipeline.inputs.amuse import read_amuse
from pipeline.inputs.star_units import NBODY, OURS, StarUnits, read_units
from pipeline.inputs.unpacked import check_unpacked

ORDER = (*COLUMNS, *ATTRIBUTES)
# What columns may be called, without case, spaces and signs. Of several that number a star the first counts.
NAMES = {
    "N_sim": ("nsim", "sim", "simid", "simulation", "run", "runid", "realisation", "realization", "system", "systemid"),
    "N_star": ("nstar", "star", "starid", "particle", "particleid", "id", "name", "key", "body", "bodyid", "index"),
    "time_step": ("timestep", "t", "time"),
    **{axis: (axis, f"pos{axis}", f"p{axis}", f"position{axis}", f"r{axis}") for axis in "xyz"},
    **{f"v{axis}": (f"v{axis}", f"vel{axis}", f"velocity{axis}", f"{axis}dot") for axis in "xyz"},
    "mass": ("mass", "m"),
    "charge": ("charge", "q"),
}


@dataclass(frozen=True)
class StarTable:
    """Star systems, in our units.

    Attributes:
        frame: columns of the contract, float64, in the order of simulation, time and star.
        units: those of the table, to answer in.
        law: what the file itself says of its physics; None: nothing.
        warnings: what was left out or assumed.
        names: those that the file gives simulations or stars in place of numbers, by column, in the order of ours.
    """

    frame: pl.DataFrame
    units: StarUnits
    law: Units | None = None
    warnings: list[str] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)

    def as_named(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of these systems with the file's names of simulations and stars."""
        return rows.with_columns(
            pl.col(column).cast(pl.Int64).replace_strict(dict(enumerate(names)), return_dtype=pl.String)
            for column, names in self.names.items()
        )


def read_star_table(path: Path, units: str | None = None, key: str = "--units") -> StarTable:
    """Read a CSV (any separator), a Parquet file or a set of particles of AMUSE (HDF5).

    Args:
        path: of the file.
        units: of a table that does not say its own, as :func:`~pipeline.inputs.star_units.read_units` takes them; None:
            those of the contract.
        key: what says ``units``, for messages.

    Raises:
        InputError: a column is missing or there twice, a value is no number, or the file is none of these kinds.
    """
    stated = read_units(units or NBODY, key)
    try:
        with path.open("rb") as file:
            magic = file.read(8)
        if magic == b"\x89HDF\r\n\x1a\n":
            check_unpacked(path, "hdf5")
            frame, own, ignored = read_amuse(path)
            frame, warnings = _contract(frame, path), _left_out(ignored)
            return StarTable(frame, own if stated.name == NBODY else stated, None, warnings)
        if magic[:4] == b"PAR1":
            check_unpacked(path, "parquet")
            return _from_parquet(path, stated)
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: no CSV, Parquet or HDF5 file of AMUSE ({reason}); give one") from error
    return _from_text(text, path, stated)


def _from_parquet(path: Path, stated: StarUnits) -> StarTable:
    """Rows that say their physics are in our units already."""
    law, told = metadata(path), pl.read_parquet_metadata(path).get("units")
    frame, ignored = _renamed(pl.read_parquet(path), path)
    frame, names = _numbers(frame, path, None)
    warnings = _left_out(ignored)
    if law is None:
        frame = stated.to_ours(frame)
        if told is not None and stated.name == NBODY:
            warnings.append(f"units in the metadata ({told}) are not read; state them as units")
    elif stated.name != NBODY and law.length_unit != OURS["length_unit"]:
        raise InputError(f"{path}: its metadata say {law.length_unit}, not {stated.name}; name no units")
    return StarTable(_contract(frame, path), stated, law, warnings, names)


def metadata(path: Path) -> Units | None:
    """The physics in the metadata of a Parquet file that this project wrote; None where another program did."""
    try:
        return Units(**json.loads(pl.read_parquet_metadata(path)["units"]))
    except (KeyError, ValueError, TypeError):
        return None


def _from_text(text: str, path: Path, stated: StarUnits) -> StarTable:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip() or "\0" in text:
        raise InputError(f"{path}: no table in it; give a CSV with a header and a row for each star and time")
    head, begin = _header(text)
    separator = next((sign for sign in ";,\t" if sign in head), " ")
    columns = [
        name.strip().strip("\"'").strip() for name in (head.split() if separator == " " else head.split(separator))
    ]
    twice = [name for name, times in Counter(columns).items() if times > 1]
    if twice:
        raise InputError(f"{path}: column {twice[0]} is there twice; remove one")
    frame = _strings(text[begin:], separator, columns, path)
    warnings = [] if text.endswith("\n") else ["the last line has no end: if the file is cut, its last number is wrong"]
    in_brackets = re.findall(r"[\[(][^\[\](]*[\])]", head)
    if in_brackets and stated.name == NBODY:
        warnings.append(
            f"units in the header ({', '.join(dict.fromkeys(in_brackets))}) are not read; state them as units"
        )
    frame, ignored = _renamed(frame, path)
    lines = (text, begin)
    frame, names = _numbers(frame, path, lines, comma=separator != ",")
    frame = _contract(stated.to_ours(frame), path, lines)
    return StarTable(frame, stated, None, warnings + _left_out(ignored), names)


def _header(text: str) -> tuple[str, int]:
    """The names of the columns, and where the rows begin: the last line of comments (#) may hold the names."""
    begin, comment = 0, ""
    for line in text.splitlines(keepends=True):
        begin += len(line)
        bare = line.strip()
        if bare.startswith("#"):
            comment = bare.lstrip("#").strip()
        elif bare:
            rows = any(_is_number(value) for value in re.split(r"[;,\s]+", bare))
            return (comment, begin - len(line)) if comment and rows else (bare, begin)
    return comment, begin


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+(\.\d*)?|\.\d+)([eEdD][-+]?\d+)?", text) is not None


def _strings(rows: str, separator: str, names: list[str], path: Path) -> pl.DataFrame:
    """The rows as text, one column a name; too few values leave the last ones empty."""
    if separator == " ":
        rows, separator = "\n".join("\t".join(re.findall(r"[^ \t]+", row)) for row in rows.split("\n")), "\t"
    rows = re.sub(r"(?m)^\s*(#.*)?\n", "", rows)
    if not rows.strip():
        raise InputError(f"{path}: no row below the header; give at least one state")
    try:
        return pl.read_csv(
            io.StringIO(rows), has_header=False, separator=separator, infer_schema=False, new_columns=names,
            schema=dict.fromkeys(names, pl.String),
        )  # fmt: skip
    except pl.exceptions.PolarsError as error:
        many = next((k for k, row in enumerate(rows.splitlines()) if row.count(separator) >= len(names)), 0)
        raise InputError(
            f"{path}: row {many + 1} below the header has more values than the {len(names)} columns; mend the header"
        ) from error


def _plain(name: str) -> str:
    """Letters and digits of a column's name, without a unit in brackets."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[\[(].*", "", name).lower())


def _renamed(frame: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, list[str]]:
    """The columns of the contract under its names, and the names of those left out."""
    chosen: dict[str, str] = {}
    for ours, names in NAMES.items():
        found = [name for wanted in names for name in frame.columns if _plain(name) == wanted and name not in chosen]
        if len(found) > 1 and ours not in ("N_sim", "N_star"):
            raise InputError(f"{path}: columns {' and '.join(found)} both mean {ours}; remove one")
        if found:
            chosen[found[0]] = ours
    missing = [name for name in COLUMNS[3:] if name not in chosen.values()]
    if missing:
        others = ", ".join(NAMES[missing[0]][:3])
        columns = ", ".join(frame.columns)
        raise InputError(f"{path}: column {missing[0]} is missing in line 1 ({columns}); name it one of {others}")
    ignored = [name for name in frame.columns if name not in chosen]
    return frame.select(chosen.keys()).rename(chosen), ignored


def _left_out(ignored: list[str]) -> list[str]:
    return [f"columns left out: {', '.join(ignored)}"] if ignored else []


def _numbers(
    frame: pl.DataFrame, path: Path, lines: tuple[str, int] | None, *, comma: bool = False
) -> tuple[pl.DataFrame, dict[str, list[str]]]:
    """The columns as float64, and the names of stars and simulations that became numbers by alphabet."""
    columns, names = [], {}
    for name, column in zip(frame.columns, frame.get_columns(), strict=True):
        if column.dtype != pl.String:
            columns.append(column.cast(pl.Float64))
            continue
        text = column.str.strip_chars().str.strip_chars("\"'").str.strip_chars()
        plain = text.str.replace("[dD]", "e")
        number = (plain.str.replace(",", ".", literal=True) if comma else plain).cast(pl.Float64, strict=False)
        wrong = (number.is_null() & ~text.str.to_lowercase().is_in(["nan", "inf", "-inf"])).arg_true()
        if len(wrong) and name in ("N_sim", "N_star") and not text.is_null().any():
            number = text.rank("dense").cast(pl.Float64) - 1
            names[name] = text.unique().sort().to_list()
        elif len(wrong):
            value = text[wrong[0]]
            raise InputError(
                f"{path}: {_place(wrong[0], lines)} has {'no value' if not value else repr(value) + ', no number,'} in "
                f"column {name}; mend the line, or remove its simulation"
            )
        columns.append(number.alias(name))
    return pl.DataFrame(columns), names


def _place(row: int, lines: tuple[str, int] | None) -> str:
    """Where a row stands in the file."""
    if lines is None:
        return f"row {row}"
    text, begin = lines
    line = text.count("\n", 0, begin)
    for content in text[begin:].splitlines():
        line += 1
        row -= bool(content.strip()) and not content.lstrip().startswith("#")
        if row < 0:
            break
    return f"line {line}"


def _contract(frame: pl.DataFrame, path: Path, lines: tuple[str, int] | None = None) -> pl.DataFrame:
    """Numbers of simulation, time and star added where they are missing; sorted."""
    if "N_sim" not in frame.columns:
        frame = frame.with_columns(N_sim=pl.lit(0.0))
    if "time_step" not in frame.columns:
        frame = frame.with_columns(time_step=pl.lit(0.0))
    if "N_star" not in frame.columns:  # the order of the file numbers them
        frame = frame.with_columns(N_star=pl.int_range(pl.len()).over("N_sim", "time_step"))
    frame = frame.select(name for name in ORDER if name in frame.columns).with_columns(pl.all().cast(pl.Float64))
    check_names(frame.columns, str(path))
    check_numbers(frame, str(path), lambda row: _place(row, lines))
    twice = frame.select("N_sim", "time_step", "N_star").is_duplicated().arg_true()
    if len(twice):
        place = _place(twice[1], lines)
        raise InputError(
            f"{path}: {place} has a star a second time at one time; give columns of time, star and simulation"
        )
    return frame.sort("N_sim", "time_step", "N_star")
