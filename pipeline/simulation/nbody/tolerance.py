"""Integration of many star systems with as fine steps as an energy tolerance asks."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.simulation.nbody.gravity import Invariants, invariants
from pipeline.simulation.nbody.hermite6 import ORDER, integrate_adaptively
from pipeline.simulation.nbody.integrators import integrate

Array = NDArray[np.float64]

MOST_SUBSTEPS = 1 << 14  # per output
LEAST_STEP_ERROR = 1e-15  # of hermite6


class Trajectories(NamedTuple):
    """Result of :func:`integrate_to_tolerance`, for ``systems`` systems.

    Attributes:
        x: positions, shape ``(systems, steps + 1, stars, 3)``.
        v: velocities, same shape.
        invariants: at the outputs, shape ``(systems, steps + 1)`` and more.
        energy_error: largest ``|E / E_0 - 1|`` at an output, shape ``(systems,)``.
        substeps: steps per output with which each system was computed; of hermite6 the mean, ``(systems,)``.
        redone: how often each was computed again, ``(systems,)``.
    """

    x: Array
    v: Array
    invariants: Invariants
    energy_error: Array
    substeps: Array
    redone: NDArray[np.int64]


def integrate_to_tolerance(
    x: Array,
    v: Array,
    mass: Array,
    *,
    tolerance: float | None,
    dt: float,
    steps: int,
    substeps: int,
    step_error: float,
    softening: float,
    G: float = 1.0,
    integrator: str = "hermite6",
) -> Trajectories:
    """Integrate, then redo with half the step whichever system misses the energy tolerance, and again.

    The halving ends at :data:`MOST_SUBSTEPS` or :data:`LEAST_STEP_ERROR`; ``energy_error`` tells which systems still
    miss the tolerance.

    Args:
        x: positions at the start, shape ``(systems, stars, 3)``.
        v: velocities, same shape.
        mass: masses, shape ``(systems, stars)``.
        tolerance: largest relative energy error at any output; None: take the first result.
        dt: as in :func:`integrate`, like all that follow.
        steps: number of outputs.
        substeps: steps per output at first, of all integrators but hermite6.
        step_error: of hermite6, at first, see :func:`integrate_adaptively`.
        softening: Plummer length.
        G: constant of gravity.
        integrator: hermite6, or one of :data:`INTEGRATORS`.

    Raises:
        FloatingPointError: an energy is zero, or a result is not finite.
    """
    settings: dict[str, Any] = {"dt": dt, "steps": steps, "softening": softening, "G": G}
    if integrator == "hermite6":
        most = math.floor(math.log2(step_error / LEAST_STEP_ERROR) / ORDER)
    else:
        most = math.floor(math.log2(MOST_SUBSTEPS / substeps))

    def path(rows: Any, halvings: int) -> tuple[Array, Array, Array]:
        start = x[rows], v[rows], mass[rows]
        if integrator == "hermite6":
            xs, vs, count = integrate_adaptively(*start, step_error=step_error / 2 ** (ORDER * halvings), **settings)
            return xs, vs, count / steps
        of_each = substeps << halvings
        xs, vs = integrate(*start, substeps=of_each, integrator=integrator, **settings)
        return xs, vs, np.full(len(xs), float(of_each))

    def attempt(rows: Any, halvings: int) -> Trajectories:
        xs, vs, of_each = path(rows, halvings)
        conserved = invariants(xs, vs, mass[rows, None], softening, G)
        error = np.abs(conserved.energy / conserved.energy[:, :1] - 1).max(1)
        if not np.isfinite(error).all():
            raise FloatingPointError("the energy is zero or not finite")
        return Trajectories(xs, vs, conserved, error, of_each, np.full(len(error), halvings))

    result, halvings = attempt(slice(None), 0), 0
    while tolerance is not None and halvings < most:
        missed, halvings = np.flatnonzero(result.energy_error > tolerance), halvings + 1
        if not len(missed):
            break
        redone = attempt(missed, halvings)
        for old, new in zip(_arrays(result), _arrays(redone), strict=True):
            old[missed] = new
    return result


def _arrays(result: Trajectories) -> list[NDArray[Any]]:
    return [result.x, result.v, *result.invariants, result.energy_error, result.substeps, result.redone]
