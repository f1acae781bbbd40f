"""Star systems whose motion is known, and REBOUND's motion of others."""

import numpy as np
import pytest

from pipeline.simulation.nbody import initial_conditions

PERIOD = 2 * np.pi  # of two stars with total mass 1 and semi-major axis 1


def kepler(eccentricity: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two stars of masses 0.7 and 0.3 at apocentre, in their centre-of-mass frame."""
    mass = np.array([0.7, 0.3])
    separation = np.array([1 + eccentricity, 0, 0])
    velocity = np.array([0, np.sqrt((1 - eccentricity) / (1 + eccentricity)), 0])
    share = np.array([-0.3, 0.7])[:, None]
    return share * separation, share * velocity, mass


def random_systems(systems: int, stars: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return initial_conditions.draw(
        3, range(systems), stars=stars, profile="course", king_w0=6.0, fractal_dimension=2.0, mass_function="equal",
        mass_segregation=0.0, virial_ratio=None, softening=0.1, G=1.0,
    )  # fmt: skip


def ias15(x: np.ndarray, v: np.ndarray, mass: np.ndarray, softening: float, times: np.ndarray) -> np.ndarray:
    """Positions by REBOUND's IAS15 (Rein & Spiegel 2015), exact to round-off; shape (times, stars, 3)."""
    rebound = pytest.importorskip("rebound")
    simulation = rebound.Simulation()
    simulation.integrator = "ias15"
    simulation.softening = softening
    for m, place, velocity in zip(mass, x, v, strict=True):
        simulation.add(m=m, x=place[0], y=place[1], z=place[2], vx=velocity[0], vy=velocity[1], vz=velocity[2])
    path = []
    for t in times:
        simulation.integrate(t)
        path.append([particle.xyz for particle in simulation.particles])
    return np.array(path)
