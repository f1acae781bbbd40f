"""Hermite integration of sixth order, with steps that follow the motion of each system.

Nitadori & Makino (2008, New Astronomy 13, 498): predict, evaluate acceleration, jerk and snap once, correct. Few stars
move in SIMD lanes, each lane a system at its own time and step, which the next system enters when one has arrived.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from pipeline.simulation.nbody import gravity
from pipeline.simulation.nbody.gravity import FASTMATH, LANE_STARS, invariants
from pipeline.simulation.nbody.integrators import LANES, enter, store

Array = NDArray[np.float64]

ORDER = 6
FIRST_STEP = 1 / 64  # of the time between outputs; it is repeated if it proves too long
LEAST_STEP = 2.0**-14  # likewise
REPEAT = 8.0  # times the error allowed: such a step is repeated
SHORTER, LONGER = 0.3, 2.0  # a step is at least, and at most, so many times the step before


def integrate_adaptively(
    x: Array,
    v: Array,
    mass: ArrayLike,
    *,
    dt: float,
    steps: int,
    step_error: float,
    softening: float,
    G: float = 1.0,
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Move systems of stars through ``steps`` outputs of ``dt``, with as many steps between as their motion asks.

    A system moves the same way, to the last bit, alone or among others.

    Args:
        x: positions at the start, shape ``(systems, stars, 3)``.
        v: velocities, same shape.
        mass: masses, broadcast to ``(systems, stars)``.
        dt: time between outputs.
        steps: number of outputs after the start.
        step_error: of a star's velocity, over the velocity that the whole energy stands for, ``sqrt(2 (K + |W|) / M)``:
            the last term of the interpolated motion, in each step.
        softening: Plummer length.
        G: constant of gravity.

    Returns:
        Positions and velocities at the start and at the outputs, each ``(systems, steps + 1, stars, 3)``, and the
        number of steps of each system.

    Raises:
        FloatingPointError: two stars met without softening, and the result is not finite.
    """
    x, gm = gravity.as_systems(np.ascontiguousarray(x, dtype=np.float64), mass, G)
    v, gm = np.ascontiguousarray(v, dtype=np.float64), np.ascontiguousarray(gm)
    systems, stars, _ = x.shape
    out, count = np.empty((systems, steps + 1, stars, 6)), np.zeros(systems, np.int64)
    allowed2 = step_error**2 * velocity2(x, v, gm, softening)
    arguments = (x, v, gm, softening**2, dt, allowed2, out, count)
    if stars <= LANE_STARS:
        gravity.in_threads(_kernel(stars), systems, *arguments)
    else:
        for s in range(systems):
            count[s] = _one_system(x[s], v[s], gm[s], softening**2, dt, float(allowed2[s]), out[s])
    if not np.isfinite(out[:, -1]).all():  # NaN and infinity never go away
        raise FloatingPointError("the motion is not finite; stars met: use softening")
    return out[..., :3], out[..., 3:], count


def velocity2(x: Array, v: Array, gm: Array, softening: float) -> Array:
    """``2 (K + |W|) / M`` of each system, from kinetic and potential energy and mass, ``(systems,)``.

    It is not zero for stars that start at rest.
    """
    total = gm.sum(1)
    kinetic = 0.5 * (gm * (v * v).sum(-1)).sum(1) / total
    energy = invariants(x, v, gm / total[:, None], softening, 1.0).energy  # in units of G = 1 and mass 1
    potential = (kinetic - energy) * total
    return 2 * (kinetic + potential)


# --- the formulas, of one coordinate of one star, or of arrays of them -----------------------------------------------
# c3, c4, c5 are the next Taylor coefficients of the acceleration, d^k a / dt^k / k!, from the step before.


@njit(inline="always")
def _predicted(h: Any, x: Any, v: Any, a: Any, j: Any, s: Any, c3: Any, c4: Any, c5: Any) -> Any:
    """Position, velocity and acceleration after a time h."""
    new_a = a + h * (j + h * (s / 2 + h * (c3 + h * (c4 + h * c5))))
    new_v = v + h * (a + h * (j / 2 + h * (s / 6 + h * (c3 / 4 + h * c4 / 5))))
    new_x = x + h * (v + h * (a / 2 + h * (j / 6 + h * (s / 24 + h * (c3 / 20 + h * c4 / 30)))))
    return new_x, new_v, new_a


@njit(inline="always")
def _interpolated(h: Any, a: Any, j: Any, s: Any, new_a: Any, new_j: Any, new_s: Any) -> Any:
    """c3 h^3, c4 h^4 and c5 h^5 at the end of a step: of the polynomial through both of its ends."""
    level = a - new_a + h * new_j - h**2 / 2 * new_s
    slope = h * (j - new_j) + h**2 * new_s
    curvature = h**2 / 2 * (s - new_s)
    return (
        -10 * level - 4 * slope - curvature,
        -15 * level - 7 * slope - 2 * curvature,
        -6 * level - 3 * slope - curvature,
    )


