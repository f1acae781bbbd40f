"""What the three data modules share: tensors of each split, on the device, in seeded batches."""

import pytorch_lightning as pl
from torch import Tensor

from datamodules.loader import EpochSampler, TensorLoader


class TensorDataModule(pl.LightningDataModule):
    """Serves ``self.splits[split]``, a dictionary of tensors, which ``setup`` of a subclass fills.

    Args:
        batch_size: rows of a global batch, over all processes together.
        seed: of the order of the training batches.
    """

    splits: dict[str, dict[str, Tensor]]
    on_device = True  # False: too large for the device, batches travel one by one

    def __init__(self, batch_size: int, seed: int) -> None:
        super().__init__()
        self.batch_size, self.seed = batch_size, seed

    def _loader(self, split: str, *, shuffle: bool = False) -> TensorLoader:
        tensors = self.splits[split]
        rank, world_size = 0, 1
        if self.trainer is not None:
            rank, world_size = self.trainer.global_rank, self.trainer.world_size
            if self.on_device:
                tensors = {name: tensor.to(self.trainer.strategy.root_device) for name, tensor in tensors.items()}
        n = len(next(iter(tensors.values())))
        sampler = EpochSampler(n, self.batch_size, shuffle=shuffle, seed=self.seed, rank=rank, world_size=world_size)
        return TensorLoader(tensors, sampler)

    def train_dataloader(self) -> TensorLoader:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> TensorLoader:
        return self._loader("val")

    def test_dataloader(self) -> TensorLoader:
        return self._loader("test")
