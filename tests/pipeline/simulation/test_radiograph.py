"""The phantom's line integrals against geometry, and what a radiologist's eye would check."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pipeline.simulation.chest.anatomy import lungs, random_chest
from pipeline.simulation.chest.opacity import opacity
from pipeline.simulation.chest.projection import FIELD, View, ellipsoid, tube
from pipeline.simulation.radiograph import radiograph

STRAIGHT = View(256, 0.0, (0.0, 0.0), 1.0, turn=0.0)


def rng(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)


def test_ellipsoid_chord_is_its_volume() -> None:
    axes = (6.0, 4.0, 3.0)
    x, y = STRAIGHT.grid()
    chord = ellipsoid(x, y, (1.0, -2.0), axes, tilt=0.4)
    assert chord.sum() * STRAIGHT.pixel**2 == pytest.approx(4 / 3 * np.pi * np.prod(axes), rel=2e-3)
    assert chord.max() == pytest.approx(2 * axes[2], rel=1e-3)


@pytest.mark.parametrize("wall", [1.0, 0.3])
@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_tube_is_its_volume_whatever_its_direction(wall: float, angle: float) -> None:
    view = View(256, angle, (0.4, -0.3), 1.1, turn=0.0)
    path = np.array([[-8.0, -5.0, -3.0], [1.0, 0.0, 4.0], [6.0, 7.0, 4.5]])
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    radius = 0.8
    deposited = tube(view, path, radius, wall).sum() * view.pixel**2
    assert deposited == pytest.approx(np.pi * radius**2 * (1 - (1 - wall) ** 2) * length, rel=1e-3)


def test_rod_has_the_chord_of_a_cylinder() -> None:
    """A solid rod in the picture plane: 2 √(r² - d²), to the blur of two pixels that its sampling needs."""
    radius = 2.0
    rod = tube(STRAIGHT, np.array([[0.0, -12.0, 1.0], [0.0, 12.0, 1.0]]), radius)
    x, y = STRAIGHT.grid()
    expected = 2 * np.sqrt(np.clip(radius**2 - x**2, 0, None))
    middle = np.abs(y[:, 0]) < 8
    seen, true = (gaussian_filter(a, 2.0)[middle].mean(axis=0) for a in (rod, expected))
    assert np.abs(seen - true).max() < 0.12 * radius


def test_oblique_rod_looks_denser() -> None:
    """A rod tilted by θ out of the picture plane casts a shadow 1 / cos θ as dense."""
    flat = tube(STRAIGHT, np.array([[0.0, -10.0, 0.0], [0.0, 10.0, 0.0]]), 1.0)
    tilted = tube(STRAIGHT, np.array([[0.0, -10.0, -10.0], [0.0, 10.0, 10.0]]), 1.0)
    middle = slice(110, 146)
    assert tilted[middle].sum() / flat[middle].sum() == pytest.approx(np.sqrt(2), rel=0.02)


def test_pose_turns_the_picture() -> None:
    """A tilted view drops a point where its own grid says that point lies."""
    view = View(200, 0.3, (1.5, -2.0), 1.2, turn=0.0)
    point = np.array([[4.0, 5.0, 0.0]])
    row, column = np.argwhere(view.deposit(point, 1.0))[0]
    x, y = view.grid()
    assert abs(x[row, column] - 4.0) < view.pixel and abs(y[row, column] - 5.0) < view.pixel


def test_turn_moves_what_lies_in_front() -> None:
    """To first order a rotation about the upright axis: x becomes x + z · angle."""
    view = View(360, 0.0, (0.0, 0.0), 1.0, turn=0.1)
    row, column = np.argwhere(view.deposit(np.array([[2.05, 1.05, 8.0]]), 1.0))[0]
    assert (column - 180, row - 180) == (28, 10), "2.05 + 0.8 cm of a tenth of a cm a pixel"


def test_same_draws_same_bytes() -> None:
    first, again = (radiograph(rng(1, 2), 128, covid=True) for _ in range(2))
    assert first.dtype == np.uint8 and first.shape == (128, 128)
    np.testing.assert_array_equal(first, again)
    assert (radiograph(rng(1, 3), 128, covid=True) != first).mean() > 0.5


@pytest.mark.parametrize("k", range(3))
def test_anatomy(k: int) -> None:
    chest = random_chest(rng(k))
    x, y = STRAIGHT.grid()
    air = lungs(chest, x, y, turn=0.0)
    side = FIELD / 256
    litres = air.sum() * side**2 / 1000
    assert 2.5 < litres < 8.0, "an adult's lungs, breathed in"
    assert air[:, x[0] < 0].sum() > 1.05 * air[:, x[0] > 0].sum(), "the heart takes room on the patient's left"
    assert air[np.abs(x) < 1.0].max() < 0.5, "no lung before the spine"
    assert air[(y > chest.base + 2) | (y < chest.apex)].max() < 0.01


def test_opacities_are_mostly_bilateral_peripheral_and_basal() -> None:
    share, bilateral = np.zeros((128, 128)), []
    view = View(128, 0.0, (0.0, 0.0), 1.0, turn=0.0)
    x, y = view.grid()
    for k in range(40):
        chest = random_chest(rng(k))
        patches = opacity(chest, x, y, view.pixel, rng(k, 1))
        assert 0 <= patches.min() and patches.max() < 1
        inside = lungs(chest, x, y, turn=0.0) > 1
        assert patches[inside].max() > 0.04
        bilateral.append(all(patches[inside & (np.sign(x) == sign)].max() > 0.04 for sign in (-1, 1)))
        share += patches / 40
    assert np.mean(bilateral) > 0.75
    assert share[np.abs(x) > 7].mean() > share[np.abs(x) < 4].mean(), "peripheral"
    chest_rows = np.abs(x) < 12
    assert share[chest_rows & (y > 2) & (y < 10)].mean() > 1.3 * share[chest_rows & (y > -12) & (y < -4)].mean()


def test_covid_lungs_are_whiter() -> None:
    """Over many phantoms the lungs' grey level rises, the shoulders' does not."""
    healthy, covid = (
        np.mean([radiograph(rng(k), 96, covid=sick) for k in range(24)], axis=0) for sick in (False, True)
    )
    base = slice(45, 65), np.r_[14:34, 62:82]
    assert covid[base].mean() > healthy[base].mean() + 8
    assert abs(covid[:10].mean() - healthy[:10].mean()) < 5
