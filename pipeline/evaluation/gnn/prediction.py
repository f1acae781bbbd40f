"""The graph network asked about your own systems."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from datamodules.nbody import tensors
from datamodules.trajectories import Systems, at_rest, systems_by_stars, table_of
from lit_modules.gnn import LitGNN, distances, speeds
from pipeline.errors import InputError
from pipeline.evaluation.common.result import Animation, Picture, Result, style
from pipeline.evaluation.gnn.evaluation import at_end, masses, network
from pipeline.evaluation.gnn.figures import track_figure
from pipeline.evaluation.gnn.film import FRAMES, SECONDS, rollout_frames
from pipeline.evaluation.gnn.measures import Array, Run, drifts, relative_error
from pipeline.inputs.star_tables import StarTable, read_star_table
from pipeline.inputs.star_units import NBODY, OURS

if TYPE_CHECKING:
    import polars as pl

AHEAD = 10  # outputs to predict where the file has a single state
SHOWN = 3  # systems drawn
LONGEST = 0.4  # seconds that a frame stays, of few
MOST_PAIRS = 1 << 17  # of stars that the network looks at together: some 2 GB
Shown = tuple[list[Array], list[Array], list[str]]


@torch.no_grad()
def predict(models: list[LitGNN], path: Path, units: str | None = None) -> Result:
    """Roll every system of a table out from its first state, and compare with the rest of the file if there is more.

    Args:
        models: the network.
        path: a CSV, Parquet file or AMUSE's HDF5.
        units: of the table and of the answers, such as ``pc Msun Myr``; None: those of the training data.

    Raises:
        InputError: the file is no good, or its stars or its output step are not those of the training.
    """
    (model,) = models
    table = read_star_table(path, units)
    converted = table.units.name != NBODY  # by --units, or those of AMUSE's file
    physical = converted or (table.law is not None and table.law.length_unit == OURS["length_unit"])
    if model.in_parsecs and not physical and units is None:
        raise InputError(f"{path}: the network was trained in physical units; state --units, such as 'pc Msun Myr'")
    groups = systems_by_stars(table.frame, str(path))
    check_size(groups, path)
    times, dt = groups[0]["time"][0], float(model.net.time)
    steps = len(times) - 1 or AHEAD
    if len(times) > 1 and abs((times[1] - times[0]) / dt - 1) > 1e-3:
        apart, step = (length / table.units.time for length in (times[1] - times[0], dt))
        raise InputError(
            f"{path}: outputs are {apart:g} apart, but the network steps by {step:g} "
            f"({'G = 1' if units is None else units}); "
            "state --units if the table has others, give outputs so far apart, or train on yours"
        )
    if len(times) > 1:
        dt = float(times[1] - times[0])  # without the rounding of the network's own
    warnings = [*table.warnings, *outside(model, groups, table)]
    if physical and not model.in_parsecs:
        warnings.append("the network was trained in N-body units of no size: a parsec was taken as its unit of length")
    forecasts = [forecast(model, group, steps) for group in groups]
    runs = [Run(group["position"], group["velocity"]) for group in groups]
    metrics = measures(groups, forecasts, runs) | {"steps": steps, "time_step": dt / table.units.time}
    if converted:
        metrics["units"] = table.units.name
    metrics["warnings"] = warnings
    rows = table.as_named(table.units.from_ours(rows_of(groups, forecasts, dt)))
    drawn, unit = shown(groups, runs, forecasts, table), table.units.length_name
    end = f"{steps * dt / table.units.time:.4g}"
    return Result(metrics, [tracks(drawn, unit)], tables={"forecast": rows}, animations=[film(drawn, unit, end)])


def forecast(model: LitGNN, systems: Systems, steps: int) -> Run:
    """Rollouts from the first states of systems of one number of stars, computed at rest at the origin."""
    resting, centre = at_rest(systems | {name: systems[name][:, :1] for name in ("position", "velocity", "time")})
    seen = tensors(resting)
    if model.settings.attribute == "none" and "mass" in seen and (seen["mass"] == seen["mass"][0, 0]).all():
        del seen["mass"]  # all equal, as those that the network has learned
    run = rollouts(model, Run(resting["position"][:, 0], resting["velocity"][:, 0]), model.attribute(seen), steps)
    ahead = float(model.net.time) * np.arange(steps + 1)[:, None, None]
    return Run(run.x + centre["position"] + centre["velocity"] * ahead, run.v + centre["velocity"])


def rollouts(model: LitGNN, start: Run, attribute: torch.Tensor | None, steps: int) -> Run:
    """Those of the network, of as many systems at once as memory is meant to hold."""
    systems, stars, _ = start.x.shape
    at_once = MOST_PAIRS // pairs(stars)
    parts = [slice(first, first + at_once) for first in range(0, systems, at_once)]
    runs = [
        network(model, Run(start.x[part], start.v[part]), None if attribute is None else attribute[part], steps)
        for part in parts
    ]
    return Run(*(np.concatenate(states) for states in zip(*runs, strict=True)))


def pairs(stars: int) -> int:
    """Pairs of stars in a system."""
    return stars * (stars - 1) // 2


def check_size(groups: list[Systems], path: Path) -> None:
    """Refuse systems whose pairs of stars would fill the memory.

    Raises:
        InputError: there is one.
    """
    stars = groups[-1]["position"].shape[2]
    if pairs(stars) > MOST_PAIRS:
        raise InputError(
            f"{path}: a system of {stars:,} stars, but the network looks at all pairs of them, {MOST_PAIRS:,} at most; "
            "give systems as small as those of the training"
        )


def measures(groups: list[Systems], forecasts: list[Run], runs: list[Run]) -> dict[str, Any]:
    """How many systems of how many stars, what the forecasts keep, and how far they are from the rest of the file."""
    stars = [group["position"].shape[2] for group in groups]
    metrics: dict[str, Any] = {"systems": sum(len(group["N_sim"]) for group in groups)}
    metrics |= {"stars": stars[0]} if len(stars) == 1 else {"fewest_stars": stars[0], "most_stars": stars[-1]}
    kept = [
        drifts(predicted, masses(tensors(group), None), None)
        for group, predicted in zip(groups, forecasts, strict=True)
    ]
    for what in kept[0]:
        metrics[f"{what}_error_median"] = at_end(np.concatenate([change[what] for change in kept]))
    if runs[0].x.shape[1] > 1:
        pairs = zip(forecasts, runs, strict=True)
        error = np.concatenate([relative_error(predicted, given) for predicted, given in pairs])
        metrics |= {"position_error_median": at_end(error), "position_error_largest": float(error[:, -1].max())}
    return metrics


def outside(model: LitGNN, groups: list[Systems], table: StarTable) -> Iterator[str]:
    """Warnings where first states lie outside what the network was trained on, in the units of the table."""
    starts = [tensors(at_rest(group)[0]) for group in groups]
    scale = table.units
    ranges: dict[str, tuple[torch.Tensor, list[torch.Tensor], float]] = {
        "numbers of stars": (model.stars_range, [torch.tensor([group["position"].shape[2]]) for group in starts], 1.0),
        "distances of stars": (model.distance_range, [distances(g["position"][:, 0]) for g in starts], scale.length),
        "speeds": (model.speed_range, [speeds(group["velocity"][:, 0]) for group in starts], scale.speed),
    }
    if "mass" in starts[0]:
        ranges["masses"] = (model.attribute_range, [group["mass"] for group in starts], scale.mass)
    if "charge" in starts[0]:
        ranges["charges"] = (model.attribute_range, [group["charge"] for group in starts], 1.0)
    if "mass" in starts[0] and model.settings.attribute == "none" and not model.attribute_range.isfinite().all():
        yield "masses are left out: the network was trained on stars of one mass, which nothing tells"
    for what, (known, values, unit) in ranges.items():
        low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
        least, most = (float(bound) for bound in known)
        if low < least - 1e-5 * abs(least) or high > most + 1e-5 * abs(most):
            yield (
                f"{what} from {low / unit:.3g} to {high / unit:.3g} lie outside the training, "
                f"{least / unit:.3g} to {most / unit:.3g}: the forecast may be wrong; check the units or train on yours"
            )


def rows_of(groups: list[Systems], forecasts: list[Run], dt: float) -> "pl.DataFrame":
    """The forecasts as a table of the contract, in our units."""
    found = []
    for group, run in zip(groups, forecasts, strict=True):
        time = group["time"][:, :1] + dt * np.arange(run.x.shape[1])
        found.append(group | {"position": run.x, "velocity": run.v, "time": time})
    return table_of(found)


def shown(groups: list[Systems], runs: list[Run], forecasts: list[Run], table: StarTable) -> Shown:
    """Tracks and forecasts of the first systems of the file, in its units, and what to write over each."""
    first = sorted(
        (float(number), g, k) for g, group in enumerate(groups) for k, number in enumerate(group["N_sim"])
    )[:SHOWN]  # fmt: skip
    labels = [f"system {number:g}" for number, _, _ in first]
    if runs[0].x.shape[1] > 1:
        errors = [relative_error(predicted, given)[:, -1] for predicted, given in zip(forecasts, runs, strict=True)]
        labels = [f"{label}: error {100 * errors[g][k]:.3g} %" for label, (_, g, k) in zip(labels, first, strict=True)]
    true, predicted = ([part[g].x[k] / table.units.length for _, g, k in first] for part in (runs, forecasts))
    return true, predicted, labels


def tracks(drawn: Shown, unit: str) -> Picture:
    """The systems and their forecasts."""
    with style():
        figure = track_figure(*drawn, unit)
    caption = (
        "Rings: the network's forecast from the first state. Lines: the tracks of the file, where it has them. "
        "Errors: those of the last positions, over the size of the system."
    )
    return Picture("tracks", caption, figure)


def film(drawn: Shown, unit: str, end: str) -> Animation:
    """The same in motion."""
    with style():
        frames = rollout_frames(*drawn, unit, end)
    caption = "The systems in motion: dots are the stars of the file, rings the network's forecast at the outputs."
    return Animation("rollout", caption, frames, min(SECONDS * FRAMES / len(frames), LONGEST))
