"""Softened gravity by direct summation: forces, and the energy that belongs to them.

Public functions take positions of shape ``(..., stars, 3)`` and masses that broadcast to
``(..., stars)``. NumPy arrays are computed in float64 by compiled kernels on all cores; torch
tensors on their own device in their own precision, and can be differentiated.

With the weights ``a_ij = G m_j / (|x_j - x_i|^2 + softening^2)^(3/2)`` the acceleration is
``-(L x)_i``, where ``L = D - A`` is the Laplacian of the complete graph of stars.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numba import config, njit, prange
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]

LANE_STARS = 64  # up to so many stars, systems are integrated side by side in SIMD lanes
TILE = 64  # stars in a tile of a larger system: whole vectors, which stay in the first-level cache
SERIAL_STARS = 512  # up to so many, waking the other cores takes longer than the sum
TASKS = 16  # parts of a force sum: fixed, so that the bytes do not depend on the number of cores
TORCH_PAIRS = 1 << 24  # pairs held in memory at once by the torch backend

# Sums may be reordered and contracted, but NaN and infinity stay: they reveal a mistake. How they are is up to
# the compiler, which may decide anew for a copy of a function in its caller, and so when a kernel is compiled and
# when it comes from the cache: a function that others call is always inlined.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}

_one_parallel_kernel = Lock()  # numba's fallback threading layer is not re-entrant


@overload
def accelerations(x: Array, mass: ArrayLike, softening: float, G: float = 1.0) -> Array: ...
@overload
def accelerations(x: "Tensor", mass: Any, softening: float, G: float = 1.0) -> "Tensor": ...
def accelerations(x: Any, mass: Any, softening: float, G: float = 1.0) -> Any:
    """Acceleration of every star.

    ``a_i = G sum_j m_j (x_j - x_i) / (|x_j - x_i|^2 + softening^2)^(3/2)`` (Plummer softening;
    Dehnen & Read 2011, section 2.2).

    Args:
        x: positions, shape ``(..., stars, 3)``.
        mass: masses, broadcast to ``(..., stars)``.
        softening: Plummer length.
        G: constant of gravity.

    Returns:
        Accelerations, shape ``(..., stars, 3)``.
    """
    if not isinstance(x, np.ndarray):
        return torch_accelerations(x, torch_masses(x, mass, G), softening**2)
    systems, gm = as_systems(x, mass, G)
    if x.shape[-2] > LANE_STARS:
        packs = (pack(s, s, m) for s, m in zip(systems, gm, strict=True))
        a = np.stack([packed_accelerations(p.x, p.gm, softening**2)[:, : x.shape[-2]].T for p in packs])
    else:
        a = np.empty_like(systems)
        in_threads(_small_accelerations, len(systems), systems, gm, softening**2, a)
    return a.reshape(x.shape)


def potential_energy(x: Any, mass: Any, softening: float, G: float = 1.0) -> Any:
    """Potential energy ``-G sum_{i<j} m_i m_j / sqrt(|x_j - x_i|^2 + softening^2)``, shape ``(...)``."""
    if not isinstance(x, np.ndarray):
        return _torch_potential_energy(x, torch_masses(x, mass, 1.0), softening**2) * G
    return invariants(x, np.zeros_like(x), mass, softening, G).energy


def kinetic_energy(v: Any, mass: Any) -> Any:
    """Kinetic energy ``sum_i m_i |v_i|^2 / 2``, shape ``(...)``."""
    mass = np.asarray(mass) if isinstance(v, np.ndarray) else mass
    return 0.5 * (mass * (v * v).sum(-1)).sum(-1)


def total_energy(x: Any, v: Any, mass: Any, softening: float, G: float = 1.0) -> Any:
    """Energy that the softened forces conserve, shape ``(...)``."""
    return kinetic_energy(v, mass) + potential_energy(x, mass, softening, G)


class Invariants(NamedTuple):
    """What a system conserves, and how close its stars are.

    Attributes:
        energy: kinetic and softened potential energy, shape ``(...)``.
        momentum: shape ``(..., 3)``.
        angular_momentum: about the origin, shape ``(..., 3)``.
        closest: smallest distance between two stars, shape ``(...)``.
    """

    energy: Array
    momentum: Array
    angular_momentum: Array
    closest: Array


def invariants(x: Array, v: Array, mass: ArrayLike, softening: float, G: float = 1.0) -> Invariants:
    """Energy, momentum, angular momentum and closest pair of NumPy systems in one pass."""
    systems, m = as_systems(x, mass, 1.0)
    values = np.empty((len(systems), 8))
    in_threads(_invariants, len(systems), systems, v.reshape(systems.shape), m, softening**2, G, values)
    values = values.reshape(*x.shape[:-2], 8)
    return Invariants(values[..., 0], values[..., 1:4], values[..., 4:7], values[..., 7])


# --- many small systems: a thread takes a range of them --------------------------------------------


def as_systems(x: Array, mass: ArrayLike, G: float) -> tuple[Array, Array]:
    """Positions as ``(systems, stars, 3)`` and G times the masses as ``(systems, stars)``."""
    gm = np.broadcast_to(G * np.asarray(mass, dtype=np.float64), x.shape[:-1])
    return x.reshape(-1, *x.shape[-2:]), gm.reshape(-1, x.shape[-2])


def in_threads(kernel: Callable[..., None], count: int, *arguments: Any) -> None:
    """Call ``kernel(first, last, *arguments)``, which releases the GIL, on ranges that cover ``count``."""
    threads = min(config.NUMBA_NUM_THREADS, 1 + count // 256)  # type: ignore[attr-defined]  # set at import
    if threads == 1:
        kernel(0, count, *arguments)
        return
    bounds = [count * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads - 1) as pool:  # this thread takes the first range itself
        others = [pool.submit(kernel, *ends, *arguments) for ends in pairwise(bounds[1:])]
        kernel(0, bounds[1], *arguments)
        for other in others:
            other.result()


@njit(fastmath=FASTMATH, cache=True, error_model="numpy", nogil=True)
def _small_accelerations(first: int, last: int, x: Array, gm: Array, softening2: float, a: Array) -> None:
    stars = x.shape[1]
    for s in range(first, last):
        for i in range(stars):
            ax = ay = az = 0.0
            for j in range(stars):
                if j != i:
                    dx, dy, dz = x[s, j, 0] - x[s, i, 0], x[s, j, 1] - x[s, i, 1], x[s, j, 2] - x[s, i, 2]
                    r2 = dx * dx + dy * dy + dz * dz + softening2
                    w = gm[s, j] / (r2 * np.sqrt(r2))
                    ax += w * dx
                    ay += w * dy
                    az += w * dz
            a[s, i, 0], a[s, i, 1], a[s, i, 2] = ax, ay, az


@njit(fastmath=FASTMATH, cache=True, error_model="numpy", nogil=True)
def _invariants(
    first: int, last: int, x: Array, v: Array, m: Array, softening2: float, G: float, values: Array
) -> None:
    stars = x.shape[1]
    for s in range(first, last):
        kinetic = potential = px = py = pz = lx = ly = lz = 0.0
        closest2 = np.inf
        for i in range(stars):
            x0, x1, x2, v0, v1, v2 = x[s, i, 0], x[s, i, 1], x[s, i, 2], v[s, i, 0], v[s, i, 1], v[s, i, 2]
            mi = m[s, i]
            kinetic += 0.5 * mi * (v0 * v0 + v1 * v1 + v2 * v2)
            px += mi * v0
            py += mi * v1
            pz += mi * v2
            lx += mi * (x1 * v2 - x2 * v1)
            ly += mi * (x2 * v0 - x0 * v2)
            lz += mi * (x0 * v1 - x1 * v0)
            for j in range(i):
                dx, dy, dz = x[s, j, 0] - x0, x[s, j, 1] - x1, x[s, j, 2] - x2
                r2 = dx * dx + dy * dy + dz * dz
                potential += mi * m[s, j] / np.sqrt(r2 + softening2)
                closest2 = min(closest2, r2)
        values[s, 0] = kinetic - G * potential
        values[s, 1], values[s, 2], values[s, 3] = px, py, pz
        values[s, 4], values[s, 5], values[s, 6] = lx, ly, lz
        values[s, 7] = np.sqrt(closest2)


# --- one large system: structure of arrays, tiles shared out among the cores -------------------------


class Packed(NamedTuple):
    """A system as ``(3, padded)`` arrays; padding stars have no mass and wait far away, each at its own place."""

    x: Array
    v: Array
    gm: Array


def pack(x: Array, v: Array, gm: Array) -> Packed:
    """Pack positions ``(stars, 3)``, velocities ``(stars, 3)`` and G times masses ``(stars,)``."""
    padding = -len(x) % TILE
    far = 1e17 * np.arange(1, padding + 1)
    return Packed(
        np.concatenate([x.T, np.broadcast_to(far, (3, padding))], axis=1),
        np.concatenate([v.T, np.zeros((3, padding))], axis=1),
        np.concatenate([gm, np.zeros(padding)]),
    )


def packed_accelerations(x: Array, gm: Array, softening2: float) -> Array:
    """Accelerations ``(3, padded)`` of a packed system, each pair computed once; a large one on all cores."""
    if x.shape[1] <= SERIAL_STARS:
        return _few_tiles(x, gm, softening2)
    with _one_parallel_kernel:
        return _sum_parts(_tiled_accelerations(x, gm, softening2))


def packed_jerks(x: Array, v: Array, gm: Array, softening2: float) -> tuple[Array, Array]:
    """Accelerations and their time derivatives, each ``(3, padded)``."""
    with _one_parallel_kernel:
        return _jerks(x, v, gm, softening2)


@njit(fastmath=FASTMATH, error_model="numpy", forceinline=True)
def _tile_accelerations(x: Array, gm: Array, softening2: float, first: int, a: Array) -> None:
    """Add to ``a`` the pairs inside the tile that begins at ``first``, and its pairs with later tiles."""
    x0, x1, x2, m = x[0, first:], x[1, first:], x[2, first:], gm[first:]
    a0, a1, a2 = a[0, first:], a[1, first:], a[2, first:]
    l0, l1, l2, lm = x0[TILE:], x1[TILE:], x2[TILE:], m[TILE:]  # later tiles
    la0, la1, la2 = a0[TILE:], a1[TILE:], a2[TILE:]
    for i in range(TILE):
        xi, yi, zi, mi = x0[i], x1[i], x2[i], m[i]
        ax = ay = az = 0.0
        for j in range(TILE):
            dx, dy, dz = x0[j] - xi, x1[j] - yi, x2[j] - zi
            r2 = dx * dx + dy * dy + dz * dz + softening2
            w = m[j] / (r2 * np.sqrt(r2)) if j != i else 0.0
            ax += w * dx
            ay += w * dy
            az += w * dz
        for j in range(len(l0)):
            dx, dy, dz = l0[j] - xi, l1[j] - yi, l2[j] - zi
            r2 = dx * dx + dy * dy + dz * dz + softening2
            w = 1.0 / (r2 * np.sqrt(r2))
            wi, wj = mi * w, lm[j] * w
            ax += wj * dx
            ay += wj * dy
            az += wj * dz
            la0[j] -= wi * dx
            la1[j] -= wi * dy
            la2[j] -= wi * dz
        a0[i] += ax
        a1[i] += ay
        a2[i] += az


@njit(fastmath=FASTMATH, cache=True, error_model="numpy", nogil=True)
def _few_tiles(x: Array, gm: Array, softening2: float) -> Array:
    a = np.zeros_like(x)
    for first in range(0, x.shape[1], TILE):
        _tile_accelerations(x, gm, softening2, first, a)
    return a


@njit(parallel=True, fastmath=FASTMATH, cache=True, error_model="numpy")
def _tiled_accelerations(x: Array, gm: Array, softening2: float) -> Array:
    """Acceleration in parts that are still to be summed, shape ``(tasks, 3, padded)``."""
    rows = x.shape[1] // TILE
    tasks = min(TASKS, (rows + 1) // 2)
    parts = np.zeros((tasks, 3, x.shape[1]))
    for task in prange(tasks):
        for turn in range((rows + tasks - 1) // tasks):
            row = turn * tasks + (task if turn % 2 == 0 else tasks - 1 - task)  # to and fro: early rows are longer
            if row < rows:
                _tile_accelerations(x, gm, softening2, row * TILE, parts[task])
    return parts


@njit(parallel=True, cache=True)  # in the order that is written: the compiler's own differs once it is cached
def _sum_parts(parts: Array) -> Array:
    tasks, components, padded = parts.shape
    total = np.empty((components, padded))
    for tile in prange(padded // TILE):
        for c in range(components):
            part = total[c, tile * TILE : (tile + 1) * TILE]
            part[:] = 0.0
            for task in range(tasks):
                for w in range(TILE):
                    part[w] += parts[task, c, tile * TILE + w]
    return total


@njit(parallel=True, fastmath=FASTMATH, cache=True, error_model="numpy")
def _jerks(x: Array, v: Array, gm: Array, softening2: float) -> tuple[Array, Array]:
    """Acceleration and jerk (Makino & Aarseth 1992, eqs. 1 and 2), star by star."""
    a, jerk = np.empty_like(x), np.empty_like(x)
    for i in prange(x.shape[1]):
        ax = ay = az = jx = jy = jz = 0.0
        for j in range(x.shape[1]):
            dx, dy, dz = x[0, j] - x[0, i], x[1, j] - x[1, i], x[2, j] - x[2, i]
            du, dv, dw = v[0, j] - v[0, i], v[1, j] - v[1, i], v[2, j] - v[2, i]
            r2 = dx * dx + dy * dy + dz * dz + softening2 if j != i else 1.0
            w = gm[j] / (r2 * np.sqrt(r2))
            pull = 3.0 * (dx * du + dy * dv + dz * dw) / r2
            ax += w * dx
            ay += w * dy
            az += w * dz
            jx += w * (du - pull * dx)
            jy += w * (dv - pull * dy)
            jz += w * (dw - pull * dz)
        a[0, i], a[1, i], a[2, i] = ax, ay, az
        jerk[0, i], jerk[1, i], jerk[2, i] = jx, jy, jz
    return a, jerk


# --- torch: any device, any precision, differentiable ------------------------------------------------


def torch_masses(x: "Tensor", mass: Any, G: float) -> "Tensor":
    """G times the masses, in the precision and on the device of ``x``, shape ``(..., stars)``."""
    import torch

    return (G * torch.as_tensor(mass, dtype=x.dtype, device=x.device)).expand(x.shape[:-1])


def _row_blocks(x: "Tensor") -> list[slice]:
    """Ranges of stars whose distances to all others fit into memory at once."""
    stars = x.shape[-2]
    size = max(1, TORCH_PAIRS // (x[..., 0].numel()))
    return [slice(first, first + size) for first in range(0, stars, size)]


def _torch_separations(x: "Tensor", rows: slice, softening2: float) -> tuple["Tensor", "Tensor"]:
    """Vectors from the stars ``rows`` to all stars, and their softened squares (1 for a star and itself)."""
    import torch

    d = x[..., None, :, :] - x[..., rows, None, :]
    own = torch.arange(x.shape[-2], device=x.device)
    r2 = (d * d).sum(-1) + softening2
    return d, torch.where(own[rows, None] == own, 1.0, r2)


def torch_accelerations(x: "Tensor", gm: "Tensor", softening2: float) -> "Tensor":
    """Accelerations of :func:`accelerations` for tensors."""
    import torch

    blocks = []
    for rows in _row_blocks(x):
        d, r2 = _torch_separations(x, rows, softening2)
        blocks.append(torch.einsum("...ij,...ijc->...ic", gm[..., None, :] * r2**-1.5, d))
    return torch.cat(blocks, -2)


def torch_jerks(x: "Tensor", v: "Tensor", gm: "Tensor", softening2: float) -> tuple["Tensor", "Tensor"]:
    """Accelerations and their time derivatives for tensors."""
    import torch

    a, jerk = [], []
    for rows in _row_blocks(x):
        d, r2 = _torch_separations(x, rows, softening2)
        dv = v[..., None, :, :] - v[..., rows, None, :]
        weight = gm[..., None, :] * r2**-1.5
        pull = 3 * (d * dv).sum(-1) / r2
        a.append(torch.einsum("...ij,...ijc->...ic", weight, d))
        jerk.append(torch.einsum("...ij,...ijc->...ic", weight, dv - pull[..., None] * d))
    return torch.cat(a, -2), torch.cat(jerk, -2)


def _torch_potential_energy(x: "Tensor", m: "Tensor", softening2: float) -> "Tensor":
    total = x.new_zeros(x.shape[:-2])
    for rows in _row_blocks(x):
        _, r2 = _torch_separations(x, rows, softening2)
        total = total - 0.5 * (m[..., rows, None] * m[..., None, :] / r2.sqrt()).sum((-2, -1))
        total = total + 0.5 * (m[..., rows] ** 2).sum(-1)  # a star and itself, at the distance 1 above
    return total
