import pytest
import torch

from datamodules.loader import EpochSampler, GroupedLoader, TensorLoader
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


def grouped(rank: int, world_size: int, number: int, *, shuffle: bool) -> list[torch.Tensor]:
    """Batches of three groups of 23, 7 and 12 rows, which tell their group by their width."""
    loaders = [
        TensorLoader(
            {"x": torch.arange(n).unsqueeze(1).repeat(1, width)},
            EpochSampler(n, 6, shuffle=shuffle, seed=5, rank=rank, world_size=world_size),
        )
        for width, n in ((2, 23), (3, 7), (5, 12))
    ]
    loader = GroupedLoader(loaders, shuffle=shuffle, seed=5)
    loader.sampler.set_epoch(number)
    batches = [batch["x"] for batch in loader]
    assert len(batches) == len(loader)
    return batches


def test_ranks_meet_in_the_same_group_at_each_step() -> None:
    alone = grouped(0, 1, 3, shuffle=True)
    for step, batch in enumerate(alone):
        assert torch.equal(torch.cat([grouped(rank, 2, 3, shuffle=True)[step] for rank in (0, 1)]), batch)
    widths = [[batch.shape[1] for batch in grouped(0, 1, epoch, shuffle=True)] for epoch in (3, 3, 4, 5)]
    assert widths[0] == widths[1] and widths[0] != sorted(widths[0])
    assert len({tuple(order) for order in widths}) > 1 and sorted(widths[0]) == [2, 2, 2, 3, 5, 5]


def test_evaluation_sees_each_row_of_each_group_once() -> None:
    batches = [batch for rank in (0, 1) for batch in grouped(rank, 2, 0, shuffle=False)]
    for width, n in ((2, 23), (3, 7), (5, 12)):
        assert sorted(torch.cat([b[:, 0] for b in batches if b.shape[1] == width]).tolist()) == list(range(n))


def test_one_group_is_what_its_loader_gives() -> None:
    def loader() -> TensorLoader:
        return TensorLoader({"x": torch.arange(23)}, EpochSampler(23, 6, shuffle=True, seed=5))

    pairs = zip(loader(), GroupedLoader([loader()], shuffle=True, seed=5), strict=True)
    assert all(torch.equal(plain["x"], of_group["x"]) for plain, of_group in pairs)
