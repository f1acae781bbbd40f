"""The contract of trajectories: a table of stars, the physics that it obeys, its systems by number of stars."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.errors import InputError

COLUMNS = ("N_sim", "N_star", "time_step", "x", "y", "z", "vx", "vy", "vz")
ATTRIBUTES = ("mass", "charge")
Systems = dict[str, NDArray[np.float64]]


class Gravity(NamedTuple):
    """A law of force: the constant of gravity and the Plummer length."""

    G: float
    softening: float


@dataclass(frozen=True)
class Units:
    """Physics of a set of trajectories, as ``units.json`` beside them states it.

    Attributes:
        G: constant of gravity; None where the law of force is not known.
        softening: Plummer length; None with ``G``.
        total_mass: of a system whose stars are equally heavy; None where the table has masses, or none are known.
        length_unit: of positions and softening, in words.
        time_unit: of times, in words.
        mass_unit: of masses, in words.
    """

    G: float | None
    softening: float | None
    total_mass: float | None
    length_unit: str
    time_unit: str
    mass_unit: str

    @property
    def gravity(self) -> Gravity | None:
        """The law of force, where it is known."""
        return None if self.G is None or self.softening is None else Gravity(self.G, self.softening)

    @classmethod
    def read(cls, path: Path) -> "Units | None":
        """From a file; None where there is none, as of trajectories of one's own.

        Raises:
            InputError: the file is broken or has other keys.
        """
        if not path.exists():
            return None
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: cannot read it ({error}); run import_nbody again, or remove it") from error


def check_names(names: list[str], where: str) -> None:
    """All columns of the contract, and no other than mass or charge.

    Raises:
        InputError: they are others.
    """
    missing = [name for name in COLUMNS if name not in names]
    unknown = [name for name in names if name not in COLUMNS + ATTRIBUTES]
    if missing:
        raise InputError(f"{where}: column {missing[0]} is missing; the header is {','.join(COLUMNS)}")
    if unknown or {"mass", "charge"} <= set(names):
        raise InputError(
            f"{where}: column {(unknown or ['charge'])[0]} is one too many; beside {','.join(COLUMNS)} there may be "
            "mass or charge"
        )


def check_numbers(table: pl.DataFrame, where: str, place: Callable[[int], str]) -> None:
    """Every value a finite number, every mass positive.

    Args:
        table: of the contract.
        where: the file, for the message.
        place: where in the file a row stands.

    Raises:
        InputError: one is not.
    """
    for name in table.columns:
        bad = (~table[name].is_finite()).fill_null(True).arg_true()
        if len(bad):
            raise InputError(f"{where}: {place(bad[0])} has no number in column {name}; mend or remove its simulation")
    if "mass" in table.columns and len(bad := (table["mass"] <= 0).arg_true()):
        raise InputError(f"{where}: {place(bad[0])}: a mass is not positive; give each star one")


def systems_by_stars(table: pl.DataFrame, where: str) -> list[Systems]:
    """The systems of a table in any order of rows: a group for each number of stars, the smallest first.

    Returns:
        In each group ``position`` and ``velocity`` (simulations, times, n, 3), ``time`` (simulations, times),
        ``N_sim`` (simulations,), ``N_star`` (simulations, n), and ``mass`` or ``charge`` (simulations, n), in the order
        of N_sim, time_step and N_star.

    Raises:
        InputError: stars or times differ within a simulation, times between simulations, there is a lone star, or two
            stars lie on one point.
    """
    if not len(table):
        raise InputError(f"{where}: no row in it; give at least one state of one simulation")
    table = table.sort("N_sim", "time_step", "N_star")
    states = table.group_by("N_sim", "time_step", maintain_order=True).len("stars")
    simulations = states.group_by("N_sim", maintain_order=True).agg(
        pl.col("stars").mode().max(), pl.col("stars").n_unique().alias("counts"), pl.len().alias("times")
    )
    _check_states(states, simulations, where)
    groups = []
    for (stars,), group in table.join(simulations, on="N_sim", maintain_order="left").group_by(
        "stars", maintain_order=True
    ):
        times = simulations["times"][0]
        groups.append((stars, _arrays(group.select(table.columns), int(times), int(stars), where)))  # type: ignore[call-overload]
    groups.sort(key=lambda group: group[0])
    found = [systems for _, systems in groups]
    if any((systems["time"][0] != found[0]["time"][0]).any() for systems in found):
        raise InputError(f"{where}: column time_step changes where it should not; all simulations need the same times")
    return found


def _check_states(states: pl.DataFrame, simulations: pl.DataFrame, where: str) -> None:
    odd = simulations.filter(pl.col("counts") > 1)
    if len(odd):
        number, stars = odd["N_sim"][0], odd["stars"][0]
        state = states.filter((pl.col("N_sim") == number) & (pl.col("stars") != stars)).row(0, named=True)
        raise InputError(
            f"{where}: simulation {number:g} has {state['stars']} stars at time {state['time_step']:g} and {stars} at "
            "others; give each star at each time, once"
        )
    usual = int(simulations["times"].mode().max())  # type: ignore[arg-type]
    odd = simulations.filter(pl.col("times") != usual)
    if len(odd):
        raise InputError(
            f"{where}: simulation {odd['N_sim'][0]:g} has {odd['times'][0]} times, others {usual:d}; "
            "give whole simulations with the same times"
        )
    if simulations["stars"].min() < 2:  # type: ignore[operator]
        raise InputError(f"{where}: simulations of one star have nothing to learn; give at least two")


def _arrays(table: pl.DataFrame, times: int, stars: int, where: str) -> Systems:
    """Arrays of simulations of one number of stars, checked."""
    columns = {name: table[name].to_numpy().reshape(-1, times, stars) for name in table.columns}
    attributes = [name for name in ATTRIBUTES if name in columns]
    for name, axis in (("time_step", 0), ("N_star", 1), *((name, 1) for name in attributes)):
        values = columns[name]
        if (values != values.take([0], axis)).any() or (name == "N_star" and (np.diff(values) == 0).any()):
            raise InputError(
                f"{where}: column {name} changes where it should not; all simulations need the same times, "
                "and a simulation the same stars at all of them"
            )
    steps = np.diff(columns["time_step"][0, :, 0])
    if not np.allclose(steps, steps[:1], rtol=1e-6, atol=0):
        raise InputError(f"{where}: column time_step is not evenly spaced; give outputs at equal steps")
    position, velocity = (np.stack([columns[f"{v}{axis}"] for axis in "xyz"], axis=-1) for v in ("", "v"))
    _check_apart(position, columns, where)
    systems = {"position": position, "velocity": velocity, "time": columns["time_step"][..., 0]}
    systems |= {name: columns[name][:, 0] for name in ("N_star", *attributes)}
    return systems | {"N_sim": columns["N_sim"][:, 0, 0]}


def _check_apart(position: NDArray[np.float64], columns: Systems, where: str) -> None:
    """No two stars on one point, in the single precision of a network: their direction would be undefined."""
    position = centred(position).astype(np.float32)
    n = position.shape[2]
    for i in range(n - 1):
        meet = (position[:, :, i, None] == position[:, :, i + 1 :]).all(-1).any(-1)
        if meet.any():
            k, t = np.argwhere(meet)[0]
            raise InputError(
                f"{where}: two stars of simulation {columns['N_sim'][k, 0, 0]:g} lie on one point at "
                f"time {columns['time_step'][k, t, 0]:g}; move or remove one"
            )


def centred(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions (simulations, times, n, 3) from the mean of the first ones of their simulation.

    No force depends on where a system is, but a float32 far from the origin has few digits left for it.
    """
    return position - position[:, :1].mean(2, keepdims=True)


