"""Batches made ahead of the step that reads them: a GPU waits neither for a disk nor for a copy."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

Batch = dict[str, Tensor]
Index = TypeVar("Index")
Item = TypeVar("Item")


def prefetched(
    indices: Iterable[Index], take: Callable[[Index], Batch], device: torch.device, ahead: int = 2
) -> Iterator[Batch]:
    """The batches ``take(index)``, in order, on a device.

    On CUDA a thread takes them, on a stream of its own, while the step before runs. Elsewhere nothing is made ahead:
    the cores have no time to spare.

    Args:
        indices: one a batch.
        take: reads a batch and brings it to the device, see :func:`to_device`.
        device: where batches are wanted.
        ahead: batches made ahead.
    """
    if device.type != "cuda":
        yield from map(take, indices)
        return
    stream, current = torch.cuda.Stream(device), torch.cuda.current_stream(device)
    stream.wait_stream(current)  # what take reads may still be on its way there

    def taken(index: Index) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(stream):
            return take(index), stream.record_event()

    for batch, ready in made_ahead(taken, indices, ahead):
        current.wait_event(ready)
        for tensor in batch.values():
            tensor.record_stream(current)  # its memory is free only when the step is through with it
        yield batch


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor there; to CUDA it travels from pinned memory, and nothing waits for it."""
    if device.type == "cuda" and not tensor.is_cuda:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def made_ahead(make: Callable[[Index], Item], indices: Iterable[Index], ahead: int) -> Iterator[Item]:
    """``make(index)`` of each index, in order, made by one thread, at most so many ahead of those asked for.

    Errors of ``make`` come out here; the thread ends with this generator.
    """
    thread, remaining = ThreadPoolExecutor(1, "prefetch"), iter(indices)
    try:
        waiting = deque(thread.submit(make, index) for index in islice(remaining, ahead))
        while waiting:
            item = waiting.popleft().result()
            waiting.extend(thread.submit(make, index) for index in islice(remaining, 1))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
