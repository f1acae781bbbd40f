"""Pictures of tensors: where things stand in them."""

import numpy as np
import pytest
import torch

from lit_modules.examples import GREY, smooth, splat, stretched, tiles, tracks


def test_tiles_stand_side_by_side_and_below_each_other() -> None:
    above, below = torch.rand(3, 1, 2, 4), torch.rand(2, 1, 2, 4)
    picture = tiles(above, below)
    assert picture.shape == (1, 5, 14)
    assert torch.equal(picture[:, :2, 5:9], above[1]) and torch.equal(picture[:, 3:, 5:9], below[1])
    assert (picture[:, 2] == GREY).all() and (picture[:, :, 4] == GREY).all() and (picture[:, 3:, 10:] == GREY).all()


def test_points_stand_right_and_up() -> None:
    points = torch.tensor([[-0.99, -0.99], [0.99, 0.3], [1.5, 0.0], [torch.nan, 0.0]])
    rows, columns = splat(points, 10).nonzero().unbind(1)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(3, 9), (9, 0)]


def test_the_brightest_of_several_points_is_seen() -> None:
    assert splat(torch.zeros(3, 2), 4, torch.tensor([0.2, 0.9, 0.4])).max() == pytest.approx(0.9)


def test_curves_through_a_parabola_are_the_parabola() -> None:
    """A cubic has any polynomial of degree three exactly."""
    t = torch.arange(4.0, dtype=torch.float64)
    position, motion = torch.stack([t, t**2 - t], 1)[:, None], torch.stack([torch.ones(4), 2 * t - 1], 1)[:, None]
    x, y = smooth(position, motion, fine=11)[:, 0].T
    np.testing.assert_allclose(y, x**2 - x, atol=1e-12)
    np.testing.assert_allclose(x, np.concatenate([np.linspace(k, k + 1, 11) for k in range(3)]), atol=1e-12)


def test_tracks_grow_brighter() -> None:
    line = torch.stack([torch.linspace(-0.9, 0.9, 200), torch.zeros(200)], 1)[:, None]
    picture = tracks(line, 20)
    middle = picture[10]
    assert (middle[1:19].diff() >= 0).all() and middle[1] < 0.5 < middle[18]


def test_stretched_by_another() -> None:
    truth = torch.tensor([[[[1.0, 3.0]]], [[[5.0, 5.0]]]])
    assert stretched(truth).flatten().tolist() == [0, 1, 0, 0]
    assert stretched(truth + 1, like=truth).flatten().tolist() == [0.5, 1, 1, 1]
