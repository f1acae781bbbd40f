"""The graph network of N-body dynamics: one step, many steps and what they conserve, beside baselines."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from datamodules.nbody import NBodyDataModule
from datamodules.trajectories import Gravity, Units
from lit_modules.gnn import LitGNN
from pipeline.errors import InputError
from pipeline.evaluation.common.bootstrap import scored
from pipeline.evaluation.common.result import Animation, Picture, Result, compared, style
from pipeline.evaluation.gnn.figures import AxisUnits, force_law_figure, growth_figure, track_figure
from pipeline.evaluation.gnn.film import SECONDS, rollout_frames
from pipeline.evaluation.gnn.items import end_chart, item_table, thumbnails_of
from pipeline.evaluation.gnn.measures import CAP, Array, Run, drifts, relative_error, squared_error, time_until
from pipeline.evaluation.gnn.settings import Gnn
from pipeline.simulation.nbody.integrators import integrate

LOST = 0.1  # relative position error at which a forecast has lost the stars
LABELS = {
    "loss": "loss of a step",
    "position_mse": "mean square error of a position, as trained",
    "velocity_mse": "mean square error of a velocity, as trained",
    "one_step_position_mse": "mean square error of a position after one step",
    "one_step_position_squared_error_median": "squared error of a position after one step, median",
    "one_step_velocity_mse": "mean square error of a velocity after one step",
    "rollout_position_error": "error of the positions over the size of the system at the end of the rollout, median",
    "rollout_time_until_lost": f"time until that error is {LOST:.0%}, median (the last output: not reached)",
    "rollout_energy_error": "relative error of the energy at the end of the rollout, median",
    "rollout_energy_kept_percent": "systems whose relative error of the energy stays below 1 (%)",
    "rollout_momentum_error": "relative error of the momentum at the end of the rollout, median",
    "rollout_angular_momentum_error": "relative error of the angular momentum at the end of the rollout, median",
}
FINE = 20  # points of a drawn true track for each output


class Errors(NamedTuple):
    """What the forecasts of systems of one number of stars miss, by method.

    Attributes:
        true: the runs, up to the end of the rollout.
        rollout: runs from the first state by method.
        mass: (systems, n).
        position, velocity: squared errors of one step, (windows,) each.
        errors: relative position errors along the rollout, (systems, times) each.
        changes: of what is conserved, (systems, times) each, by method and what.
        windows: one-step windows of each system.
    """

    true: Run
    rollout: dict[str, Run]
    mass: Array
    position: dict[str, Array]
    velocity: dict[str, Array]
    errors: dict[str, Array]
    changes: dict[str, dict[str, Array]]
    windows: int


@torch.no_grad()
def evaluate(model: LitGNN, data: NBodyDataModule, params: Gnn) -> Result:
    """Errors of one step and of a rollout, energy and momentum along it, and the learned force law.

    Systems of each number of stars are forecast together; the measures are over all of them.

    Raises:
        InputError: the runs are shorter than the rollout.
    """
    groups, steps = data.trajectories["test"], params.evaluate.rollout_steps
    gravity = data.units.gravity if data.units else None
    units, law = AxisUnits.of(data.units), "Newton, softened" if gravity and gravity.softening else "Newton"
    times = groups[0]["time"][0].double().numpy()
    times = times - times[0]
    if steps >= len(times):
        raise InputError(f"gnn.evaluate.rollout_steps is {steps}, but a run has {len(times) - 1} outputs; lower it")
    found = [errors_of(model, tensors, data.units, steps) for tensors in groups]
    times = times[: steps + 1]
    position, velocity, errors = (
        merged([getattr(group, name) for group in found]) for name in ("position", "velocity", "errors")
    )
    kept = {
        what: merged([{method: change[what] for method, change in group.changes.items()} for group in found])
        for what in found[0].changes["model"]
    }
    systems = len(errors["model"])
    system = np.repeat(np.arange(systems), found[0].windows)
    lost = {name: time_until(error, LOST, times) for name, error in errors.items()}
    metrics = {
        **scored("one_step_position_mse", position, groups=system),
        **compared("one_step_position_squared_error_median", each(np.median, position)),
        **scored("one_step_velocity_mse", velocity, groups=system),
        **scored("rollout_position_error", errors, at_end),
        **compared("rollout_time_until_lost", each(np.median, lost)),
    }
    for what, change in kept.items():
        metrics |= scored(f"rollout_{what}_error", change, at_end)
        if what == "energy":
            metrics |= compared("rollout_energy_kept_percent", each(below_one, change))
    place = [(group, k) for group in found for k in range(len(group.mass))]
    true, forecast = [g.true.x[k] for g, k in place], [g.rollout["model"].x[k] for g, k in place]
    measured = {"one_step_position_mean_square_error": position["model"].reshape(systems, -1).mean(1)}
    measured |= {
        f"rollout_{what}_error": change["model"][:, -1] for what, change in {"position": errors, **kept}.items()
    }
    with style():
        chosen = np.argsort(errors["model"][:, -1])[[int(q * (systems - 1)) for q in (0.1, 0.5, 0.9)]]
        shown = [(group, slice(k, k + 1)) for group, k in (place[number] for number in chosen)]
        tracks = [smooth(g.true.x[k], g.true.v[k], g.mass[k], times[1], gravity)[0] for g, k in shown]
        rings = [g.rollout["model"].x[k][0] for g, k in shown]
        headings = [f"error {100 * errors['model'][k, -1]:.3g} % of the size" for k in chosen]
        film = Animation(
            "rollout",
            "Three unseen systems in motion: dots are the stars of the simulation, and a ring appears where the "
            "network, told the first state alone, expects a star at an output. A good forecast meets its star.",
            rollout_frames(tracks, rings, headings, units.length, f"{times[-1]:g} ({units.time})"),
            SECONDS,
        )
        pictures = [
            Picture(
                "tracks",
                "Three systems that the network has never seen, from an easy one to a hard one (10th, 50th and 90th "
                "percentile of its error at the end). Lines are the true tracks; rings are the network's forecast at "
                "the output times, made from the first state alone.",
                track_figure(tracks, rings, headings, units.length),
            ),
            Picture(
                "error_growth",
                "How a forecast that is fed its own output loses the stars, and the energy that they should keep. "
                "Lines are medians over the held-out systems; the band holds the middle two thirds of the network's. "
                f"An error that is not finite, or above {CAP:g}, counts as {CAP:g}.",
                growth_figure(times, errors, kept.get("energy", {}), LOST, units.time),
            ),
            Picture(
                "force_law",
                "What the network has learned about two stars at rest: the pull over their distance, and beneath it "
                "how far it is from the dashed law, which it was never told. Grey: distances in the test data.",
                force_law_figure(
                    *force_law(model, [g.true.x for g in found], [g.mass for g in found], gravity), law, units
                ),
            ),
        ]
    return Result(
        metrics,
        pictures,
        judged_by=f"{systems} simulations",
        charts=[end_chart(true, forecast, units.length)],
        animations=[film],
        items=item_table(data.numbers["test"], [len(g.mass[k]) for g, k in place], measured),
        thumbnails=thumbnails_of(true, forecast),
    )


def errors_of(model: LitGNN, tensors: dict[str, Tensor], units: Units | None, steps: int) -> Errors:
    """Forecasts of runs of one number of stars, one step from each output and ``steps`` from the first."""
    true, mass, attribute = run_of(tensors), masses(tensors, units), model.attribute(tensors)
    gravity = units.gravity if units else None
    windows = true.x.shape[1] - 1
    starts, ends = (Run(*(a[:, part].reshape(-1, *a.shape[2:]) for a in true)) for part in (np.s_[:-1], np.s_[1:]))
    repeated = None if attribute is None else attribute.repeat_interleave(windows, 0)
    one_step = forecasts(model, starts, repeated, mass.repeat(windows, 0), 1, gravity)
    true = Run(*(a[:, : steps + 1] for a in true))
    rollout = forecasts(model, Run(true.x[:, 0], true.v[:, 0]), attribute, mass, steps, gravity)
    return Errors(
        true,
        rollout,
        mass,
        {name: squared_error(run.x[:, 1], ends.x) for name, run in one_step.items()},
        {name: squared_error(run.v[:, 1], ends.v) for name, run in one_step.items()},
        {name: relative_error(run, true) for name, run in rollout.items()},
        {name: drifts(run, mass, gravity) for name, run in rollout.items()},
        windows,
    )


def merged(groups: list[dict[str, Array]]) -> dict[str, Array]:
    """Values of all groups by method, one group after another."""
    return {name: np.concatenate([group[name] for group in groups]) for name in groups[0]}


def forecasts(
    model: LitGNN, start: Run, attribute: Tensor | None, mass: Array, steps: int, gravity: Gravity | None
) -> dict[str, Run]:
    """Runs from a first state (systems, n, 3): by the network, in straight lines, by leapfrog if the law is known."""
    dt = float(model.net.time)
    ahead = dt * np.arange(steps + 1)[:, None, None]
    straight = start.x[:, None] + ahead * start.v[:, None]
    found = {
        "model": network(model, start, attribute, steps),
        "constant_velocity": Run(straight, start.v[:, None].repeat(steps + 1, 1)),
    }
    if gravity:
        for name, substeps in (("leapfrog", 1), ("leapfrog_10_substeps", 10)):
            settings: dict[str, Any] = {"softening": gravity.softening, "G": gravity.G, "integrator": "leapfrog"}
            found[name] = Run(*integrate(*start, mass, dt=dt, steps=steps, substeps=substeps, **settings))
    return found


def smooth(x: Array, v: Array, mass: Array, dt: float, gravity: Gravity | None) -> Array:
    """True tracks of runs (systems, times, n, 3), with points between the outputs if the law is known."""
    if gravity is None:
        return x
    steps, softening, G = FINE * (x.shape[1] - 1), gravity.softening, gravity.G
    return integrate(x[:, 0], v[:, 0], mass, dt=dt / FINE, steps=steps, substeps=4, softening=softening, G=G)[0]


def force_law(
    model: LitGNN, positions: list[Array], masses: list[Array], gravity: Gravity | None
) -> tuple[Array, Array, Array | None, Array]:
    """Distances, the learned and the true pull between two average stars at rest, and all distances in the data.

    The data are groups of systems of one number of stars. Charges are taken to be opposite and one.
    """
    kind = model.settings.attribute
    pairs = np.concatenate([separations(x) for x in positions])
    closest, farthest = np.quantile(pairs, (1e-4, 1 - 1e-4))
    r = np.geomspace(closest, farthest, 200)
    two = torch.zeros(len(r), 2, 3, device=model.device)
    two[:, 1, 0] = torch.tensor(r)
    m = np.concatenate([mass.ravel() for mass in masses]).mean()
    attribute = {
        "none": None,
        "mass": torch.full((len(r), 2), m, device=model.device),
        "charge": torch.tensor([[1.0, -1.0]], device=model.device).repeat(len(r), 1),
    }
    learned = model.net.acceleration(two, torch.zeros_like(two), attribute[kind])[:, 0, 0].double().cpu().numpy()
    true = None if gravity is None else gravity.G * m * r / (r**2 + gravity.softening**2) ** 1.5
    return r, learned, true, pairs


def separations(x: Array) -> Array:
    """Distances of all pairs of stars of runs (systems, times, n, 3)."""
    pairs = ~np.eye(x.shape[2], dtype=bool)
    return np.linalg.norm(x[:, :, :, None] - x[:, :, None], axis=-1)[..., pairs].ravel()


def network(model: LitGNN, start: Run, attribute: Tensor | None, steps: int) -> Run:
    """Rollout of the network, in its own precision."""
    x, v = (torch.tensor(part).float().to(model.device) for part in start)
    x, v = model.net.rollout(x, v, None if attribute is None else attribute.to(model.device), steps)
    return Run(x.cpu().double().numpy(), v.cpu().double().numpy())


def run_of(tensors: dict[str, Tensor]) -> Run:
    """The positions and velocities of trajectories."""
    return Run(tensors["position"].double().numpy(), tensors["velocity"].double().numpy())


def masses(tensors: dict[str, Tensor], units: Units | None) -> Array:
    """Masses (systems, n): those of the file, else equal parts of the total, 1 where nothing tells it."""
    if "mass" in tensors:
        return tensors["mass"].double().numpy()
    total = 1.0 if units is None or units.total_mass is None else units.total_mass
    systems, _, n, _ = tensors["position"].shape
    return np.full((systems, n), total / n)


def each(summary: Callable[[Array], Any], values: dict[str, Array]) -> dict[str, float]:
    """One number for each method."""
    return {name: float(summary(value)) for name, value in values.items()}


def at_end(error: Array) -> float:
    """Median over the systems (systems, times) at the last time."""
    return float(np.median(error[:, -1]))


def below_one(error: Array) -> float:
    """Percentage of the systems (systems, times) whose error is below 1 at all times."""
    return 100 * float((error < 1).all(1).mean())
