"""What the data modules share: tensors of each split, on the device, in seeded batches."""

from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor

from datamodules.loader import BatchLoader, EpochSampler, TensorLoader
from pipeline.errors import InputError
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
    first = 0  # batches of the epoch that a killed training has seen already

    def __init__(self, path: str | Path, *, seed: int, **parameters: Any) -> None:
        super().__init__()
        self.path, self.seed = Path(path), seed
        self.settings = self.Settings(**parameters)

    def _loader(self, split: str, *, shuffle: bool = False) -> BatchLoader:
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

    def _dealt(self, n: int, things: str, file: Path, section: str) -> dict[str, Tensor]:
        """Which of ``n`` things are in each split, in random order, by ``settings.val_fraction`` and ``test_fraction``.

        Args:
            n: how many there are.
            things: what they are, for the message.
            file: where they are.
            section: of params.yaml, with the fractions.

        Raises:
            InputError: a split would be empty.
        """
        order = torch.randperm(n, generator=torch.Generator().manual_seed(self.seed))
        n_val, n_test = round(self.settings.val_fraction * n), round(self.settings.test_fraction * n)
        if min(n_val, n_test, n - n_val - n_test) < 1:
            raise InputError(
                f"{file}: {n} {things} leave a split empty; make more, or change {section}.data.val_fraction and "
                f"{section}.data.test_fraction"
            )
        return dict(zip(("val", "test", "train"), order.tensor_split((n_val, n_val + n_test)), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """How many batches of its epoch a training has seen.

        Lightning gives this back before it asks for the loaders, but the state of a loader only after their first use.
        """
        assert self.trainer is not None
        return {"batch": self.trainer.global_step % int(self.trainer.num_training_batches)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.first = state_dict["batch"]

    def train_dataloader(self) -> BatchLoader:
        loader = self._loader("train", shuffle=True)
        loader.first = self.first
        return loader

    def val_dataloader(self) -> BatchLoader:
        return self._loader("val")

    def test_dataloader(self) -> BatchLoader:
        return self._loader("test")