@njit(inline="always")
def _corrected(h: Any, x: Any, v: Any, a: Any, j: Any, s: Any, new_a: Any, new_j: Any, new_s: Any) -> Any:
    """Position and velocity at the end of a step, with the derivatives at both of its ends."""
    new_v = v + h / 2 * (a + new_a) + h**2 / 10 * (j - new_j) + h**3 / 120 * (s + new_s)
    new_x = x + h / 2 * (v + new_v) + h**2 / 10 * (a - new_a) + h**3 / 120 * (j + new_j)
    return new_x, new_v


@njit(inline="always")
def _next_step(h: float, error2: float, allowed2: float, dt: float) -> float:
    """Length of the step after one of length h.

    The error goes with the sixth power of the length; the eighth root, a few hardware square roots, damps.
    """
    factor = np.sqrt(np.sqrt(np.sqrt(np.sqrt(allowed2 / max(error2, 1e-300)))))
    factor = factor if factor > SHORTER else SHORTER  # also where it is no number
    return max(min(h * min(factor, LONGER), dt), LEAST_STEP * dt)


@njit(inline="always")
def _too_long(h: float, error2: float, allowed2: float, dt: float) -> bool:
    return error2 > REPEAT**2 * allowed2 and h > 1.01 * LEAST_STEP * dt


@njit(inline="always")
def _fitting(h: float, left: float) -> tuple[float, bool]:
    """A step at most as long as h, of which a whole number ends at the next output; whether this one does."""
    number = np.ceil(left / h * (1 - 1e-9))
    return (left, True) if number <= 1 else (left / number, False)


@njit(inline="always")
def _pair(
    r2: float, dx: float, dy: float, dz: float, du: float, dv: float, dw: float, da: float, db: float, dc: float
) -> Any:
    """Of two stars the weight r^-3, and what it makes jerk and snap, from softened square r2 and differences of state.

    Nitadori & Makino 2008, section 2: alpha = x v / r2, beta = (v^2 + x a) / r2 + alpha^2.
    """
    inverse2 = 1.0 / r2
    alpha = (dx * du + dy * dv + dz * dw) * inverse2
    beta = (du * du + dv * dv + dw * dw + dx * da + dy * db + dz * dc) * inverse2 + alpha * alpha
    jx, jy, jz = du - 3.0 * alpha * dx, dv - 3.0 * alpha * dy, dw - 3.0 * alpha * dz
    sx = da - 6.0 * alpha * jx - 3.0 * beta * dx
    sy = db - 6.0 * alpha * jy - 3.0 * beta * dy
    sz = dc - 6.0 * alpha * jz - 3.0 * beta * dz
    return inverse2 * np.sqrt(inverse2), jx, jy, jz, sx, sy, sz


# --- many small systems in SIMD lanes --------------------------------------------------------------------------------


@njit(inline="always")
def _lane_snaps(
    stars: int, x: Array, v: Array, b: Array, gm: Array, softening2: float, a: Array, j: Array, s: Array
) -> None:
    """Acceleration, jerk and snap; the snap with the predicted acceleration b."""
    a[:] = 0.0
    j[:] = 0.0
    s[:] = 0.0
    for i in range(stars):
        for k in range(i + 1, stars):
            for w in range(LANES):
                dx, dy, dz = x[0, k, w] - x[0, i, w], x[1, k, w] - x[1, i, w], x[2, k, w] - x[2, i, w]
                du, dv, dw = v[0, k, w] - v[0, i, w], v[1, k, w] - v[1, i, w], v[2, k, w] - v[2, i, w]
                da, db, dc = b[0, k, w] - b[0, i, w], b[1, k, w] - b[1, i, w], b[2, k, w] - b[2, i, w]
                r2 = dx * dx + dy * dy + dz * dz + softening2
                weight, jx, jy, jz, sx, sy, sz = _pair(r2, dx, dy, dz, du, dv, dw, da, db, dc)
                wi, wk = gm[i, w] * weight, gm[k, w] * weight
                a[0, i, w] += wk * dx
                a[1, i, w] += wk * dy
                a[2, i, w] += wk * dz
                a[0, k, w] -= wi * dx
                a[1, k, w] -= wi * dy
                a[2, k, w] -= wi * dz
                j[0, i, w] += wk * jx
                j[1, i, w] += wk * jy
                j[2, i, w] += wk * jz
                j[0, k, w] -= wi * jx
                j[1, k, w] -= wi * jy
                j[2, k, w] -= wi * jz
                s[0, i, w] += wk * sx
                s[1, i, w] += wk * sy
                s[2, i, w] += wk * sz
                s[0, k, w] -= wi * sx
                s[1, k, w] -= wi * sy
                s[2, k, w] -= wi * sz


