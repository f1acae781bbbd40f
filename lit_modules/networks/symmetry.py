"""The eight symmetries of the square, which leave the sky as likely as it was: it knows no up and no mirror."""

from collections.abc import Callable

import torch
from torch import Tensor

# Three that undo themselves: one of them or not, for each, makes all eight.
MIRRORS: tuple[Callable[[Tensor], Tensor], ...] = (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT)


def random_symmetry(*images: Tensor) -> list[Tensor]:
    """Turn and mirror each picture of a batch by a random one of the eight symmetries.

    Args:
        images: any number of tensors (B, C, size, size), which move alike, picture by picture.
    """
    moved = list(images)
    for mirror in MIRRORS:
        chosen = torch.rand(len(moved[0]), 1, 1, 1, device=moved[0].device) < 0.5
        moved = [torch.where(chosen, mirror(x), x) for x in moved]
    return moved


def symmetries(images: Tensor) -> Tensor:
    """All eight turns and mirrors of pictures, themselves first; (..., size, size) -> (8, ..., size, size)."""
    views = images[None]
    for mirror in MIRRORS:
        views = torch.cat([views, mirror(views)])
    return views
