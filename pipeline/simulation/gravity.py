"""Softened gravity by direct summation: accelerations and energies that belong to each other.

All functions take positions of shape ``(..., stars, 3)`` and masses that broadcast to
``(..., stars)``. NumPy arrays are computed in float64 by compiled kernels on the CPU.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Reorder and contract sums, but keep NaN and infinity, which reveal a mistake.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}


def accelerations(x: Array, mass: ArrayLike, softening: float, G: float = 1.0) -> Array:
    """Acceleration of every star.

    ``a_i = G sum_j m_j (x_j - x_i) / (|x_j - x_i|^2 + softening^2)^(3/2)`` (Plummer 1911 softening;
    Dehnen & Read 2011, eq. 2).

    Args:
        x: positions, shape ``(..., stars, 3)``.
        mass: masses, broadcast to ``(..., stars)``.
        softening: Plummer length.
        G: constant of gravity.

    Returns:
        Accelerations, shape ``(..., stars, 3)``.
    """
    systems, gm = _systems(x, mass, G)
    return _accelerations(systems, gm, softening**2).reshape(x.shape)


def potential_energy(x: Array, mass: ArrayLike, softening: float, G: float = 1.0) -> Array:
    """Potential energy ``-G sum_{i<j} m_i m_j / sqrt(|x_j - x_i|^2 + softening^2)``, shape ``(...)``."""
    systems, m = _systems(x, mass, 1.0)
    return G * _potential_energy(systems, m, softening**2).reshape(x.shape[:-2])


def kinetic_energy(v: Array, mass: ArrayLike) -> Array:
    """Kinetic energy ``sum_i m_i |v_i|^2 / 2``, shape ``(...)``."""
    return 0.5 * (np.asarray(mass) * np.square(v).sum(-1)).sum(-1)


def total_energy(x: Array, v: Array, mass: ArrayLike, softening: float, G: float = 1.0) -> Array:
    """Energy conserved by :func:`accelerations`, shape ``(...)``."""
    return kinetic_energy(v, mass) + potential_energy(x, mass, softening, G)


def closest_approach(x: Array) -> Array:
    """Smallest distance between two stars, shape ``(...)``."""
    return _closest_approach(x.reshape(-1, *x.shape[-2:])).reshape(x.shape[:-2])


def _systems(x: Array, mass: ArrayLike, G: float) -> tuple[Array, Array]:
    """Positions ``(systems, stars, 3)`` and G times masses ``(systems, stars)``."""
    gm = np.broadcast_to(G * np.asarray(mass, dtype=np.float64), x.shape[:-1])
    return x.reshape(-1, *x.shape[-2:]), gm.reshape(-1, x.shape[-2])


@njit(parallel=True, fastmath=FASTMATH, cache=True, error_model="numpy")
def _accelerations(x: Array, gm: Array, softening2: float) -> Array:
    systems, stars, _ = x.shape
    a = np.empty(x.shape)
    for row in prange(systems * stars):
        s, i = divmod(row, stars)
        ax = ay = az = 0.0
        for j in range(stars):
            dx, dy, dz = x[s, j, 0] - x[s, i, 0], x[s, j, 1] - x[s, i, 1], x[s, j, 2] - x[s, i, 2]
            r2 = dx * dx + dy * dy + dz * dz + softening2
            w = gm[s, j] / (r2 * np.sqrt(r2)) if j != i else 0.0
            ax += w * dx
            ay += w * dy
            az += w * dz
        a[s, i, 0], a[s, i, 1], a[s, i, 2] = ax, ay, az
    return a


@njit(parallel=True, fastmath=FASTMATH, cache=True, error_model="numpy")
def _potential_energy(x: Array, m: Array, softening2: float) -> Array:
    systems, stars, _ = x.shape
    energy = np.empty(systems)
    for s in prange(systems):
        total = 0.0
        for i in range(stars):
            for j in range(i + 1, stars):
                dx, dy, dz = x[s, j, 0] - x[s, i, 0], x[s, j, 1] - x[s, i, 1], x[s, j, 2] - x[s, i, 2]
                total -= m[s, i] * m[s, j] / np.sqrt(dx * dx + dy * dy + dz * dz + softening2)
        energy[s] = total
    return energy


@njit(parallel=True, cache=True)
def _closest_approach(x: Array) -> Array:
    systems, stars, _ = x.shape
    closest = np.empty(systems)
    for s in prange(systems):
        least = np.inf
        for i in range(stars):
            for j in range(i + 1, stars):
                dx, dy, dz = x[s, j, 0] - x[s, i, 0], x[s, j, 1] - x[s, i, 1], x[s, j, 2] - x[s, i, 2]
                least = min(least, dx * dx + dy * dy + dz * dz)
        closest[s] = np.sqrt(least)
    return closest
