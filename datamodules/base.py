"""What the three data modules share: tensors of each split, on the device, in seeded batches."""

from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
from torch import Tensor

from datamodules.loader import EpochSampler, TensorLoader
from pipeline.settings.base import DataSettings


class TensorDataModule(pl.LightningDataModule):
    """Serves ``self.splits[split]``, a dictionary of tensors, which ``setup`` of a subclass fills.

    Its parameters are declared by ``Settings``, in datamodules/settings.py, and kept as ``self.settings``.

    Args:
        path: of the data.
        seed: of the order of the training batches.
        parameters: the fields of ``Settings``.

    Raises:
        pydantic.ValidationError: a parameter is missing, unknown or out of its bounds.
    """

    Settings: ClassVar[type[DataSettings]]
    settings: Any
    splits: dict[str, dict[str, Tensor]]
    on_device = True  # False: too large for the device, batches travel one by one

    def __init__(self, path: str | Path, *, seed: int, **parameters: Any) -> None:
        super().__init__()
        self.path, self.seed = Path(path), seed
        self.settings = self.Settings(**parameters)

    def _loader(self, split: str, *, shuffle: bool = False) -> TensorLoader:
        return self._batches(self.splits[split], shuffle=shuffle)

    def _batches(self, tensors: dict[str, Tensor], *, shuffle: bool) -> TensorLoader:
        """This rank's batches of tensors, on the device."""
        rank, world_size = 0, 1
        if self.trainer is not None:
            rank, world_size = self.trainer.global_rank, self.trainer.world_size
            if self.on_device:
                tensors = {name: tensor.to(self.trainer.strategy.root_device) for name, tensor in tensors.items()}
        n = len(next(iter(tensors.values())))
        batch = self.settings.batch_size
        sampler = EpochSampler(n, batch, shuffle=shuffle, seed=self.seed, rank=rank, world_size=world_size)
        return TensorLoader(tensors, sampler)

    def train_dataloader(self) -> TensorLoader:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> TensorLoader:
        return self._loader("val")

    def test_dataloader(self) -> TensorLoader:
        return self._loader("test")
