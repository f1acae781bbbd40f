"""The eight symmetries of the square, against rot90 and flip."""

import torch

from lit_modules.networks.symmetry import MIRRORS, random_symmetry, symmetries

NINE = torch.arange(9.0).reshape(1, 1, 3, 3)


def views(images: torch.Tensor) -> set[tuple[float, ...]]:
    return {tuple(image.flatten().tolist()) for image in images}


def test_symmetries_are_turns_and_mirrors() -> None:
    turned = torch.stack([torch.rot90(x, k, (-2, -1)) for x in (NINE, NINE.flip(-1)) for k in range(4)])
    assert views(symmetries(NINE)) == views(turned) and len(views(turned)) == 8
    assert torch.equal(symmetries(NINE)[0], NINE)


def test_mirrors_undo_themselves() -> None:
    assert all(torch.equal(mirror(mirror(NINE)), NINE) for mirror in MIRRORS)


def test_all_eight_are_drawn_and_move_all_images_alike() -> None:
    torch.manual_seed(1)
    images = NINE.expand(200, -1, -1, -1)
    a, b = random_symmetry(images, 10 * images)
    assert torch.equal(b, 10 * a)
    assert views(a) == views(symmetries(NINE))
