"""The graph network asked about your own systems."""

from pathlib import Path
from typing import Any

import torch

from datamodules.nbody import read_trajectories
from lit_modules.gnn import LitGNN
from pipeline.errors import InputError
from pipeline.evaluation.common.result import Picture, Result, style
from pipeline.evaluation.gnn.evaluation import at_end, masses, network, run_of
from pipeline.evaluation.gnn.figures import track_figure
from pipeline.evaluation.gnn.measures import Run, drifts, relative_error

AHEAD = 10  # outputs to predict where the file has a single state


@torch.no_grad()
def predict(models: list[LitGNN], path: Path) -> Result:
    """Roll every system of a CSV out from its first state, and compare with the rest of the file if there is more.

    Raises:
        InputError: the file is no good, or its stars or its output step are not those of the training.
    """
    (model,) = models
    tensors = read_trajectories(path)
    attribute, given = model.attribute(tensors), run_of(tensors)
    times = tensors["time"][0]
    steps, dt = len(times) - 1 or AHEAD, float(model.net.time)
    if len(times) > 1 and abs(float(times[1] - times[0]) / dt - 1) > 1e-3:
        raise InputError(f"{path}: outputs are {times[1] - times[0]:g} apart, but the network steps by {dt:g}")
    predicted = network(model, Run(given.x[:, 0], given.v[:, 0]), attribute, steps)
    metrics: dict[str, Any] = {"systems": len(given.x), "stars": given.x.shape[2], "steps": steps, "time_step": dt}
    mass = masses(tensors, None)
    for kept, change in drifts(predicted, mass, None).items():
        metrics[f"{kept}_error_median"] = at_end(change)
    labels = [f"system {k}" for k in range(len(given.x))][:3]
    if len(times) > 1:
        error = relative_error(predicted, given)
        metrics |= {"position_error_median": at_end(error), "position_error_largest": float(error[:, -1].max())}
        labels = [f"{label}: error {100 * error[k, -1]:.2g} % of the size" for k, label in enumerate(labels)]
    with style():
        figure = track_figure(given.x[:3], predicted.x[:3], labels)
    caption = "Rings: the network's forecast from the first state. Lines: the tracks of the file, where it has them."
    return Result(metrics, [Picture("tracks", caption, figure)])
