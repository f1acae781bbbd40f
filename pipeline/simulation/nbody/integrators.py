"""Integration of star systems in fixed steps.

Many systems of few stars are moved side by side, one in each SIMD lane, with all steps inside a
compiled kernel; a larger system, or torch tensors, step by step with all pairs of a force at once.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from pipeline.simulation.nbody import gravity
from pipeline.simulation.nbody.gravity import FASTMATH, LANE_STARS

Array = NDArray[np.float64]

LANES = 64  # systems side by side: whole vectors, for which the compiler needs no remainder


class Scheme(NamedTuple):
    """A symplectic step of length h: a kick, then for each stage a drift, a force and a kick.

    Attributes:
        first_kick: in h, with the acceleration at the end of the step before.
        drifts: in h.
        displacements: of the positions at which the force is taken, in h^2 times the last acceleration.
        kicks: in h.
    """

    first_kick: float
    drifts: tuple[float, ...]
    displacements: tuple[float, ...]
    kicks: tuple[float, ...]


_OUTER = 1 / (2 - 2 ** (1 / 3))
_INNER = 1 - 2 * _OUTER
SCHEMES = {
    # Kick-drift-kick (Verlet 1967).
    "leapfrog": Scheme(1 / 2, (1.0,), (0.0,), (1 / 2,)),
    # Three leapfrogs, the middle one backwards (Yoshida 1990, eq. 4.4).
    "yoshida4": Scheme(
        _OUTER / 2,
        (_OUTER, _INNER, _OUTER),
        (0.0, 0.0, 0.0),
        ((_OUTER + _INNER) / 2, (_OUTER + _INNER) / 2, _OUTER / 2),
    ),
    # Scheme A of Chin (1997). The force gradient comes from a second force, at positions displaced by
    # h^2 a / 24 (Wisdom, Holman & Touma 1996; Omelyan 2006); that keeps momentum to round-off and angular
    # momentum to fourth order.
    "force_gradient4": Scheme(1 / 6, (1 / 2, 0.0, 1 / 2), (0.0, 1 / 24, 0.0), (0.0, 2 / 3, 1 / 6)),
}
INTEGRATORS = (*SCHEMES, "hermite4")


def integrate(
    x: Any,
    v: Any,
    mass: ArrayLike,
    *,
    dt: float,
    steps: int,
    substeps: int = 1,
    softening: float,
    G: float = 1.0,
    integrator: str = "force_gradient4",
) -> tuple[Any, Any]:
    """Move systems of stars through ``steps`` outputs of ``dt``, each in ``substeps`` steps.

    A system moves the same way, to the last bit, alone or among others.

    Args:
        x: positions at the start, shape ``(..., stars, 3)``, NumPy or torch.
        v: velocities, same shape and kind.
        mass: masses, broadcast to ``(..., stars)``.
        dt: time between outputs.
        steps: number of outputs after the start.
        substeps: steps per output.
        softening: Plummer length.
        G: constant of gravity.
        integrator: one of :data:`INTEGRATORS`.

    Returns:
        Positions and velocities at the start and at the outputs, each ``(..., steps + 1, stars, 3)``.

    Raises:
        FloatingPointError: two stars met without softening, and the result is not finite (NumPy only).
    """
    h, softening2 = dt / substeps, softening**2
    if not isinstance(x, np.ndarray):
        return _integrate_torch(x, v, gravity.torch_masses(x, mass, G), h, steps, substeps, softening2, integrator)
    x, gm = gravity.as_systems(np.ascontiguousarray(x, dtype=np.float64), mass, G)
    shape, v = v.shape, np.ascontiguousarray(v, dtype=np.float64).reshape(x.shape)
    systems, stars, _ = x.shape
    out = np.empty((systems, steps + 1, stars, 6))
    if stars <= LANE_STARS:
        gm = np.ascontiguousarray(gm)
        if integrator == "hermite4":
            gravity.in_threads(_hermite_kernel(stars), systems, x, v, gm, softening2, h, substeps, out)
        else:
            scheme = SCHEMES[integrator]
            table = np.array([scheme.drifts, scheme.displacements, scheme.kicks])
            kernel = _symplectic_kernel(stars)
            gravity.in_threads(kernel, systems, x, v, gm, softening2, h, substeps, scheme.first_kick, table, out)
    else:
        for s in range(systems):
            _integrate_packed(gravity.pack(x[s], v[s], gm[s]), h, substeps, softening2, integrator, out[s])
    if not np.isfinite(out[:, -1]).all():  # NaN and infinity never go away
        raise FloatingPointError("the motion is not finite; stars met: use softening or smaller steps")
    out = out.reshape(*shape[:-2], steps + 1, stars, 6)
    return out[..., :3], out[..., 3:]


# --- step by step, for anything with array arithmetic ------------------------------------------------------


def _path(
    x: Any,
    v: Any,
    integrator: str,
    h: float,
    steps: int,
    substeps: int,
    force: Callable[[Any], Any],
    jerk: Callable[[Any, Any], tuple[Any, Any]],
) -> Iterator[tuple[Any, Any]]:
    """Positions and velocities at the start and at each output.

    Args:
        x: positions.
        v: velocities.
        integrator: one of :data:`INTEGRATORS`.
        h: length of a step.
        steps: outputs.
        substeps: steps per output.
        force: acceleration at given positions.
        jerk: acceleration and its time derivative at given positions and velocities.
    """
    state: tuple[Any, ...]
    step: Callable[..., tuple[Any, ...]]
    if integrator == "hermite4":
        state, step = (x, v, *jerk(x, v)), partial(_hermite_step, jerk, h)
    else:
        state, step = (x, v, force(x)), partial(_symplectic_step, force, SCHEMES[integrator], h)
    yield state[0], state[1]
    for _ in range(steps):
        for _ in range(substeps):
            state = step(*state)
        yield state[0], state[1]


def _symplectic_step(force: Callable[[Any], Any], scheme: Scheme, h: float, x: Any, v: Any, a: Any) -> tuple[Any, ...]:
    v = v + scheme.first_kick * h * a
    for drift, displacement, kick in zip(scheme.drifts, scheme.displacements, scheme.kicks, strict=True):
        x = x + drift * h * v
        a = force(x + displacement * h * h * a)
        v = v + kick * h * a
    return x, v, a


def _hermite_step(
    jerk: Callable[[Any, Any], tuple[Any, Any]], h: float, x: Any, v: Any, a: Any, j: Any
) -> tuple[Any, ...]:
    """Predict, evaluate, correct (Makino & Aarseth 1992; as in Hut, Makino & McMillan 1995, eq. 10)."""
    new_a, new_j = jerk(x + h * v + h**2 / 2 * a + h**3 / 6 * j, v + h * a + h**2 / 2 * j)
    new_v = v + h / 2 * (a + new_a) + h**2 / 12 * (j - new_j)
    new_x = x + h / 2 * (v + new_v) + h**2 / 12 * (a - new_a)
    return new_x, new_v, new_a, new_j


def _integrate_packed(
    system: gravity.Packed, h: float, substeps: int, softening2: float, integrator: str, out: Array
) -> None:
    path = _path(
        system.x,
        system.v,
        integrator,
        h,
        len(out) - 1,
        substeps,
        lambda x: gravity.packed_accelerations(x, system.gm, softening2),
        lambda x, v: gravity.packed_jerks(x, v, system.gm, softening2),
    )
    stars = out.shape[1]
    for t, (x, v) in enumerate(path):
        out[t, :, :3], out[t, :, 3:] = x[:, :stars].T, v[:, :stars].T


def _integrate_torch(
    x: Any, v: Any, gm: Any, h: float, steps: int, substeps: int, softening2: float, integrator: str
) -> tuple[Any, Any]:
    import torch

    path = _path(
        x,
        v,
        integrator,
        h,
        steps,
        substeps,
        lambda x: gravity.torch_accelerations(x, gm, softening2),
        lambda x, v: gravity.torch_jerks(x, v, gm, softening2),
    )
    xs, vs = zip(*path, strict=True)
    return torch.stack(xs, -3), torch.stack(vs, -3)


# --- many small systems in SIMD lanes -------------------------------------------------------------------
# The numbers of stars and lanes are constants of a kernel, so that the compiler knows every array's
# shape, unrolls the pairs and fills whole vectors.


@njit(inline="always")
def enter(stars: int, w: int, row: int, x0: Array, v0: Array, gm0: Array, x: Array, v: Array, gm: Array) -> None:
    """Let a system begin in a lane."""
    for i in range(stars):
        gm[i, w] = gm0[row, i]
        for c in range(3):
            x[c, i, w], v[c, i, w] = x0[row, i, c], v0[row, i, c]


@njit(inline="always")
def store(stars: int, w: int, row: int, t: int, x: Array, v: Array, out: Array) -> None:
    """Keep the state of a lane as the output t of its system."""
    for i in range(stars):
        for c in range(3):
            out[row, t, i, c], out[row, t, i, 3 + c] = x[c, i, w], v[c, i, w]


@njit(inline="always")
def _load(stars: int, block: int, x0: Array, v0: Array, gm0: Array, x: Array, v: Array, gm: Array) -> None:
    for w in range(LANES):
        enter(stars, w, min(block + w, len(x0) - 1), x0, v0, gm0, x, v, gm)  # spare lanes repeat the last system


@njit(inline="always")
def _store(stars: int, block: int, last: int, t: int, x: Array, v: Array, out: Array) -> None:
    for w in range(min(LANES, last - block)):
        store(stars, w, block + w, t, x, v, out)


@njit(inline="always")
def _lane_accelerations(stars: int, x: Array, gm: Array, softening2: float, a: Array) -> None:
    a[:] = 0.0
    for i in range(stars):
        for j in range(i + 1, stars):
            for w in range(LANES):
                dx, dy, dz = x[0, j, w] - x[0, i, w], x[1, j, w] - x[1, i, w], x[2, j, w] - x[2, i, w]
                r2 = dx * dx + dy * dy + dz * dz + softening2
                weight = 1.0 / (r2 * np.sqrt(r2))
                wi, wj = gm[i, w] * weight, gm[j, w] * weight
                a[0, i, w] += wj * dx
                a[1, i, w] += wj * dy
                a[2, i, w] += wj * dz
                a[0, j, w] -= wi * dx
                a[1, j, w] -= wi * dy
                a[2, j, w] -= wi * dz


@njit(inline="always")
def _lane_jerks(stars: int, x: Array, v: Array, gm: Array, softening2: float, a: Array, jerk: Array) -> None:
    a[:] = 0.0
    jerk[:] = 0.0
    for i in range(stars):
        for j in range(i + 1, stars):
            for w in range(LANES):
                dx, dy, dz = x[0, j, w] - x[0, i, w], x[1, j, w] - x[1, i, w], x[2, j, w] - x[2, i, w]
                du, dv, dw = v[0, j, w] - v[0, i, w], v[1, j, w] - v[1, i, w], v[2, j, w] - v[2, i, w]
                r2 = dx * dx + dy * dy + dz * dz + softening2
                weight = 1.0 / (r2 * np.sqrt(r2))
                pull = 3.0 * (dx * du + dy * dv + dz * dw) / r2
                wi, wj = gm[i, w] * weight, gm[j, w] * weight
                jx, jy, jz = du - pull * dx, dv - pull * dy, dw - pull * dz
                a[0, i, w] += wj * dx
                a[1, i, w] += wj * dy
                a[2, i, w] += wj * dz
                a[0, j, w] -= wi * dx
                a[1, j, w] -= wi * dy
                a[2, j, w] -= wi * dz
                jerk[0, i, w] += wj * jx
                jerk[1, i, w] += wj * jy
                jerk[2, i, w] += wj * jz
                jerk[0, j, w] -= wi * jx
                jerk[1, j, w] -= wi * jy
                jerk[2, j, w] -= wi * jz


@lru_cache
def _symplectic_kernel(stars: int) -> Any:
    @njit(fastmath=FASTMATH, cache=True, error_model="numpy", nogil=True)
    def kernel(
        first: int, last: int, x0: Array, v0: Array, gm0: Array, softening2: float, h: float, substeps: int,
        first_kick: float, table: Array, out: Array,
    ) -> None:  # fmt: skip
        x, displaced = np.empty((3, stars, LANES)), np.empty((3, stars, LANES))
        v, a, gm = np.empty((3, stars, LANES)), np.empty((3, stars, LANES)), np.empty((stars, LANES))
        for block in range(first, last, LANES):
            _load(stars, block, x0, v0, gm0, x, v, gm)
            _lane_accelerations(stars, x, gm, softening2, a)
            for t in range(out.shape[1]):
                for _ in range(substeps if t > 0 else 0):
                    for c in range(3):
                        for i in range(stars):
                            for w in range(LANES):
                                v[c, i, w] += first_kick * h * a[c, i, w]
                    for k in range(table.shape[1]):
                        drift, displacement, kick = table[0, k] * h, table[1, k] * h * h, table[2, k] * h
                        for c in range(3):
                            for i in range(stars):
                                for w in range(LANES):
                                    x[c, i, w] += drift * v[c, i, w]
                                    displaced[c, i, w] = x[c, i, w] + displacement * a[c, i, w]
                        _lane_accelerations(stars, displaced, gm, softening2, a)
                        for c in range(3):
                            for i in range(stars):
                                for w in range(LANES):
                                    v[c, i, w] += kick * a[c, i, w]
                _store(stars, block, last, t, x, v, out)

    return kernel


@lru_cache
def _hermite_kernel(stars: int) -> Any:
    @njit(fastmath=FASTMATH, cache=True, error_model="numpy", nogil=True)
    def kernel(
        first: int, last: int, x0: Array, v0: Array, gm0: Array, softening2: float, h: float, substeps: int, out: Array
    ) -> None:  # fmt: skip
        x, v, gm = np.empty((3, stars, LANES)), np.empty((3, stars, LANES)), np.empty((stars, LANES))
        a, jerk = np.empty((3, stars, LANES)), np.empty((3, stars, LANES))
        next_x, next_v = np.empty((3, stars, LANES)), np.empty((3, stars, LANES))
        next_a, next_jerk = np.empty((3, stars, LANES)), np.empty((3, stars, LANES))
        for block in range(first, last, LANES):
            _load(stars, block, x0, v0, gm0, x, v, gm)
            _lane_jerks(stars, x, v, gm, softening2, a, jerk)
            for t in range(out.shape[1]):
                for _ in range(substeps if t > 0 else 0):
                    for c in range(3):
                        for i in range(stars):
                            for w in range(LANES):
                                ai, ji = a[c, i, w], jerk[c, i, w]
                                next_x[c, i, w] = x[c, i, w] + h * (v[c, i, w] + h / 2 * (ai + h / 3 * ji))
                                next_v[c, i, w] = v[c, i, w] + h * (ai + h / 2 * ji)
                    _lane_jerks(stars, next_x, next_v, gm, softening2, next_a, next_jerk)
                    for c in range(3):
                        for i in range(stars):
                            for w in range(LANES):
                                old_v, change = v[c, i, w], a[c, i, w] - next_a[c, i, w]
                                mean_a = 0.5 * (a[c, i, w] + next_a[c, i, w])
                                v[c, i, w] += h * (mean_a + h / 12 * (jerk[c, i, w] - next_jerk[c, i, w]))
                                x[c, i, w] += h * (0.5 * (old_v + v[c, i, w]) + h / 12 * change)
                                a[c, i, w], jerk[c, i, w] = next_a[c, i, w], next_jerk[c, i, w]
                _store(stars, block, last, t, x, v, out)

    return kernel
