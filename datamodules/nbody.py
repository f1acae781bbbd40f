"""Trajectories of star systems: from the course's CSV to windows of consecutive states."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.base import TensorDataModule
from datamodules.settings import NBodyData
from pipeline.errors import InputError

COLUMNS = ("N_sim", "N_star", "time_step", "x", "y", "z", "vx", "vy", "vz")
ATTRIBUTES = ("mass", "charge")


@dataclass(frozen=True)
class Units:
    """Physics of a set of trajectories, as ``units.json`` beside them states it.

    Attributes:
        G: constant of gravity.
        softening: Plummer length.
        total_mass: of a system whose stars are equally heavy; None where the CSV has masses.
        length_unit: of positions and softening, in words.
        time_unit: of times, in words.
        mass_unit: of masses, in words.
    """

    G: float
    softening: float
    total_mass: float | None
    length_unit: str
    time_unit: str
    mass_unit: str

    @classmethod
    def read(cls, path: Path) -> "Units | None":
        """From a file; None where there is none, as of charges or trajectories of one's own.

        Raises:
            InputError: the file is broken or has other keys.
        """
        if not path.exists():
            return None
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: cannot read it ({error}); run generate_nbody, or remove it") from error


class NBodyDataModule(TensorDataModule):
    """Batches ``{"position", "velocity": (B, horizon + 1, n, 3), "time": (B, horizon + 1)}``.

    ``mass`` or ``charge`` (B, n) is there if the CSV has that column. All windows of a simulation are
    in the same split. ``trajectories[split]`` has the same tensors for whole runs, (simulations, times, ...), and
    ``units`` the physics they obey, where that is known.

    ``path`` is a folder with ``trajectories.csv``, at the contract of :func:`read_trajectories`, and maybe
    ``units.json``; ``seed`` is also that of the split.
    """

    Settings = NBodyData
    settings: NBodyData
    trajectories: dict[str, dict[str, Tensor]]
    units: Units | None

    @property
    def file(self) -> Path:
        """The trajectories."""
        return self.path / "trajectories.csv"

    def setup(self, stage: str | None = None) -> None:
        """Read the file once, split it and cut the windows.

        Raises:
            InputError: the file is no good, the runs are shorter than the horizon, or a split is empty.
        """
        if hasattr(self, "trajectories"):
            return
        runs = read_trajectories(self.file)
        self.units = Units.read(self.path / "units.json")
        n, times = runs["time"].shape
        if self.settings.horizon >= times:
            raise InputError(
                f"{self.file}: runs of {times} outputs are too short for a horizon of {self.settings.horizon} steps; "
                "lower gnn.data.horizon or lengthen nbody.t_end"
            )
        order = torch.randperm(n, generator=torch.Generator().manual_seed(self.seed))
        n_val, n_test = round(self.settings.val_fraction * n), round(self.settings.test_fraction * n)
        if min(n_val, n_test, n - n_val - n_test) < 1:
            raise InputError(
                f"{self.file}: {n} simulations leave a split empty; make more, or change gnn.data.val_fraction "
                "and gnn.data.test_fraction"
            )
        parts = zip(("val", "test", "train"), order.tensor_split((n_val, n_val + n_test)), strict=True)
        self.trajectories = {split: {name: tensor[rows] for name, tensor in runs.items()} for split, rows in parts}
        self.splits = {split: self._windows(part) for split, part in self.trajectories.items()}

    def _windows(self, runs: dict[str, Tensor]) -> dict[str, Tensor]:
        starts = runs["time"].shape[1] - self.settings.horizon
        windows = {}
        for name, tensor in runs.items():
            if name in ATTRIBUTES:
                windows[name] = tensor.repeat_interleave(starts, 0)
            else:
                windows[name] = tensor.unfold(1, self.settings.horizon + 1, 1).movedim(-1, 2).flatten(0, 1).contiguous()
        return windows

    def to_pyg(self, split: str) -> list[Any]:
        """The windows as PyG graphs: complete, with ``pos``, ``vel``, ``mass`` or ``charge``, and ``y_pos``, ``y_vel``.

        Targets have the shape (n, horizon, 3).
        """
        from torch_geometric.data import Data

        tensors = self.splits[split]
        n = tensors["position"].shape[2]
        edge_index = (~torch.eye(n, dtype=torch.bool)).nonzero().T.contiguous()
        return [
            Data(
                pos=position[0],
                vel=velocity[0],
                y_pos=position[1:].transpose(0, 1),
                y_vel=velocity[1:].transpose(0, 1),
                edge_index=edge_index,
                **{name: tensors[name][k] for name in ATTRIBUTES if name in tensors},
            )
            for k, (position, velocity) in enumerate(zip(tensors["position"], tensors["velocity"], strict=True))
        ]


def read_trajectories(path: Path) -> dict[str, Tensor]:
    """Read the CSV ``N_sim,N_star,time_step,x,y,z,vx,vy,vz`` and, if stars differ, ``mass`` or ``charge``.

    Returns:
        ``position`` and ``velocity`` (simulations, times, n, 3), ``time`` (simulations, times), and ``mass`` or
        ``charge`` (simulations, n); float32, in the order of N_sim, time_step and N_star.

    Raises:
        InputError: a column is missing or unknown, a value is no number, the file is cut, star counts or
            times differ, there is a lone star, or two stars lie on one point.
    """
    table = _numbers(path).sort("N_sim", "time_step", "N_star")
    snapshots = table.group_by("N_sim", "time_step", maintain_order=True).len()
    n, times = _same(path, snapshots, "len", "stars"), _same(path, snapshots.group_by("N_sim").len(), "len", "times")
    if n < 2:
        raise InputError(f"{path}: simulations of one star have nothing to learn; give at least two")
    columns = {name: table[name].to_numpy().reshape(-1, times, n) for name in table.columns}
    for name, axis in (("time_step", 0), ("N_star", 1), *((name, 1) for name in ATTRIBUTES if name in columns)):
        values = columns[name]
        if (values != values.take([0], axis)).any() or (name == "N_star" and (np.diff(values) == 0).any()):
            raise InputError(
                f"{path}: column {name} changes where it should not; all simulations need the same times, "
                "and a simulation the same stars at all of them"
            )
    steps = np.diff(columns["time_step"][0, :, 0])
    if not np.allclose(steps, steps[:1], rtol=1e-6):
        raise InputError(f"{path}: column time_step is not evenly spaced; give outputs at equal steps")
    position = _vectors(columns, "x", "y", "z")
    _check_apart(path, position, columns)
    velocity = _vectors(columns, "vx", "vy", "vz")
    arrays = {"position": position, "velocity": velocity, "time": columns["time_step"][..., 0]}
    arrays |= {name: columns[name][:, 0] for name in ATTRIBUTES if name in columns}
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}


def _numbers(path: Path) -> pl.DataFrame:
    """The table of the file, all columns known and all values finite."""
    try:
        with path.open("rb") as file:
            names = file.readline().decode().strip().split(",")
            rows_begin = file.tell()
            whole = file.seek(0, 2) > rows_begin and file.seek(-1, 2) and file.read() == b"\n"
        _check_names(path, names)
        if not whole:
            raise InputError(f"{path}: the last line is cut or missing; run generate_nbody again")
        table = pl.read_csv(path, schema_overrides=dict.fromkeys(names, pl.Float64))
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: not a CSV of numbers ({reason}); run generate_nbody again") from error
    for name in names:
        bad = (~table[name].is_finite()).fill_null(True).arg_true()
        if len(bad):
            raise InputError(f"{path}: line {bad[0] + 2} has no number in column {name}; mend or remove its simulation")
    if "mass" in names and (table["mass"] <= 0).any():
        raise InputError(f"{path}: a mass is not positive; give each star one")
    return table


def _check_names(path: Path, names: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    unknown = [name for name in names if name not in COLUMNS + ATTRIBUTES]
    if missing:
        raise InputError(f"{path}: column {missing[0]} is missing; the header is {','.join(COLUMNS)}")
    if unknown or {"mass", "charge"} <= set(names):
        raise InputError(
            f"{path}: column {(unknown or ['charge'])[0]} is one too many; beside {','.join(COLUMNS)} there may be "
            "mass or charge"
        )


def _same(path: Path, groups: pl.DataFrame, column: str, what: str) -> int:
    """The one value of ``column``; where it differs, an error that names the first simulation that does."""
    usual = int(groups[column].mode().min())  # type: ignore[arg-type]
    odd = groups.filter(pl.col(column) != usual)
    if len(odd):
        raise InputError(
            f"{path}: simulation {odd['N_sim'][0]:g} has {odd[column][0]} {what}, others {usual}; "
            "give whole simulations of equal size"
        )
    return usual


def _vectors(columns: dict[str, NDArray[np.float64]], *names: str) -> NDArray[np.float64]:
    return np.stack([columns[name] for name in names], axis=-1)


def _check_apart(path: Path, position: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]) -> None:
    """No two stars on one point: their direction would be undefined."""
    n = position.shape[2]
    for i in range(n - 1):
        meet = (position[:, :, i, None] == position[:, :, i + 1 :]).all(-1).any(-1)
        if meet.any():
            k, t = np.argwhere(meet)[0]
            raise InputError(
                f"{path}: two stars of simulation {columns['N_sim'][k, 0, 0]:g} lie on one point at "
                f"time {columns['time_step'][k, t, 0]:g}; move or remove one"
            )
