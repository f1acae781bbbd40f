"""Simulations as people have them, made with REBOUND."""

import numpy as np
import polars as pl
import pytest


def own_simulations(stars: list[int], *, equal: bool = False, units: str = "Myr pc msun") -> pl.DataFrame:
    """A table with a user's own names of columns, in his order: systems with these numbers of stars, 0 to 2 Myr."""
    rebound = pytest.importorskip("rebound")
    rng = np.random.default_rng(0)
    rows = []
    for number, count in enumerate(stars):
        simulation = rebound.Simulation()
        simulation.units = units.split()
        for _ in range(count):
            x, v = rng.standard_normal(3), 0.5 * rng.standard_normal(3)
            mass = 8.0 if equal else rng.uniform(5, 15)
            simulation.add(m=mass, **dict(zip(("x", "y", "z", "vx", "vy", "vz"), (*x, *v), strict=True)))
        for step in range(11):
            simulation.integrate(0.2 * step)
            for name, body in enumerate(simulation.particles):
                rows.append(
                    {"Time": 0.2 * step, "M": body.m, "Vel_X": body.vx, "Vel_Y": body.vy, "Vel_Z": body.vz,
                     "Pos_X": body.x, "Pos_Y": body.y, "Pos_Z": body.z, "Run": number + 5, "ID": name, "colour": 0.5}
                )  # fmt: skip
    return pl.DataFrame(rows)