def table_of(groups: list[Systems]) -> pl.DataFrame:
    """The inverse of :func:`systems_by_stars`: the rows of groups of systems, sorted."""
    frames = []
    for systems in groups:
        columns: dict[str, NDArray[Any]] = {
            "N_sim": systems["N_sim"].astype(np.int64)[:, None, None],
            "N_star": systems["N_star"].astype(np.int64)[:, None],
            "time_step": systems["time"][:, :, None],
            **{axis: systems["position"][..., k] for k, axis in enumerate("xyz")},
            **{f"v{axis}": systems["velocity"][..., k] for k, axis in enumerate("xyz")},
            **{name: systems[name][:, None] for name in ATTRIBUTES if name in systems},
        }
        shape = systems["position"].shape[:3]
        frames.append(pl.DataFrame({name: np.broadcast_to(value, shape).ravel() for name, value in columns.items()}))
    return pl.concat(frames).sort("N_sim", "time_step", "N_star")


def at_rest(systems: Systems) -> tuple[Systems, Systems]:
    """Systems in the frame in which their centre of mass rests at the origin at first, and the motion of that centre.

    No force depends on the frame, but a float32 far from the origin, or of a fast system, has few digits left for it.

    Returns:
        The systems, and ``position`` and ``velocity`` (simulations, times, 1, 3) to add to have them where they were.
    """
    mass = systems.get("mass", np.ones(systems["N_star"].shape))[..., None]
    x, v = ((mass * systems[name][:, 0]).sum(1) / mass.sum(1) for name in ("position", "velocity"))
    since = systems["time"] - systems["time"][:, :1]
    velocity = np.broadcast_to(v[:, None, None], (*since.shape, 1, 3))
    motion = {"position": x[:, None, None] + velocity * since[..., None, None], "velocity": velocity}
    return systems | {name: systems[name] - motion[name] for name in motion}, motion
