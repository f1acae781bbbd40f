"""The file of trajectories, of any length: read in batches of whole simulations."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datamodules.trajectories import ATTRIBUTES, centred, check_names, check_numbers, systems_by_stars
from pipeline.errors import InputError

BATCH_ROWS = 250_000
ROW_BYTES = 130  # of a CSV, as measured

SingleSystems = dict[str, NDArray[Any]]


def trajectory_file(folder: Path) -> Path:
    """``trajectories.parquet`` where there is one, else ``trajectories.csv``."""
    parquet = folder / "trajectories.parquet"
    return parquet if parquet.exists() else folder / "trajectories.csv"


def read_systems(path: Path) -> list[SingleSystems]:
    """The systems of a file in single precision, as a network sees them; the file is never in memory as a whole.

    Returns:
        As of :func:`~datamodules.trajectories.systems_by_stars`, but for N_star; positions are centred. N_sim is not
        rounded.

    Raises:
        InputError: the file is no table at the contract, or too large for one that is not sorted by N_sim.
    """
    parts: dict[int, list[SingleSystems]] = {}
    times = np.empty(0)
    for table in read_tables(path):
        for systems in systems_by_stars(table, str(path)):
            times = times if len(times) else systems["time"][0]
            _check_times(systems["time"][0], systems["N_sim"][0], times, path)
            parts.setdefault(systems["position"].shape[2], []).append(_single(systems))
    return [_joined(parts[stars]) for stars in sorted(parts)]


def read_tables(path: Path) -> Iterator[pl.DataFrame]:
    """Rows of whole simulations, some at a time, with the columns of the contract.

    Raises:
        InputError: a column is missing or unknown, a value is no number, the file is cut, or it is too large for one
            that is not sorted by N_sim.
    """
    try:
        blocks = _parquet_blocks(path) if path.suffix == ".parquet" else _csv_blocks(path)
        yield from _whole_simulations(_checked(blocks, path), path)
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: not a table of numbers ({reason}); run import_nbody again") from error


def in_order(path: Path) -> bool:
    """Whether a file has the columns of the contract, under their names, and is sorted by N_sim: read in parts then."""
    try:
        table = pl.scan_parquet(path) if path.suffix == ".parquet" else pl.scan_csv(path)
        check_names(table.collect_schema().names(), str(path))
        return not table.select((pl.col("N_sim").diff() < 0).any()).collect(engine="streaming").item()
    except (InputError, OSError, UnicodeDecodeError, pl.exceptions.PolarsError):
        return False


def _header(path: Path) -> list[str]:
    with path.open("rb") as file:
        return file.readline(1000).decode().strip().split(",")


def _parquet_blocks(path: Path) -> Iterator[pl.DataFrame]:
    table = pl.scan_parquet(path)
    check_names(table.collect_schema().names(), str(path))
    rows = table.select(pl.len()).collect().item()
    for first in range(0, max(rows, 1), BATCH_ROWS):
        yield table.slice(first, BATCH_ROWS).collect()


def _csv_blocks(path: Path) -> Iterator[pl.DataFrame]:
    names = _header(path)
    with path.open("rb") as file:
        file.readline()
        rows_begin = file.tell()
        whole = file.seek(0, 2) > rows_begin and file.seek(-1, 2) and file.read() == b"\n"
        check_names(names, str(path))
        if not whole:
            raise InputError(f"{path}: the last line is cut or missing; run import_nbody again")
        file.seek(rows_begin)
        while rows := file.read(BATCH_ROWS * ROW_BYTES):
            rows += file.readline()
            yield pl.read_csv(rows, has_header=False, schema=dict.fromkeys(names, pl.Float64))


def _checked(blocks: Iterable[pl.DataFrame], path: Path) -> Iterator[pl.DataFrame]:
    before = 0
    for block in blocks:
        table = block.with_columns(pl.all().cast(pl.Float64))
        check_numbers(table, str(path), lambda row, before=before: f"line {before + row + 2}")  # type: ignore[misc]
        before += len(table)
        yield table


def _whole_simulations(blocks: Iterator[pl.DataFrame], path: Path) -> Iterator[pl.DataFrame]:
    """The same rows, cut where a simulation ends; those of a single block may have any order."""
    rest = next(blocks)
    for block in blocks:
        table = pl.concat([rest, block])
        if not table["N_sim"].is_sorted():
            raise InputError(
                f"{path}: larger than {BATCH_ROWS} rows and not sorted by N_sim; name it as nbody.source, for "
                "import_nbody to sort it"
            )
        last = table["N_sim"] == table["N_sim"][-1]
        rest = table.filter(last)
        if len(rest) < len(table):
            yield table.filter(~last)
    yield rest


def _check_times(found: NDArray[np.float64], simulation: float, times: NDArray[np.float64], path: Path) -> None:
    if len(found) != len(times):
        raise InputError(
            f"{path}: simulation {simulation:g} has {len(found)} times, others {len(times)}; "
            "give whole simulations with the same times"
        )
    if (found != times).any():
        raise InputError(f"{path}: column time_step changes where it should not; all simulations need the same times")


def _single(systems: dict[str, NDArray[np.float64]]) -> SingleSystems:
    names = ("velocity", "time", *(name for name in ATTRIBUTES if name in systems))
    single = {"position": centred(systems["position"]), **{name: systems[name] for name in names}}
    return {name: values.astype(np.float32) for name, values in single.items()} | {"N_sim": systems["N_sim"]}


def _joined(parts: list[SingleSystems]) -> SingleSystems:
    """One array a name; those of its parts go as it is made."""
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
