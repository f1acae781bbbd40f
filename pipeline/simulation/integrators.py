"""Integration of star systems with fixed steps: many small systems at once, in SIMD lanes.

Symplectic schemes are tables of (drift, displacement, kick): after a first kick, each row drifts
the stars, takes the force at positions displaced along the last acceleration, and kicks.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

from pipeline.simulation.gravity import FASTMATH

Array = NDArray[np.float64]
LANES = 64  # systems integrated side by side; long enough for the compiler to fill whole vectors


class Scheme(NamedTuple):
    """Coefficients of a symplectic step of length h.

    Attributes:
        order: of convergence.
        first_kick: in h.
        drifts: in h.
        displacements: in h^2 times acceleration.
        kicks: in h.
    """

    order: int
    first_kick: float
    drifts: tuple[float, ...]
    displacements: tuple[float, ...]
    kicks: tuple[float, ...]


_W1 = 1 / (2 - 2 ** (1 / 3))
_W0 = 1 - 2 * _W1
SCHEMES = {
    # Kick-drift-kick (Verlet 1967).
    "leapfrog": Scheme(2, 1 / 2, (1.0,), (0.0,), (1 / 2,)),
    # Three leapfrogs (Yoshida 1990, eq. 2.11).
    "yoshida4": Scheme(
        4, _W1 / 2, (_W1, _W0, _W1), (0.0, 0.0, 0.0), ((_W0 + _W1) / 2, (_W0 + _W1) / 2, _W1 / 2)
    ),
    # Scheme 4A of Chin (1997), eq. 29; the gradient of the force comes from a second force at
    # positions displaced by h^2 a / 24 (Omelyan 2006), so no Hessian is needed.
    "force_gradient4": Scheme(4, 1 / 6, (1 / 2, 0.0, 1 / 2), (0.0, 1 / 24, 0.0), (0.0, 2 / 3, 1 / 6)),
}


def integrate(
    x: Array,
    v: Array,
    mass: ArrayLike,
    *,
    dt: float,
    steps: int,
    substeps: int = 1,
    softening: float,
    G: float = 1.0,
    integrator: str = "force_gradient4",
) -> tuple[Array, Array]:
    """Move systems of stars through ``steps`` output steps of ``dt``, each in ``substeps``.

    Args:
        x: initial positions, shape ``(..., stars, 3)``.
        v: initial velocities, same shape.
        mass: masses, broadcast to ``(..., stars)``.
        dt: time between outputs.
        steps: number of outputs after the initial one.
        substeps: internal steps per output.
        softening: Plummer length.
        G: constant of gravity.
        integrator: a key of :data:`SCHEMES`.

    Returns:
        Positions and velocities at the ``steps + 1`` output times, each of shape
        ``(..., steps + 1, stars, 3)``.
    """
    x, v = np.asarray(x, dtype=np.float64), np.asarray(v, dtype=np.float64)
    stars = x.shape[-2]
    gm = np.ascontiguousarray(np.broadcast_to(G * np.asarray(mass, dtype=np.float64), x.shape[:-1])).reshape(-1, stars)
    scheme = SCHEMES[integrator]
    table = np.array([scheme.drifts, scheme.displacements, scheme.kicks])
    out = np.empty((len(gm), steps + 1, stars, 6))
    kernel = _lane_kernel(stars)
    kernel(
        np.ascontiguousarray(x).reshape(-1, stars, 3), np.ascontiguousarray(v).reshape(-1, stars, 3),
        gm, softening**2, dt / substeps, substeps, scheme.first_kick, table, out,
    )  # fmt: skip
    out = out.reshape(*x.shape[:-2], steps + 1, stars, 6)
    return out[..., :3], out[..., 3:]


@njit(inline="always")
def _pair_forces(stars: int, lanes: int, x: Array, gm: Array, softening2: float, a: Array) -> None:
    a[:] = 0.0
    for i in range(stars):
        for j in range(i + 1, stars):
            for w in range(lanes):
                dx, dy, dz = x[0, j, w] - x[0, i, w], x[1, j, w] - x[1, i, w], x[2, j, w] - x[2, i, w]
                r2 = dx * dx + dy * dy + dz * dz + softening2
                s = 1.0 / (r2 * np.sqrt(r2))
                si, sj = gm[i, w] * s, gm[j, w] * s
                a[0, i, w] += sj * dx
                a[1, i, w] += sj * dy
                a[2, i, w] += sj * dz
                a[0, j, w] -= si * dx
                a[1, j, w] -= si * dy
                a[2, j, w] -= si * dz


@lru_cache
def _lane_kernel(stars: int) -> Any:
    """Kernel for systems of ``stars`` stars; sizes are constants, so that loops unroll."""
    lanes = LANES

    @njit(parallel=True, fastmath=FASTMATH, cache=True, error_model="numpy")
    def kernel(
        x0: Array, v0: Array, gm0: Array, softening2: float, h: float, substeps: int,
        first_kick: float, table: Array, out: Array,
    ) -> None:  # fmt: skip
        systems, outputs = out.shape[0], out.shape[1]
        for block in prange((systems + lanes - 1) // lanes):
            x, y = np.empty((3, stars, lanes)), np.empty((3, stars, lanes))
            v, a = np.empty((3, stars, lanes)), np.empty((3, stars, lanes))
            gm = np.empty((stars, lanes))
            for w in range(lanes):
                s = min(block * lanes + w, systems - 1)  # spare lanes repeat the last system
                for i in range(stars):
                    gm[i, w] = gm0[s, i]
                    for c in range(3):
                        x[c, i, w], v[c, i, w] = x0[s, i, c], v0[s, i, c]
            _pair_forces(stars, lanes, x, gm, softening2, a)
            for t in range(outputs):
                for _ in range(substeps if t > 0 else 0):
                    v += first_kick * h * a
                    for k in range(table.shape[1]):
                        x += table[0, k] * h * v
                        for c in range(3):
                            for i in range(stars):
                                for w in range(lanes):
                                    y[c, i, w] = x[c, i, w] + table[1, k] * h * h * a[c, i, w]
                        _pair_forces(stars, lanes, y, gm, softening2, a)
                        v += table[2, k] * h * a
                for w in range(min(lanes, systems - block * lanes)):
                    for i in range(stars):
                        for c in range(3):
                            out[block * lanes + w, t, i, c] = x[c, i, w]
                            out[block * lanes + w, t, i, 3 + c] = v[c, i, w]

    return kernel
