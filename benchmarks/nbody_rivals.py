"""Other ways to move stars by leapfrog, each written as its users would write it.

All take positions and velocities ``(systems, stars, 3)``, equal masses and a softening, and return the
positions and velocities after each step.
"""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


# --- the script: one simulation after another, one row after another -----------------------------------


def script_acceleration(position: Array, mass: Array, softening: float) -> Array:
    """Acceleration by matrices of all separations; as scripts of this kind do, it leaves out pairs at distance zero."""
    x, y, z = position[:, 0:1], position[:, 1:2], position[:, 2:3]
    dx, dy, dz = x.T - x, y.T - y, z.T - z
    inverse_cube = dx**2 + dy**2 + dz**2 + softening**2
    apart = inverse_cube > 0
    inverse_cube[apart] = inverse_cube[apart] ** (-1.5)
    return np.hstack([(dx * inverse_cube) @ mass, (dy * inverse_cube) @ mass, (dz * inverse_cube) @ mass])


def script(x: Array, v: Array, mass: float, dt: float, steps: int, softening: float, path: Path | None) -> Array:
    """Every simulation in its own loop; rows go to csv.writer as they come, if there is a path."""
    systems, stars, _ = x.shape
    masses = np.full((stars, 1), mass)
    saved = np.empty((systems, steps + 1, stars, 6))
    file = path.open("w", newline="") if path else None
    writer = csv.writer(file) if file else None
    if writer:
        writer.writerow(["N_sim", "N_star", "time_step", "x", "y", "z", "vx", "vy", "vz"])
    for simulation in range(systems):
        position, velocity, t = x[simulation].copy(), v[simulation].copy(), 0.0
        acceleration = script_acceleration(position, masses, softening)
        for step in range(steps + 1):
            if step:
                velocity += acceleration * dt / 2
                position += velocity * dt
                acceleration = script_acceleration(position, masses, softening)
                velocity += acceleration * dt / 2
                t += dt
            saved[simulation, step, :, :3], saved[simulation, step, :, 3:] = position, velocity
            if writer:
                for star in range(stars):
                    writer.writerow([simulation, star, round(t, 10), *position[star], *velocity[star]])
    if file:
        file.close()
    return saved


# --- arrays of many systems ------------------------------------------------------------------------------


def leapfrog(force: Callable[[Any], Any], x: Any, v: Any, dt: float, steps: int) -> list[tuple[Any, Any]]:
    """Kick-drift-kick for any array type."""
    path = [(x, v)]
    a = force(x)
    for _ in range(steps):
        v = v + dt / 2 * a
        x = x + dt * v
        a = force(x)
        v = v + dt / 2 * a
        path.append((x, v))
    return path


def numpy_batch(x: Array, v: Array, mass: float, dt: float, steps: int, softening: float, chunk: int = 512) -> None:
    """Vectorised numpy over chunks of systems that stay in the cache."""

    def force(x: Array) -> Array:
        d = x[:, None] - x[:, :, None]
        weight = mass * (np.einsum("sijc,sijc->sij", d, d) + softening**2) ** -1.5
        return np.einsum("sij,sijc->sic", weight, d)

    for first in range(0, len(x), chunk):
        leapfrog(force, x[first : first + chunk], v[first : first + chunk], dt, steps)


def torch_force(mass: float, softening: float) -> Callable[[Any], Any]:
    """Sum over pairs, coordinate by coordinate: the form that torch.compile fuses into one fast loop."""

    def force(x: Any) -> Any:
        import torch

        d = [c[..., None, :] - c[..., :, None] for c in x.unbind(-1)]
        r2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + softening**2
        weight = mass / (r2 * r2.sqrt())
        return torch.stack([(weight * separation).sum(-1) for separation in d], -1)

    return force


def torch_gram_force(mass: float, softening: float, rows: int = 500) -> Callable[[Any], Any]:
    """Eager torch for one large system: matrix products, in blocks of rows that stay in the cache."""

    def force(x: Any) -> Any:
        import torch

        square = (x * x).sum(-1)
        blocks = []
        for block in x.split(rows, dim=-2):
            r2 = (block * block).sum(-1, keepdim=True) + square - 2 * block @ x.T + softening**2
            weight = mass * r2.clamp_(min=softening**2).pow_(-1.5)
            blocks.append(weight @ x - weight.sum(-1, keepdim=True) * block)
        return torch.cat(blocks)

    return force


# --- REBOUND ---------------------------------------------------------------------------------------------


def rebound_simulation(x: Array, v: Array, mass: float, dt: float, softening: float, gravity: str = "basic") -> Any:
    """A REBOUND simulation of one system with its leapfrog."""
    import rebound

    simulation = rebound.Simulation()
    simulation.integrator, simulation.gravity = "leapfrog", gravity
    simulation.dt, simulation.softening = dt, softening
    if gravity == "tree":
        simulation.root_size, simulation.opening_angle2 = 1000.0, 0.25
    for place, velocity in zip(x.tolist(), v.tolist(), strict=True):
        simulation.add(
            m=mass, x=place[0], y=place[1], z=place[2], vx=velocity[0], vy=velocity[1], vz=velocity[2]
        )  # fmt: skip
    return simulation


def rebound_batch(x: Array, v: Array, mass: float, dt: float, steps: int, softening: float) -> Array:
    """Many small systems driven from Python, every output read back."""
    saved = np.empty((len(x), steps + 1, *x.shape[1:], 2))
    places, velocities = np.empty(x.shape[1:]), np.empty(x.shape[1:])
    for k in range(len(x)):
        simulation = rebound_simulation(x[k], v[k], mass, dt, softening)
        for step in range(steps + 1):
            if step:
                simulation.steps(1)
            simulation.serialize_particle_data(xyz=places, vxvyvz=velocities)
            saved[k, step, ..., 0], saved[k, step, ..., 1] = places, velocities
    return saved
