"""Batches of tensors that already live on the device: no worker processes, no per-sample collate.

Lightning's own distributed sampler shuffles where it should not and pads the validation set with
repeats; this one does neither, so one process and many see the same batches.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from datamodules.prefetch import prefetched
from pipeline.errors import InputError

Batch = dict[str, Tensor]


class EpochSampler:
    """Index batches of one rank: each *global* batch is cut into ``world_size`` equal parts.

    With ``shuffle`` the order is a function of ``(seed, epoch)`` alone and the incomplete last
    batch is left out, so that every rank takes the same number of equal steps. Without it the
    rows are dealt out once, unpadded.

    Args:
        n: rows of the data set.
        batch_size: rows of a global batch, over all ranks together.
        shuffle: True for training.
        seed: of the order.

    Raises:
        InputError: the batch cannot be divided among the ranks, or there is less than a row a rank.
    """

    def __init__(
        self, n: int, batch_size: int, *, shuffle: bool, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if n < world_size:
            raise InputError(f"{n} samples cannot feed {world_size} processes; lower runtime.devices or make more data")
        batch_size = min(batch_size, n - n % world_size)
        if batch_size % world_size:
            raise InputError(
                f"batch_size {batch_size} is not divisible by {world_size} processes; change it or runtime.devices"
            )
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed
        self.rank, self.world_size, self.epoch = rank, world_size, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        if self.shuffle:
            return self.n // self.batch_size
        rows = len(range(self.rank, self.n, self.world_size))
        return -(-rows // (self.batch_size // self.world_size))

    def __iter__(self) -> Iterator[Tensor]:
        local = self.batch_size // self.world_size
        if not self.shuffle:
            yield from torch.arange(self.rank, self.n, self.world_size).split(local)
            return
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.n, generator=generator)
        for batch in order[: len(self) * self.batch_size].split(self.batch_size):
            yield batch[self.rank * local : (self.rank + 1) * local]


class BatchLoader:
    """Batches of an epoch in two steps: a plan of all of them, then one taken after the other.

    A killed training goes on in the middle of an epoch without reading what it has seen: the plan makes all random
    draws, so that leaving out batches changes none of the others.

    Attributes:
        sampler: Lightning calls its ``set_epoch``.
        device: where the batches are wanted.
        first: how many batches the next epoch leaves out, once.
    """

    batch_sampler = None  # Lightning looks here first

    def __init__(self, sampler: Any, device: torch.device | str = "cpu") -> None:
        self.sampler, self.device, self.first = sampler, device, 0

    def __len__(self) -> int:
        """Of a whole epoch."""
        return len(self.sampler)

    def plan(self) -> list[Any]:
        """What :meth:`take` makes each batch from, for all batches of the epoch; makes its random draws."""
        return list(self.sampler)

    def take(self, index: Any) -> Batch:
        """Read one batch; draws nothing."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Batch]:
        first, self.first = self.first, 0
        yield from prefetched(self.plan()[first:], self.take, self.device)


class TensorLoader(BatchLoader):
    """Yields ``{name: tensor[rows]}`` for each index batch of its sampler.

    Args:
        tensors: name to tensor, all of the same first dimension, on any device.
        sampler: gives the rows.
    """

    def __init__(self, tensors: dict[str, Tensor], sampler: EpochSampler) -> None:
        super().__init__(sampler, next(iter(tensors.values())).device)
        self.tensors = tensors

    def take(self, index: Any) -> Batch:
        return {name: tensor[index.to(tensor.device)] for name, tensor in self.tensors.items()}


class GroupSampler:
    """Whose turn it is among several samplers: the same for every rank, drawn from (seed, epoch) to shuffle."""

    def __init__(self, samplers: list[EpochSampler], *, shuffle: bool, seed: int) -> None:
        self.samplers, self.shuffle, self.seed, self.epoch = samplers, shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        for sampler in self.samplers:
            sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return sum(len(sampler) for sampler in self.samplers)

    def __iter__(self) -> Iterator[int]:
        lengths = torch.tensor([len(sampler) for sampler in self.samplers])
        turns = torch.arange(len(lengths)).repeat_interleave(lengths)
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            turns = turns[torch.randperm(len(turns), generator=generator)]
        yield from turns.tolist()


class GroupedLoader(BatchLoader):
    """Batches of several loaders, whose tensors differ in shape, such as systems of different numbers of stars.

    Args:
        loaders: one a group.
        shuffle: True for training.
        seed: of whose turn it is.
    """

    def __init__(self, loaders: list[TensorLoader], *, shuffle: bool, seed: int) -> None:
        sampler = GroupSampler([loader.sampler for loader in loaders], shuffle=shuffle, seed=seed)
        super().__init__(sampler, loaders[0].device)
        self.loaders = loaders

    def plan(self) -> list[tuple[int, Any]]:
        """Whose turn it is, and what that loader takes."""
        plans = [iter(loader.plan()) for loader in self.loaders]
        return [(turn, next(plans[turn])) for turn in self.sampler]

    def take(self, index: Any) -> Batch:
        turn, rows = index
        return self.loaders[turn].take(rows)
