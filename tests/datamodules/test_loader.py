import pytest
import torch

from datamodules.loader import EpochSampler, TensorLoader
from pipeline.errors import InputError


def epoch(world_size: int, number: int = 3, n: int = 23, batch_size: int = 6) -> list[list[torch.Tensor]]:
    ranks = []
    for rank in range(world_size):
        sampler = EpochSampler(n, batch_size, shuffle=True, seed=5, rank=rank, world_size=world_size)
        sampler.set_epoch(number)
        ranks.append(list(sampler))
    return ranks


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_global_batches_of_one_process(world_size: int) -> None:
    [alone] = epoch(1)
    together = epoch(world_size)
    for step, batch in enumerate(alone):
        assert torch.equal(torch.cat([rank[step] for rank in together]), batch)


def test_order_is_a_function_of_seed_and_epoch() -> None:
    assert all(torch.equal(a, b) for a, b in zip(epoch(1)[0], epoch(1)[0], strict=True))
    assert not torch.equal(torch.cat(epoch(1, 3)[0]), torch.cat(epoch(1, 4)[0]))


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_evaluation_sees_each_row_once(world_size: int) -> None:
    rows = []
    for rank in range(world_size):
        sampler = EpochSampler(23, 8, shuffle=False, seed=0, rank=rank, world_size=world_size)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        rows += torch.cat(batches).tolist()
    assert sorted(rows) == list(range(23))


def test_batch_must_divide_among_ranks() -> None:
    with pytest.raises(InputError, match="batch_size 5 is not divisible by 2"):
        EpochSampler(20, 5, shuffle=True, seed=0, world_size=2)
    with pytest.raises(InputError, match="1 samples cannot feed 2"):
        EpochSampler(1, 5, shuffle=True, seed=0, world_size=2)


def test_loader_takes_the_same_rows_of_each_tensor() -> None:
    tensors = {"x": torch.arange(10), "y": torch.arange(10) * 2}
    for batch in TensorLoader(tensors, EpochSampler(10, 4, shuffle=True, seed=0)):
        assert torch.equal(batch["y"], batch["x"] * 2)
