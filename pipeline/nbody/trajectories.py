"""From the section nbody of params.yaml to trajectories: one simulation, a block of them, a film."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.trajectories import Units
from pipeline.errors import InputError
from pipeline.inputs.star_units import NBODY, OURS
from pipeline.outputs import atomic_file
from pipeline.settings.nbody import NBody

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.nbody.initial_file import Start
    from pipeline.simulation.nbody.animation import StarFilm
    from pipeline.simulation.nbody.tolerance import Trajectories

MOST_ENERGY_ERROR = 1.0  # relative
BLOCK_ROWS = 100_000  # rows computed at once: bounds the memory


def simulate(nbody: NBody, simulations: range) -> "tuple[Trajectories, NDArray[np.float64]]":
    """Trajectories and masses of the given simulations."""
    from pipeline.simulation.nbody.tolerance import integrate_to_tolerance

    x, v, mass = start(nbody, simulations)
    trajectories = integrate_to_tolerance(
        x,
        v,
        mass,
        tolerance=nbody.tolerance,
        dt=nbody.dt,
        steps=nbody.steps,
        substeps=nbody.substeps,
        step_error=nbody.step_error,
        softening=nbody.softening,
        G=nbody.G,
        integrator=nbody.integrator,
    )
    return trajectories, mass


def start(nbody: NBody, simulations: range) -> "Start":
    """Positions, velocities and masses with which simulations begin, drawn or from the file."""
    from pipeline.nbody.initial_file import Start, starts_of_file
    from pipeline.simulation.nbody.initial_conditions import draw

    if nbody.initial_conditions == "file":
        return Start(*(part[simulations.start : simulations.stop] for part in starts_of_file(nbody)))
    drawn = draw(
        nbody.seed,
        simulations,
        stars=nbody.n_stars,
        profile=nbody.initial_conditions,
        king_w0=nbody.king_w0,
        fractal_dimension=nbody.fractal_dimension,
        mass_function=nbody.mass_function,
        mass_segregation=nbody.mass_segregation,
        virial_ratio=nbody.virial_ratio,
        softening=nbody.softening,
        G=nbody.G,
    )
    return Start(*drawn)


def equal_mass(nbody: NBody) -> float | None:
    """Total mass of each system, where all stars are equally heavy; else None."""
    from pipeline.nbody.initial_file import starts_of_file
    from pipeline.simulation.nbody.initial_conditions import total_mass

    if nbody.initial_conditions == "file":
        mass = starts_of_file(nbody).mass
        return float(mass[0].sum()) if (mass == mass[0, 0]).all() else None
    return total_mass(nbody.initial_conditions) if nbody.mass_function == "equal" else None


def simulate_block(nbody: NBody, block: range, part: Path) -> Path:
    """Simulate the systems numbered ``block``; leave their rows in ``part`` and their errors beside it.

    Raises:
        InputError: a close encounter made the numbers run away, or left no energy to speak of.
    """
    import numpy as np

    from pipeline.nbody.trajectory_csv import write_rows

    try:
        with _announcing_compilation():
            paths, mass = simulate(nbody, block)
        check_energy(nbody, block, paths.energy_error)
        with atomic_file(part.with_suffix(".npy")) as temporary:
            np.save(temporary, errors(paths))
        time = np.round(np.arange(nbody.steps + 1) * nbody.dt, 12)
        masses = mass if equal_mass(nbody) is None else None
        with atomic_file(part) as temporary, temporary.open("wb") as rows:
            write_rows(rows, block.start, time, paths.x, paths.v, masses)
    except ArithmeticError as error:
        which = f"simulations {block.start} to {block.stop - 1}"
        raise InputError(f"nbody: {which}: {error}; raise nbody.softening") from error
    return part


def check_energy(nbody: NBody, block: range, error: "NDArray[np.float64]") -> None:
    """Refuse motion that solves no equation, unless a tolerance of null says that it is wanted.

    Raises:
        InputError: a relative energy error is above :data:`MOST_ENERGY_ERROR`.
    """
    worst = int(error.argmax())
    if nbody.tolerance is not None and error[worst] > MOST_ENERGY_ERROR:
        raise InputError(
            f"nbody: simulation {block.start + worst} has a relative energy error of {error[worst]:.2g} with the "
            "finest steps: stars meet; raise nbody.softening or nbody.virial_ratio (nbody.tolerance: null keeps it)"
        )


def errors(paths: "Trajectories") -> "NDArray[np.void]":
    """A record of each simulation: largest errors at any output, the closest pair there, how often it was redone."""
    import numpy as np

    def drift(conserved: "NDArray[np.float64]") -> "NDArray[np.float64]":
        change = conserved - conserved[:, :1]
        return np.sqrt((change * change).sum(-1).max(1))

    conserved = paths.invariants
    columns = {
        "energy": paths.energy_error,
        "momentum": drift(conserved.momentum),
        "angular_momentum": drift(conserved.angular_momentum),
        "closest": conserved.closest.min(1),
        "redone": paths.redone,
    }
    types = [(name, column.dtype) for name, column in columns.items()]
    return np.rec.fromarrays(list(columns.values()), dtype=types)


def summary(nbody: NBody, parts: list[Path]) -> dict[str, Any]:
    """What the run conserved and how close stars came, over all simulations at the output times."""
    import numpy as np

    of = np.concatenate([np.load(part.with_suffix(".npy")) for part in parts])
    names = {
        "energy": "relative_energy_error",
        "momentum": "momentum_error",
        "angular_momentum": "angular_momentum_error",
    }
    quantiles = {"median": 0.5, "p99": 0.99, "max": 1.0}
    report: dict[str, Any] = {
        name: {label: float(f"{np.quantile(of[key], q):.6g}") for label, q in quantiles.items()}
        for key, name in names.items()
    }
    report["simulations"] = len(of)
    report["closest_approach"] = float(f"{of['closest'].min():.6g}")
    report["redone_with_finer_steps"] = int((of["redone"] > 0).sum())
    if nbody.tolerance is not None:
        missed = np.flatnonzero(of["energy"] > nbody.tolerance).tolist()
        report["tolerance_missed"] = len(missed)
        if missed:  # `dvc plots` stumbles over an empty list
            report["simulations_that_missed_it"] = missed
    return report


def units(nbody: NBody) -> Units:
    """Physics of the trajectories: what a reader needs for their forces and energies."""
    physical = nbody.initial_conditions == "file" and nbody.units != NBODY
    words = OURS if physical else dict.fromkeys(OURS, "N-body unit")
    return Units(nbody.G, nbody.softening, equal_mass(nbody), **words)


def film(nbody: NBody, k: int, figure: Any = None) -> "StarFilm":
    """Film of simulation ``k`` through its internal steps, or as many even ones, on a new or the given figure."""
    from pipeline.simulation.nbody.animation import StarFilm

    substeps = math.ceil(simulate(nbody, range(k, k + 1))[0].substeps[0])
    fine = nbody.model_copy(update={"dt": nbody.dt / substeps, "substeps": 1, "tolerance": None})
    paths, mass = simulate(fine, range(k, k + 1))
    return StarFilm(paths.x[0], paths.v[0], mass[0], nbody.t_end, f"Simulation {k}: {nbody.n_stars} stars", figure)


@contextmanager
def _announcing_compilation() -> Iterator[None]:
    """Say so when numba compiles a kernel instead of loading it from its cache."""
    from numba.core import event

    class Announcement(event.Listener):
        said = False

        def on_start(self, _: Any) -> None:
            if not self.said:
                print("compiling the N-body kernels for this machine; they are cached", file=sys.stderr)
            self.said = True

        def on_end(self, _: Any) -> None:
            pass

    with event.install_listener("numba:compile", Announcement()):
        yield
