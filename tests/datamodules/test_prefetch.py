"""Batches made ahead: in order, never too many, with their errors, and no thread left behind."""

import threading
import time

import pytest
import torch

from datamodules.prefetch import made_ahead, prefetched, to_device


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_prefetched_batches_come_in_order() -> None:
    def take(k: int) -> int:
        time.sleep(0.002 * (k % 3))
        return k

    assert list(made_ahead(take, range(20), 3)) == list(range(20))
    assert list(made_ahead(take, range(1), 3)) == [0] and list(made_ahead(take, [], 3)) == []
    assert not threads()


def test_no_more_batches_are_made_than_asked_for() -> None:
    made: list[int] = []
    items = made_ahead(made.append, range(20), 2)
    for read in range(1, 5):
        next(items)
        time.sleep(0.05)
        assert made == list(range(read + 2))
    items.close()


def test_prefetched_batches_pass_errors_on() -> None:
    def take(k: int) -> int:
        if k == 2:
            raise OSError("disk gone")
        return k

    read = []
    with pytest.raises(OSError, match="disk gone"):
        for item in made_ahead(take, range(5), 2):
            read.append(item)
    assert read == [0, 1] and not threads()


def test_prefetched_batches_end_with_their_consumer() -> None:
    items = made_ahead(lambda k: k, range(1000), 2)
    assert next(items) == 0 and threads()
    items.close()
    assert not threads()


def test_on_the_cpu_batches_are_taken_when_they_are_asked_for() -> None:
    taken: list[int] = []

    def take(k: int) -> dict[str, torch.Tensor]:
        taken.append(k)
        return {"x": torch.full((2,), float(k))}

    cpu = torch.device("cpu")
    batches = prefetched(range(5), take, cpu)
    assert [next(batches)["x"].tolist(), next(batches)["x"].tolist()] == [[0, 0], [1, 1]]
    assert taken == [0, 1] and not threads()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_on_a_gpu_are_those_of_the_cpu() -> None:
    x, cuda = torch.randn(64, 1000), torch.device("cuda")

    def take(k: int) -> dict[str, torch.Tensor]:
        return {"x": to_device(x[k : k + 2], cuda)}

    for k, batch in enumerate(prefetched(range(62), take, cuda)):
        assert batch["x"].is_cuda and torch.equal(batch["x"].cpu(), x[k : k + 2])
