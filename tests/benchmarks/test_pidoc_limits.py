import numpy as np

from benchmarks.pidoc_limits import least_relative_error


def test_least_relative_error_is_found() -> None:
    """Against all statements of a fine grid."""
    possible = np.exp(np.random.default_rng(1).normal(size=(41, 3, 2)))
    grid = np.exp(np.linspace(-3, 1, 4001))
    error = np.abs(1 - grid[:, None, None, None] / possible).mean(1)
    np.testing.assert_allclose(least_relative_error(possible), grid[error.argmin(0)], rtol=1e-3)
