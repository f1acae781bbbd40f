"""Starts of simulations from a file: its first states, with the masses that it has."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datamodules.trajectories import systems_by_stars
from pipeline.errors import InputError, warn
from pipeline.inputs.star_tables import read_star_table
from pipeline.settings.nbody import NBody

Array = NDArray[np.float64]


class Start(NamedTuple):
    """First states: positions and velocities (simulations, stars, 3), masses (simulations, stars)."""

    x: Array
    v: Array
    mass: Array


def starts_of_file(nbody: NBody) -> Start:
    """The first states of ``nbody.initial_file``, in our units; without masses, the stars share that of the course.

    Raises:
        InputError: the file is no good, or its simulations have different numbers of stars.
    """
    path = Path(nbody.initial_file)
    return _read(nbody.initial_file, nbody.units, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=1)
def _read(file: str, units: str, modified: int) -> Start:
    from pipeline.simulation.nbody.initial_conditions import total_mass

    path = Path(file)
    frame = read_star_table(path, units, key="nbody.units").frame
    first = frame.filter(pl.col("time_step") == pl.col("time_step").min().over("N_sim")).with_columns(
        time_step=pl.lit(0.0)
    )
    groups = systems_by_stars(first, file)
    if len(groups) > 1:
        numbers = " and ".join(str(group["position"].shape[2]) for group in groups)
        raise InputError(f"{file}: simulations of {numbers} stars; give nbody.initial_file systems of one size")
    (group,) = groups
    x, v = group["position"][:, 0], group["velocity"][:, 0]
    if "mass" in group:
        return Start(x, v, group["mass"])
    total = total_mass("course")
    warn(f"{file}: no column mass; the stars of a simulation share a mass of {total:g}, as those of the course")
    return Start(x, v, np.full(x.shape[:2], total / x.shape[1]))


def sized(nbody: NBody) -> NBody:
    """The parameters, with the numbers of simulations and stars of ``initial_file`` where they start from it."""
    if nbody.initial_conditions != "file":
        return nbody
    simulations, stars = starts_of_file(nbody).mass.shape
    return nbody.model_copy(update={"n_simulations": simulations, "n_stars": stars})
