import pytest
import torch

from datamodules.loader import EpochSampler, GroupedLoader, TensorLoader
from pipeline.errors import InputError

WHOLE = [[6, 4, 22, 15, 8, 3], [13, 14, 2, 10, 5, 21], [16, 11, 19, 20, 7, 17]]


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


def test_the_batches_of_an_epoch_are_known_by_heart() -> None:
    """Those of seed 5 in epoch 3, as they were before batches had a plan: with others all weights would be others."""
    tensors = {"x": torch.arange(23)}
    sampler = EpochSampler(23, 6, shuffle=True, seed=5)
    sampler.set_epoch(3)
    assert [batch["x"].tolist() for batch in TensorLoader(tensors, sampler)] == WHOLE
    turns = [(batch.shape[1], batch[:, 0].tolist()) for batch in grouped(0, 1, 3, shuffle=True)]
    assert turns == [
        (5, [5, 4, 1, 3, 7, 9]),
        (2, WHOLE[0]),
        (2, WHOLE[1]),
        (3, [1, 4, 0, 3, 6, 5]),
        (2, WHOLE[2]),
        (5, [11, 8, 6, 10, 0, 2]),
    ]


@pytest.mark.parametrize("first", [1, 3, 5])
def test_a_loader_goes_on_in_the_middle_of_one_epoch(first: int) -> None:
    loaders = [TensorLoader({"x": torch.arange(n)}, EpochSampler(n, 6, shuffle=True, seed=5)) for n in (23, 12)]
    loader = GroupedLoader(loaders, shuffle=True, seed=5)
    whole = [batch["x"].tolist() for batch in loader]
    loader.first = first
    assert [batch["x"].tolist() for batch in loader] == whole[first:]
    assert len(loader) == len(whole) == 5
    assert [batch["x"].tolist() for batch in loader] == whole


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
