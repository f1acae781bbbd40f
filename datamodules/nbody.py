"""Trajectories of star systems: from the contract's table to windows of consecutive states."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.base import TensorDataModule
from datamodules.loader import GroupedLoader
from datamodules.settings import NBodyData
from datamodules.trajectories import ATTRIBUTES, Systems, Units, centred, read_table, systems_by_stars, trajectory_file
from pipeline.errors import InputError

Group = dict[str, Tensor]


class NBodyDataModule(TensorDataModule):
    """Batches ``{"position", "velocity": (B, horizon + 1, n, 3), "time": (B, horizon + 1)}``, one n a batch.

    ``mass`` or ``charge`` (B, n) is there if the table has that column. All windows of a simulation are
    in the same split. ``splits[split]`` is a list with a group of windows for each number of stars, the smallest
    first; ``trajectories[split]`` the same of whole runs, (simulations, times, ...), ``numbers[split]`` the N_sim of
    these, one group after another, and ``units`` the physics they obey, where that is known. Positions of a simulation
    are those from the mean of its first ones.

    ``path`` is a folder with ``trajectories.csv`` or ``trajectories.parquet``, at the contract of
    :func:`~datamodules.trajectories.read_table`, and maybe ``units.json``; ``seed`` is also that of the split.
    """

    Settings = NBodyData
    settings: NBodyData
    trajectories: dict[str, list[Group]]
    splits: dict[str, list[Group]]  # type: ignore[assignment]
    numbers: dict[str, np.ndarray]
    units: Units | None

    @property
    def file(self) -> Path:
        """The trajectories."""
        return trajectory_file(self.path)

    def setup(self, stage: str | None = None) -> None:
        """Read the file once, split it and cut the windows.

        Raises:
            InputError: the file is no good, the runs are shorter than the horizon, or a split is empty.
        """
        if hasattr(self, "trajectories"):
            return
        groups = systems_by_stars(read_table(self.file), str(self.file))
        groups = [systems | {"position": centred(systems["position"])} for systems in groups]
        self.units = Units.read(self.path / "units.json")
        times = groups[0]["time"].shape[1]
        if self.settings.horizon >= times:
            raise InputError(
                f"{self.file}: runs of {times} outputs are too short for a horizon of {self.settings.horizon} steps; "
                "lower gnn.data.horizon or lengthen nbody.t_end"
            )
        drawn = self._split(groups)
        self.trajectories = {split: selected(groups, numbers) for split, numbers in drawn.items()}
        self.numbers = {split: in_groups(groups, numbers) for split, numbers in drawn.items()}
        self.splits = {split: [self._windows(part) for part in parts] for split, parts in self.trajectories.items()}

    def _split(self, groups: list[Systems]) -> dict[str, np.ndarray]:
        """Numbers of the simulations of each split, in the order in which they were drawn."""
        numbers = np.sort(np.concatenate([systems["N_sim"] for systems in groups]))
        dealt = self._dealt(len(numbers), "simulations", self.file, "gnn")
        return {split: numbers[rows.numpy()] for split, rows in dealt.items()}

    def _windows(self, runs: Group) -> Group:
        starts = runs["time"].shape[1] - self.settings.horizon
        windows = {}
        for name, tensor in runs.items():
            if name in ATTRIBUTES:
                windows[name] = tensor.repeat_interleave(starts, 0)
            else:
                windows[name] = tensor.unfold(1, self.settings.horizon + 1, 1).movedim(-1, 2).flatten(0, 1).contiguous()
        return windows

    def _loader(self, split: str, *, shuffle: bool = False) -> GroupedLoader:
        loaders = [self._batches(windows, shuffle=shuffle) for windows in self.splits[split]]
        return GroupedLoader(loaders, shuffle=shuffle, seed=self.seed)

    def to_pyg(self, split: str) -> list[Any]:
        """The windows as PyG graphs: complete, with ``pos``, ``vel``, ``mass`` or ``charge``, and ``y_pos``, ``y_vel``.

        Targets have the shape (n, horizon, 3).
        """
        return [graph for windows in self.splits[split] for graph in _graphs(windows)]


def tensors(systems: Systems) -> Group:
    """What a network sees of systems, in float32."""
    names = ("position", "velocity", "time", *(name for name in ATTRIBUTES if name in systems))
    return {name: torch.from_numpy(systems[name].astype(np.float32)) for name in names}


def selected(groups: list[Systems], numbers: np.ndarray) -> list[Group]:
    """Tensors of the simulations with these numbers, in this order; no group without any."""
    found = []
    for systems in groups:
        row = {number: k for k, number in enumerate(systems["N_sim"])}
        rows = [row[number] for number in numbers if number in row]
        if rows:
            found.append({name: tensor[rows] for name, tensor in tensors(systems).items()})
    return found


def in_groups(groups: list[Systems], numbers: np.ndarray) -> np.ndarray:
    """The numbers in the order of :func:`selected`, one group after another."""
    return np.concatenate([numbers[np.isin(numbers, systems["N_sim"])] for systems in groups])


def _graphs(windows: Group) -> list[Any]:
    from torch_geometric.data import Data

    n = windows["position"].shape[2]
    edge_index = (~torch.eye(n, dtype=torch.bool)).nonzero().T.contiguous()
    return [
        Data(
            pos=position[0],
            vel=velocity[0],
            y_pos=position[1:].transpose(0, 1),
            y_vel=velocity[1:].transpose(0, 1),
            edge_index=edge_index,
            **{name: windows[name][k] for name in ATTRIBUTES if name in windows},
        )
        for k, (position, velocity) in enumerate(zip(windows["position"], windows["velocity"], strict=True))
    ]
