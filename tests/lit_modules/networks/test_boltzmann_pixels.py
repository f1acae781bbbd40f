"""Stretch, isophotes and symmetries of pictures."""

import torch

from lit_modules.networks.boltzmann.pixels import isophotes, stretch
from lit_modules.networks.symmetry import random_symmetry, symmetries


def test_stretch_goes_from_sky_to_peak_and_ignores_exposure() -> None:
    torch.manual_seed(0)
    images = torch.rand(3, 1, 40, 40)
    grey = stretch(images)
    assert grey.shape == (3, 1600)
    assert float(grey.min()) == 0 and float(grey.max()) == 1
    order = images.flatten(1).argsort(1)
    assert torch.all(grey.gather(1, order).diff(dim=1) >= 0), "brighter stays brighter"
    assert torch.allclose(stretch(0.5 * images + 0.2), grey, atol=1e-5)


def test_stretch_shows_the_faint_and_knows_the_formula() -> None:
    ramp = torch.linspace(0, 1, 1001).view(1, 1, 1, -1)  # sky 0.1, peak 0.995
    grey = stretch(ramp)[0]
    x = torch.tensor((0.2 - 0.1) / (0.995 - 0.1))
    assert torch.allclose(grey[200], torch.asinh(x / 0.1) / torch.asinh(torch.tensor(10.0)), atol=1e-5)
    assert float(grey[200]) > 2 * float(x)


def test_a_blank_picture_is_dark_not_nan() -> None:
    assert torch.equal(stretch(torch.full((2, 1, 5, 5), 0.7)), torch.zeros(2, 25))


def test_the_mean_of_isophotes_is_the_picture() -> None:
    grey = torch.rand(4, 30)
    levels = ((torch.arange(1000) + 0.5) / 1000)[:, None]
    shapes = isophotes(grey[:, None], levels)
    assert set(shapes.unique().tolist()) == {0, 1}
    assert torch.allclose(shapes.mean(1), grey, atol=1e-3)
    assert torch.all(shapes.diff(dim=1) <= 0), "isophotes are nested"


def test_all_eight_symmetries_are_drawn_equally_often() -> None:
    torch.manual_seed(0)
    picture = torch.arange(9.0).view(1, 1, 3, 3)
    eight = symmetries(picture).flatten(1)
    assert len(eight.unique(dim=0)) == 8
    drawn = random_symmetry(picture.expand(8000, -1, -1, -1))[0].flatten(1)
    same = (drawn[:, None] == eight).all(-1).float()
    assert torch.all(same.sum(1) == 1)
    assert torch.allclose(same.mean(0), torch.full((8,), 1 / 8), atol=0.02)
