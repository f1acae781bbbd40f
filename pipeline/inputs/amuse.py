"""Particle sets that AMUSE has stored in HDF5, state by state.

Each state is a group ``data/0000000001``, ... with ``keys``, a group ``attributes`` whose datasets name their unit, and
the time as the attribute ``timestamp`` (storage versions 1 and 2 of ``amuse.io``; Portegies Zwart & McMillan 2018).
"""

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError, one_line
from pipeline.inputs.star_units import StarUnits, read_units

if TYPE_CHECKING:
    import polars as pl

SI, NBODY = "S.I.", ("nbody", "generic")  # systems of units
DIMENSIONS = ("length", "mass", "time")
COLUMNS = ("x", "y", "z", "vx", "vy", "vz", "mass")
BASE = re.compile(r"system\.get\('([^']+)'\)\.base\('([^']+)'\)")


def read_amuse(path: Path) -> tuple["pl.DataFrame", StarUnits, list[str]]:
    """The states of one set: a table in our units, the units to answer in, and the attributes left out.

    Raises:
        InputError: it is no such file, or has several sets, no timestamps, or units of no such quantity.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _refuse_other_files(file, path)
            return _read(file, path)
    except InputError:
        raise
    except Exception as error:  # on broken bytes h5py raises nearly anything
        raise InputError(f"{path}: cannot read this HDF5 file ({one_line(error)}); save it again") from error


def _refuse_other_files(file: Any, path: Path) -> None:
    """A file may name others, whose numbers then seem to be its own, or name the same numbers a thousand times."""
    import h5py

    def leads_away(name: str, link: Any) -> str | None:
        if isinstance(link, h5py.SoftLink):
            return f"{name} is a link to another place"
        return f"{name} is a link to another file" if isinstance(link, h5py.ExternalLink) else None

    def lies_away(name: str, each: Any) -> str | None:
        if h5py.h5o.get_info(each.id).rc > 1:
            return f"{name} has several names"
        outside = isinstance(each, h5py.Dataset) and (each.external or each.is_virtual)
        return f"{name} lies in another file" if outside else None

    found = lies_away("/", file) or file.visititems_links(leads_away) or file.visititems(lies_away)
    if found:
        raise InputError(f"{path}: {found}; save it with its own numbers")


def _read(file: Any, path: Path) -> tuple["pl.DataFrame", StarUnits, list[str]]:
    import h5py
    import polars as pl

    groups = {name: group for name, group in file.items() if isinstance(group, h5py.Group)}
    sets = [name for name, group in groups.items() if name != "AMUSE_INF" and len(group)]
    if len(sets) != 1:
        raise InputError(f"{path}: {len(sets)} sets of particles ({', '.join(sets)}); save the stars alone with AMUSE")
    states = [file[sets[0]][number] for number in sorted(file[sets[0]])]
    if not all(_is_state(state) for state in states):
        raise InputError(f"{path}: no file of AMUSE's particles; convert it to a CSV")
    if len(states) > 1 and not all("timestamp" in state.attrs for state in states):
        raise InputError(f"{path}: states without a timestamp; save them as set.savepoint(time)")
    keys = np.unique(np.concatenate([state["keys"][:] for state in states]))
    systems: set[str] = set()
    frames = []
    for state in states:
        columns = {"N_star": np.searchsorted(keys, state["keys"][:])}
        when = state.attrs.get("timestamp", 0.0), state.attrs.get("timestamp_unit", "none")
        columns["time_step"] = np.full(len(columns["N_star"]), _value(*when, "time_step", systems, path))
        for name in COLUMNS:
            if name in state["attributes"]:
                data = state["attributes"][name]
                columns[name] = _value(data[:], data.attrs["units"], name, systems, path)
        frames.append(pl.DataFrame(columns))
    if len(systems) > 1:
        raise InputError(f"{path}: units of the systems {' and '.join(sorted(systems))}; save all in one")
    names = [set(frame.columns) for frame in frames]
    if any(columns != names[0] for columns in names):
        raise InputError(f"{path}: states with other attributes than the first; save them all alike")
    ignored = sorted(set(states[0]["attributes"]) - set(COLUMNS))
    return pl.concat(frames), read_units("pc Msun Myr km/s", "") if SI in systems else StarUnits(), ignored


def _is_state(state: Any) -> bool:
    """Whether this holds particles as AMUSE stores them, and is no snapshot of another program."""
    import h5py

    if not isinstance(state, h5py.Group) or not {"keys", "attributes"} <= set(state):
        return False
    return all("units" in data.attrs for data in state["attributes"].values())


def _value(value: Any, unit: str | bytes, name: str, systems: set[str], path: Path) -> Any:
    """Numbers in our units; the system of their unit is added to ``systems``."""
    text = unit.decode() if isinstance(unit, bytes) else unit
    found = {system for system, _ in BASE.findall(text)}
    if not found:  # no unit
        return value
    systems |= found
    expression = BASE.sub(r"\2", text)
    try:
        factor, powers = _product(ast.parse(expression, mode="eval").body)
    except (SyntaxError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        raise InputError(
            f"{path}: {name} has the unit {text}, which is none of mechanics; save it in another"
        ) from error
    wanted = {"time_step": (0, 0, 1), "mass": (0, 1, 0)}.get(name, (1, 0, -1) if name.startswith("v") else (1, 0, 0))
    if tuple(powers) != wanted:
        raise InputError(f"{path}: {name} has the unit {expression}; save it in one of its own kind")
    if SI not in found:
        return value * factor
    si = read_units("m kg s", "")
    return value * factor * {"time_step": si.time, "mass": si.mass}.get(name, si.speed if wanted[2] else si.length)


def _product(node: ast.expr) -> tuple[float, NDArray[np.float64]]:
    """A factor and the powers of ``DIMENSIONS``, (3,), of an expression of names, numbers, *, / and **."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number), np.zeros(3)
        case ast.Name(id=name):
            return 1.0, np.array([float(name == dimension) for dimension in DIMENSIONS])
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            (a, p), (b, q) = _product(left), _product(right)
            return a * b, p + q
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            (a, p), (b, q) = _product(left), _product(right)
            return a / b, p - q
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            (a, p), power = _product(left), float(ast.literal_eval(right))
            return a**power, power * p
    raise TypeError(ast.dump(node))