@lru_cache
def _kernel(stars: int) -> Any:
    @njit(fastmath=FASTMATH, cache=True, error_model="numpy", nogil=True)
    def kernel(
        first: int, last: int, x0: Array, v0: Array, gm0: Array, softening2: float, dt: float, allowed2: Array,
        out: Array, count: NDArray[np.int64],
    ) -> None:  # fmt: skip
        shape = (3, stars, LANES)
        x, v, a, j, s = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape)
        c3, c4, c5 = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        new_x, new_v, new_b = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        new_a, new_j, new_s = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        gm, h, inverse = np.zeros((stars, LANES)), np.zeros(LANES), np.zeros(LANES)
        error2, bound2 = np.zeros(LANES), np.ones(LANES)
        wish, left = np.full(LANES, FIRST_STEP * dt), np.full(LANES, dt)
        keep, arrives = np.zeros(LANES, np.bool_), np.zeros(LANES, np.bool_)
        row, t, starting = np.full(LANES, -1), np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
        waiting, moving = first, 0
        for w in range(LANES):  # spare lanes repeat the first system, at rest
            enter(stars, w, min(first + w, last - 1), x0, v0, gm0, x, v, gm)
            if waiting < last:
                row[w], starting[w] = waiting, 2
                waiting, moving = waiting + 1, moving + 1
        while moving > 0:
            for w in range(LANES):
                h[w], arrives[w] = 0.0, False
                if starting[w] == 2:  # two steps of no length: the first finds a and j, the second s
                    store(stars, w, row[w], 0, x, v, out)
                    t[w], left[w], bound2[w] = 1, dt, allowed2[row[w]]
                elif starting[w] == 0 and row[w] >= 0:
                    h[w], arrives[w] = _fitting(wish[w], left[w])
            for c in range(3):
                for i in range(stars):
                    for w in range(LANES):
                        new_x[c, i, w], new_v[c, i, w], new_b[c, i, w] = _predicted(
                            h[w], x[c, i, w], v[c, i, w], a[c, i, w], j[c, i, w], s[c, i, w],
                            c3[c, i, w], c4[c, i, w], c5[c, i, w],
                        )  # fmt: skip
            _lane_snaps(stars, new_x, new_v, new_b, gm, softening2, new_a, new_j, new_s)
            error2[:] = 0.0
            for i in range(stars):
                for w in range(LANES):
                    of_star = 0.0
                    for c in range(3):
                        _, _, last_term = _interpolated(
                            h[w], a[c, i, w], j[c, i, w], s[c, i, w], new_a[c, i, w], new_j[c, i, w], new_s[c, i, w]
                        )
                        of_star += (h[w] * last_term) ** 2
                    error2[w] = max(error2[w], of_star)
            for w in range(LANES):
                moves = h[w] > 0.0
                keep[w] = not (moves and _too_long(h[w], error2[w], bound2[w], dt))
                inverse[w] = 1.0 / h[w] if moves else 0.0
                next_step = _next_step(h[w], error2[w], bound2[w], dt)
                wish[w] = next_step if moves else FIRST_STEP * dt
                left[w] -= h[w] if keep[w] else 0.0
            for c in range(3):
                for i in range(stars):
                    for w in range(LANES):
                        term3, term4, term5 = _interpolated(
                            h[w], a[c, i, w], j[c, i, w], s[c, i, w], new_a[c, i, w], new_j[c, i, w], new_s[c, i, w]
                        )
                        end_x, end_v = _corrected(
                            h[w], x[c, i, w], v[c, i, w], a[c, i, w], j[c, i, w], s[c, i, w],
                            new_a[c, i, w], new_j[c, i, w], new_s[c, i, w],
                        )  # fmt: skip
                        kept, per_h = keep[w], inverse[w]
                        per_h3 = per_h * per_h * per_h
                        c3[c, i, w] = term3 * per_h3 if kept else c3[c, i, w]
                        c4[c, i, w] = term4 * per_h3 * per_h if kept else c4[c, i, w]
                        c5[c, i, w] = term5 * per_h3 * per_h * per_h if kept else c5[c, i, w]
                        x[c, i, w] = end_x if kept else x[c, i, w]
                        v[c, i, w] = end_v if kept else v[c, i, w]
                        a[c, i, w] = new_a[c, i, w] if kept else a[c, i, w]
                        j[c, i, w] = new_j[c, i, w] if kept else j[c, i, w]
                        s[c, i, w] = new_s[c, i, w] if kept else s[c, i, w]
            for w in range(LANES):
                count[max(row[w], 0)] += h[w] > 0.0
                if starting[w] > 0:
                    starting[w] -= 1
                elif arrives[w] and keep[w]:
                    store(stars, w, row[w], t[w], x, v, out)
                    t[w], left[w] = t[w] + 1, dt
                    if t[w] == out.shape[1]:
                        row[w], moving = -1, moving - 1
                        if waiting < last:
                            enter(stars, w, waiting, x0, v0, gm0, x, v, gm)
                            for c in range(3):
                                for i in range(stars):
                                    a[c, i, w] = j[c, i, w] = s[c, i, w] = 0.0
                                    c3[c, i, w] = c4[c, i, w] = c5[c, i, w] = 0.0
                            row[w], starting[w] = waiting, 2
                            waiting, moving = waiting + 1, moving + 1

    return kernel


