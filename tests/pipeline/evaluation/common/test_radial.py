"""Radial profiles of known surfaces, and the ridge against its normal equations."""

import numpy as np

from pipeline.evaluation.common import radial


def test_rings_of_a_shifted_profile() -> None:
    """The mean in rings of a surface that falls with the radius is that radius, wherever its centre is."""
    y, x = 0.25 * np.indices((160, 160))
    maps = np.stack([-np.hypot(y - cy, x - cx) for cy, cx in ((20.0, 20.0), (17.0, 22.0))])
    rings = radial.ring_numbers(maps)[1]
    edges = radial.RINGS
    expected = 2 / 3 * (edges[1:] ** 3 - edges[:-1] ** 3) / (edges[1:] ** 2 - edges[:-1] ** 2)
    np.testing.assert_allclose(-radial.ring_means(maps, rings)[0], expected, rtol=0.03)
    np.testing.assert_allclose(-radial.ring_means(maps, rings)[1][:6], expected[:6], rtol=0.05)


def test_ridge_solves_its_normal_equations() -> None:
    rng = np.random.default_rng(1)
    x, new, y = rng.normal(size=(50, 6)), rng.normal(size=(9, 6)), rng.normal(size=(50, 2))
    z, z_new = ((a - x.mean(0)) / x.std(0) for a in (x, new))
    weights = np.linalg.solve(z.T @ z + np.eye(6), z.T @ (y - y.mean(0)))
    np.testing.assert_allclose(radial.ridge(x, y).predict(new), y.mean(0) + z_new @ weights, rtol=1e-9)
