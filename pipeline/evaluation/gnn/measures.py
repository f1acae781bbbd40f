"""How far a forecast of star systems is from the truth, and from the laws of conservation."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.trajectories import Gravity
from pipeline.simulation.nbody.gravity import invariants

Array = NDArray[np.float64]
CAP = 1e9  # what an error counts that is larger, or not finite


class Run(NamedTuple):
    """Positions and velocities of systems at the output times, each (systems, times, n, 3)."""

    x: Array
    v: Array


def capped(error: Array) -> Array:
    """The errors, those of a forecast that ran away being :data:`CAP`."""
    return np.nan_to_num(error, nan=CAP, posinf=CAP).clip(max=CAP)


def squared_error(predicted: Array, true: Array) -> Array:
    """Mean over stars and coordinates of the squared difference of (systems, n, 3), shape (systems,)."""
    with np.errstate(all="ignore"):
        return capped(np.square(predicted - true).mean((-1, -2)))


def relative_error(predicted: Run, true: Run) -> Array:
    """Distance of the stars from the truth over the size of the system, root mean squares, (systems, times)."""
    size = np.square(true.x - true.x.mean(2, keepdims=True)).mean((-1, -2))
    with np.errstate(all="ignore"):
        return capped(np.sqrt(np.square(predicted.x - true.x).mean((-1, -2)) / size))


def drifts(run: Run, mass: Array, gravity: Gravity | None) -> dict[str, Array]:
    """Change of what should be conserved, (systems, times) each.

    Energy is relative to its first value; momentum and angular momentum, which may be zero, to the sums
    of their stars' absolute values. There is no energy without the law of force.
    """
    softening, G = (gravity.softening, gravity.G) if gravity else (0.0, 0.0)
    with np.errstate(all="ignore"):
        held = invariants(run.x, run.v, mass[:, None], softening, G)
        m, x, v = mass, np.linalg.norm(run.x[:, 0], axis=-1), np.linalg.norm(run.v[:, 0], axis=-1)
        changes = {
            "energy": np.abs(held.energy / held.energy[:, :1] - 1),
            "momentum": np.linalg.norm(held.momentum - held.momentum[:, :1], axis=-1) / (m * v).sum(1)[:, None],
            "angular_momentum": np.linalg.norm(held.angular_momentum - held.angular_momentum[:, :1], axis=-1)
            / (m * x * v).sum(1)[:, None],
        }
    if gravity is None:
        del changes["energy"]
    return {name: capped(change) for name, change in changes.items()}


def time_until(error: Array, limit: float, times: Array) -> Array:
    """First time at which the error of a system (systems, times) is above the limit; the last time if never."""
    above = error > limit
    return np.where(above.any(1), times[above.argmax(1)], times[-1])
