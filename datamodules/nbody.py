"""Trajectories of star systems: from the contract's table to windows of consecutive states."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.base import TensorDataModule
from datamodules.loader import EpochSampler, GroupedLoader, TensorLoader
from datamodules.settings import NBodyData
from datamodules.trajectories import ATTRIBUTES, Systems, Units
from datamodules.trajectory_file import SingleSystems, read_systems, trajectory_file
from pipeline.errors import InputError

Group = dict[str, Tensor]


class WindowLoader(TensorLoader):
    """Batches of all windows of runs, one run after another; as they overlap, they are cut when they are taken.

    Args:
        runs: tensors (simulations, times, ...), attributes (simulations, n).
        sampler: gives the numbers of windows.
        horizon: steps of a window.
    """

    def __init__(self, runs: Group, sampler: EpochSampler, horizon: int) -> None:
        super().__init__(_windows(runs, horizon), sampler)

    def take(self, index: Tensor) -> Group:
        starts = self.tensors["time"].shape[1]
        index = index.to(self.device)
        return {name: tensor[index // starts, index % starts] for name, tensor in self.tensors.items()}


class NBodyDataModule(TensorDataModule):
    """Batches ``{"position", "velocity": (B, horizon + 1, n, 3), "time": (B, horizon + 1)}``, one n a batch.

    ``mass`` or ``charge`` (B, n) is there if the table has that column. All windows of a simulation are
    in the same split. ``trajectories[split]`` is a list with a group of whole runs, (simulations, times, ...), for each
    number of stars, the smallest first; ``numbers[split]`` the N_sim of these, one group after another, and ``units``
    the physics they obey, where that is known. Positions of a simulation are those from the mean of its first ones.

    ``path`` is a folder with ``trajectories.csv`` or ``trajectories.parquet``, at the contract of
    :func:`~datamodules.trajectory_file.read_tables`, and maybe ``units.json``; ``seed`` is also that of the split.
    """

    Settings = NBodyData
    settings: NBodyData
    trajectories: dict[str, list[Group]]
    numbers: dict[str, np.ndarray]
    units: Units | None

    @property
    def file(self) -> Path:
        """The trajectories."""
        return trajectory_file(self.path)

    def setup(self, stage: str | None = None) -> None:
        """Read the file once and split it.

        Raises:
            InputError: the file is no good, the runs are shorter than the horizon, or a split is empty.
        """
        if hasattr(self, "trajectories"):
            return
        groups = read_systems(self.file)
        self.units = Units.read(self.path / "units.json")
        times = groups[0]["time"].shape[1]
        if self.settings.horizon >= times:
            raise InputError(
                f"{self.file}: runs of {times} outputs are too short for a horizon of {self.settings.horizon} steps; "
                "lower gnn.data.horizon or lengthen nbody.t_end"
            )
        drawn = self._split(groups)
        self.numbers = {split: in_groups(groups, numbers) for split, numbers in drawn.items()}
        self.trajectories = dealt(groups, drawn)

    def _split(self, groups: list[SingleSystems]) -> dict[str, np.ndarray]:
        """Numbers of the simulations of each split, in the order in which they were drawn."""
        numbers = np.sort(np.concatenate([systems["N_sim"] for systems in groups]))
        rows = self._dealt(len(numbers), "simulations", self.file, "gnn")
        return {split: numbers[part.numpy()] for split, part in rows.items()}

    def windows(self, split: str) -> list[Group]:
        """All windows (simulations x starts, horizon + 1, ...) of each group, copied."""
        every = [_windows(runs, self.settings.horizon) for runs in self.trajectories[split]]
        return [{name: tensor.flatten(0, 1) for name, tensor in group.items()} for group in every]

    def _loader(self, split: str, *, shuffle: bool = False) -> GroupedLoader:
        loaders = [self._window_loader(self._placed(runs), shuffle=shuffle) for runs in self.trajectories[split]]
        return GroupedLoader(loaders, shuffle=shuffle, seed=self.seed)

    def _window_loader(self, runs: Group, *, shuffle: bool) -> WindowLoader:
        simulations, times = runs["time"].shape
        n = simulations * (times - self.settings.horizon)
        return WindowLoader(runs, self._sampler(n, shuffle=shuffle), self.settings.horizon)

    def to_pyg(self, split: str) -> list[Any]:
        """The windows as PyG graphs: complete, with ``pos``, ``vel``, ``mass`` or ``charge``, and ``y_pos``, ``y_vel``.

        Targets have the shape (n, horizon, 3).
        """
        return [graph for windows in self.windows(split) for graph in _graphs(windows)]


def tensors(systems: Systems) -> Group:
    """What a network sees of systems, in float32."""
    names = ("position", "velocity", "time", *(name for name in ATTRIBUTES if name in systems))
    return {name: torch.from_numpy(systems[name].astype(np.float32)) for name in names}


def dealt(groups: list[SingleSystems], drawn: dict[str, np.ndarray]) -> dict[str, list[Group]]:
    """Tensors of the simulations of each split, in the order in which they were drawn; no group without any.

    Arrays of the groups go as they are dealt, so that memory holds the trajectories once.
    """
    found: dict[str, list[Group]] = {split: [] for split in drawn}
    for systems in groups:
        numbers = systems.pop("N_sim")  # ascending
        rows = {split: np.searchsorted(numbers, each[np.isin(each, numbers)]) for split, each in drawn.items()}
        parts: dict[str, Group] = {split: {} for split, each in rows.items() if len(each)}
        for name in list(systems):
            whole = systems.pop(name)
            for split, part in parts.items():
                part[name] = torch.from_numpy(whole[rows[split]])
        for split, part in parts.items():
            found[split].append(part)
    return found


def _windows(runs: Group, horizon: int) -> Group:
    """Windows (simulations, starts, horizon + 1, ...) of runs, attributes (simulations, starts, n); no copies."""
    starts = runs["time"].shape[1] - horizon
    return {
        name: tensor[:, None].expand(-1, starts, -1)
        if name in ATTRIBUTES
        else tensor.unfold(1, horizon + 1, 1).movedim(-1, 2)
        for name, tensor in runs.items()
    }


def in_groups(groups: list[SingleSystems], numbers: np.ndarray) -> np.ndarray:
    """The numbers in the order of :func:`dealt`, one group after another."""
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
