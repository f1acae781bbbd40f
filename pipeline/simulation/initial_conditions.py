"""Initial positions, velocities and masses of star systems, drawn from a generator."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
COURSE_MASS = 20.0


def course(rng: np.random.Generator, stars: int) -> tuple[Array, Array, Array]:
    """The course's random start: standard normal positions and velocities, total mass 20.

    Returns:
        Positions ``(stars, 3)``, velocities ``(stars, 3)`` in the centre-of-mass frame, masses ``(stars,)``.
    """
    x, v = rng.standard_normal((2, stars, 3))
    return x - x.mean(0), v - v.mean(0), np.full(stars, COURSE_MASS / stars)