# --- one larger system, whose stars share a step ---------------------------------------------------------------------


def _one_system(x: Array, v: Array, gm: Array, softening2: float, dt: float, allowed2: float, out: Array) -> int:
    """Fill ``out`` (outputs + 1, stars, 6) from the state ``x``, ``v`` (stars, 3); returns the number of steps."""
    x, v, zero = np.ascontiguousarray(x.T), np.ascontiguousarray(v.T), np.zeros((3, len(x)))
    a, j, _ = _snaps(x, v, zero, gm, softening2)
    a, j, s = _snaps(x, v, a, gm, softening2)
    terms: tuple[Any, ...] = (zero, zero, zero)
    wish, count = FIRST_STEP * dt, 0
    out[0, :, :3], out[0, :, 3:] = x.T, v.T
    for t in range(1, len(out)):
        left, arrives = dt, False
        while not arrives:
            h, arrives = _fitting(wish, left)
            new_x, new_v, new_a = _predicted(h, x, v, a, j, s, *terms)
            derivatives = _snaps(new_x, new_v, new_a, gm, softening2)
            found = _interpolated(h, a, j, s, *derivatives)
            error2 = float(((h * found[2]) ** 2).sum(0).max())
            wish, count = _next_step(h, error2, allowed2, dt), count + 1
            if _too_long(h, error2, allowed2, dt):
                arrives = False
                continue
            x, v = _corrected(h, x, v, a, j, s, *derivatives)
            (a, j, s), terms = derivatives, tuple(term / h**k for k, term in enumerate(found, 3))
            left -= h
        out[t, :, :3], out[t, :, 3:] = x.T, v.T
    return count


def _snaps(x: Array, v: Array, b: Array, gm: Array, softening2: float) -> tuple[Array, Array, Array]:
    """Acceleration, jerk, and snap with the predicted acceleration b, each ``(3, stars)``."""
    a, jerk, snap = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    gravity.in_threads(_snaps_of_some, x.shape[1], x, v, b, gm, softening2, a, jerk, snap)
    return a, jerk, snap


# No prange: its sums are added in another order when the kernel comes from the cache.
@njit(fastmath=FASTMATH, cache=True, error_model="numpy", nogil=True)
def _snaps_of_some(
    first: int,
    last: int,
    x: Array,
    v: Array,
    b: Array,
    gm: Array,
    softening2: float,
    a: Array,
    jerk: Array,
    snap: Array,
) -> None:
    for i in range(first, last):
        ax = ay = az = jx = jy = jz = sx = sy = sz = 0.0
        for k in range(x.shape[1]):
            dx, dy, dz = x[0, k] - x[0, i], x[1, k] - x[1, i], x[2, k] - x[2, i]
            du, dv, dw = v[0, k] - v[0, i], v[1, k] - v[1, i], v[2, k] - v[2, i]
            da, db, dc = b[0, k] - b[0, i], b[1, k] - b[1, i], b[2, k] - b[2, i]
            r2 = dx * dx + dy * dy + dz * dz + softening2 if k != i else 1.0
            cube, ju, jv, jw, su, sv, sw = _pair(r2, dx, dy, dz, du, dv, dw, da, db, dc)
            weight = gm[k] * cube
            ax += weight * dx
            ay += weight * dy
            az += weight * dz
            jx += weight * ju
            jy += weight * jv
            jz += weight * jw
            sx += weight * su
            sy += weight * sv
            sz += weight * sw
        a[0, i], a[1, i], a[2, i] = ax, ay, az
        jerk[0, i], jerk[1, i], jerk[2, i] = jx, jy, jz
        snap[0, i], snap[1, i], snap[2, i] = sx, sy, sz
