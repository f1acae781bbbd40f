"""Batches ahead of those that are at work."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


def prefetched(
    indices: Sequence[Any], take: Callable[[Any], dict[str, Tensor]], device: torch.device | str
) -> Iterator[dict[str, Tensor]]:
    """``take(index)`` of each index, in order."""
    return map(take, indices)
