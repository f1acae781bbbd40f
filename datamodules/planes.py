"""Points of densities on the plane, drawn from the seed."""

import torch
from torch import Tensor

from datamodules.base import TensorDataModule
from datamodules.densities import DENSITIES
from datamodules.loader import EpochSampler, TensorLoader
from datamodules.settings import PlaneData


class PointsLoader(TensorLoader):
    """Draws the points of each epoch anew, so that none is learned by heart."""

    def __init__(self, tensors: dict[str, Tensor], sampler: EpochSampler, seed: int) -> None:
        super().__init__(tensors, sampler)
        self.seed = seed

    def plan(self) -> list[Tensor]:
        points = draw_all(self.sampler.n, self.seed, 2 + self.sampler.epoch)
        self.tensors = {name: tensor.to(self.device) for name, tensor in points.items()}
        return super().plan()


class PlanesDataModule(TensorDataModule):
    """Batches ``{density: (rows, 2)}``, points in [-1, 1]² of each of ``DENSITIES``."""

    Settings = PlaneData
    settings: PlaneData

    def setup(self, stage: str | None = None) -> None:
        """Draw the points of every split."""
        n = self.settings.held_out
        self.splits = {
            "train": draw_all(self.settings.points, self.seed, 2),
            "val": draw_all(n, self.seed, 0),
            "test": draw_all(n, self.seed, 1),
        }

    def _loader(self, split: str, *, shuffle: bool = False) -> TensorLoader:
        loader = self._batches(self.splits[split], shuffle=shuffle)
        return PointsLoader(loader.tensors, loader.sampler, self.seed) if shuffle else loader


def draw_all(n: int, seed: int, part: int) -> dict[str, Tensor]:
    """Points (n, 2) of each density; ``part`` is 0 in validation, 1 in test, 2 + epoch in training."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + part)
    return {name: density.draw(n, generator) for name, density in DENSITIES.items()}
