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
    indices: Iterable[Index],
    take: Callable[[Index], Batch],
    device: torch.device,
    on_device: Callable[[Batch], Batch] = dict,
    ahead: int = 2,
) -> Iterator[Batch]:
    """The batches ``on_device(take(index))``, in order, on a device.

    On CUDA a thread takes them, copies them from pinned memory and finishes them there, on a stream of its own, while
    the step before runs. Elsewhere nothing is made ahead: the cores have no time to spare.

    Args:
        indices: one a batch.
        take: reads a batch; of memory-mapped files on the CPU, else on the device.
        device: where batches are wanted.
        on_device: what is left to do there.
        ahead: batches made ahead.
    """
    if device.type != "cuda":
        for index in indices:
            yield on_device({name: tensor.to(device) for name, tensor in take(index).items()})
        return
    stream, current = torch.cuda.Stream(device), torch.cuda.current_stream(device)
    stream.wait_stream(current)  # what take reads may still be on its way there

    def copied(index: Index) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(stream):
            batch = {name: _pinned(tensor).to(device, non_blocking=True) for name, tensor in take(index).items()}
            return on_device(batch), stream.record_event()

    for batch, ready in made_ahead(copied, indices, ahead):
        current.wait_event(ready)
        for tensor in batch.values():
            tensor.record_stream(current)  # its memory is free only when the step is through with it
        yield batch


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


def _pinned(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_cuda else tensor.pin_memory()
