"""The posterior of distance, age and mass of your own cluster."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.map_energy import LOG_LIGHT, Context
from lit_modules.networks.energy.posterior import marginals, quantiles
from pipeline.evaluation.common.maps import outside_training
from pipeline.evaluation.common.result import Result, style
from pipeline.evaluation.ebm.corner import own_cluster
from pipeline.evaluation.ebm.draws import Window, box_draws, calibrated, quantities, with_mass
from pipeline.evaluation.ebm.known import UNITS, Measurements, boxes
from pipeline.inputs.observation import read_observation
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.training_maps import TrainingMaps

NODES = 256  # of a side of the grid
LEVELS = [0.025, 0.16, 0.5, 0.84, 0.975]  # quantiles of a marginal: 95 % and 68 % intervals, median
SUPPORT = 1e-7  # of the probability, that a finer grid may leave out on each side
DRAWS = 4000  # of the posterior, written as a table
SEED = 1  # of them
ECSV = {"kpc": "kpc", "Gyr": "Gyr", "Msun": "solMass", "Lsun": "solLum", "Msun/Lsun": "solMass / solLum"}
QUANTITIES = {**UNITS, "field_mass": "Msun", "field_luminosity": "Lsun", "mass_to_light": "Msun/Lsun"}
EDGE = 0.05  # of the range of log distance, from either end: there the prior cuts the interval off
FAR = 0.99  # content of an interval of the map alone, outside of which what is known contradicts it


@torch.no_grad()
def predict(
    models: list[LitEBM],
    path: Path,
    options: FitsOptions = FitsOptions(),  # noqa: B008
    known: Measurements = Measurements(),  # noqa: B008
) -> Result:
    """State the posterior of distance, age and mass of a cluster, from its flux map and what is known beside it.

    An error of the zero point is part of it: densities are averaged over maps that may be true.

    Args:
        models: the one trained model.
        path: a FITS or NPY map.
        options: what the header of a FITS file leaves open.
        known: distance or age from elsewhere.

    Raises:
        InputError: the file is no usable map, see ``pipeline.inputs.observation``, or what is known is none of the
            clusters that the network knows.
    """
    (model,) = models
    known.check(model)
    seen = read_observation(path, TrainingMaps.of(model), options)
    statistics = seen.statistics(model).float()
    context, generator = model.context(statistics), torch.Generator().manual_seed(SEED)
    window, probability, weights = fine_posterior(model, context, known)
    y = box_draws(known.energy(model, context), DRAWS, generator, window, NODES)
    drawn = quantities(model, with_mass(model, context, y, generator), statistics[:, LOG_LIGHT])
    maps = torch.multinomial(weights.cpu(), DRAWS, True, generator=generator)
    drawn = {name: values.double().cpu()[maps, torch.arange(DRAWS)] for name, values in drawn.items()}
    outside = outside_training(model, statistics)
    metrics: dict[str, Any] = {
        "input": path.name,
        "outside_training": bool(outside),
        "interval": "68 %",
        **on_the_grid(model, window, probability),
        **{name: of_draws(drawn[name], unit) for name, unit in QUANTITIES.items() if name not in UNITS},
        "correlation": {"log_mass_to_light, log_distance": correlation(drawn)},
        "prior": stated_prior(model),
        "known": known.stated(),
    }
    remarks = contradictions(model, context, known) + cut_off(model, metrics) + seen.warnings
    metrics["warnings"] = outside + remarks
    with style():
        picture = own_cluster(path.stem, seen, drawn, metrics)
    return Result(metrics, [picture], tables={"posterior": table(drawn, metrics)})


def fine_posterior(model: LitEBM, context: Context, known: Measurements) -> tuple[Window, Tensor, Tensor]:
    """Probability of distance and age on a grid in the part of the box where they may lie.

    Returns:
        That part; the probability of each cell of a grid in it, (nodes, nodes), summed over the maps that may be true;
        and the weight of each of these, (maps,).
    """
    alone = log_evidence(calibrated(model, context)(grid_of(context)))
    coarse = known.window(model)
    window = support(coarse, gibbs(model, context, known, coarse, alone)[0])
    return window, *gibbs(model, context, known, window, alone)


def gibbs(model: LitEBM, context: Context, known: Measurements, window: Window, alone: Tensor) -> tuple[Tensor, Tensor]:
    """Probability of the cells of a grid in a window, (nodes, nodes), and the weights of the maps, (maps,).

    The mean of the maps' densities, then clamped: a map weighs as much as what is known is probable by it.

    Args:
        model: whose posterior it is.
        context: of the maps that may be true.
        known: what is clamped.
        window: part of the box.
        alone: log evidence of each map without what is known, in all of the box, (maps,).
    """
    energies = known.energy(model, context)(window.at(grid_of(context)))
    weights = torch.softmax(log_evidence(energies) - alone, 0)
    each = torch.softmax(-energies.double(), 1)
    return (weights @ each).unflatten(0, (NODES, NODES)), weights


def grid_of(context: Context) -> Tensor:
    """Points of a grid of the unit box, (nodes², 2), where the embeddings of maps are."""
    return unit_grid(NODES).to(context.embedding)


def log_evidence(energies: Tensor) -> Tensor:
    """Log of the sum of exp(-energy) over the nodes of a grid, (maps, nodes²) -> (maps,)."""
    return torch.logsumexp(-energies.double(), 1)


def support(window: Window, probability: Tensor) -> Window:
    """The part of a window outside of which there is next to no probability, a cell wider on each side."""
    ends = []
    for marginal in marginals(probability[None]):
        inside = (marginal[0] > SUPPORT).nonzero()
        ends.append([max(int(inside.min()) - 1, 0), min(int(inside.max()) + 2, NODES)])
    low, high = (window.at(torch.tensor([float(e[k]) for e in ends]) * (2 / NODES) - 1) for k in (0, 1))
    return Window(low, high)


def on_the_grid(model: LitEBM, window: Window, cells: Tensor) -> dict[str, Any]:
    """Distance and age: quantiles, mean and the most probable point, by quadrature over cells of a grid."""
    best = model.from_box(window.at(unit_grid(NODES).to(cells)[cells.argmax()]))
    stated = {}
    for part, (name, unit) in enumerate(UNITS.items()):
        marginal = marginals(cells[None])[part]
        levels = window.at(quantiles(marginal, LEVELS)[0, :, None].expand(-1, 2))
        nodes = window.at(unit_grid(NODES, 1).to(cells).expand(-1, 2))
        ends = model.from_box(levels)[part].tolist()
        mean = float((marginal[0] * model.from_box(nodes)[part]).sum())
        stated[name] = interval(ends, unit) | {"mean": mean, "most_probable": float(best[part])}
    return stated


def of_draws(draws: Tensor, unit: str) -> dict[str, Any]:
    """A quantity by its draws (n,)."""
    return interval(draws.quantile(draws.new_tensor(LEVELS)).tolist(), unit)


def interval(ends: list[float], unit: str) -> dict[str, Any]:
    """Median, and ends of the intervals of 68 and 95 %, of quantiles at LEVELS."""
    low_95, low, median, high, high_95 = ends
    return {"value": median, "low": low, "high": high, "unit": unit, "low_95": low_95, "high_95": high_95}


def correlation(drawn: dict[str, Tensor]) -> float:
    """Of log M/L and log distance: the further away, the more light the same flux is, for nearly the same mass."""
    pair = torch.stack([drawn["mass_to_light"], drawn["distance"]]).log()
    return float(torch.corrcoef(pair)[0, 1])


def stated_prior(model: LitEBM) -> dict[str, Any]:
    """What was thought possible before the map was seen."""
    box = {name: {"low": low, "high": high, "unit": UNITS[name]} for name, (low, high) in boxes(model).items()}
    return {**box, "clusters": "distances and ages as frequent as among the clusters that the network was trained on"}


def contradictions(model: LitEBM, context: Context, known: Measurements) -> list[str]:
    """Where what is known is hardly possible by the map alone."""
    if not known.given():
        return []
    window, probability, _ = fine_posterior(model, context, Measurements())
    found = []
    for part, (name, unit) in enumerate(UNITS.items()):
        if name in known.given():
            value, error = known.given()[name]
            levels = quantiles(marginals(probability[None])[part], [(1 - FAR) / 2, (1 + FAR) / 2])
            low, high = model.from_box(window.at(levels[0, :, None].expand(-1, 2)))[part].tolist()
            if value + 2 * error < low or value - 2 * error > high:
                found.append(
                    f"by the map alone the {name} is {low:.3g} to {high:.3g} {unit} ({100 * FAR:.0f} %), which the "
                    f"known {value:g} ± {error:g} {unit} contradicts: one of them is wrong, and so may be all answers"
                )
    return found


def cut_off(model: LitEBM, metrics: dict[str, Any]) -> list[str]:
    """Where the 68 % interval of an unknown distance ends with the prior, and not by what the map says."""
    if "distance" in metrics["known"]:
        return []
    nearest, furthest = boxes(model)["distance"]
    margin = (furthest / nearest) ** EDGE
    if nearest * margin <= metrics["distance"]["low"] and metrics["distance"]["high"] <= furthest / margin:
        return []
    return [
        f"the interval of the distance reaches the end of the prior, {nearest:g} to {furthest:g} kpc: the cluster may "
        "lie beyond, and the interval is then too narrow"
    ]


def table(drawn: dict[str, Tensor], metrics: dict[str, Any]) -> Any:
    """The draws as an astropy table with units, and what they must not be read without."""
    from astropy.table import Column, Table

    columns = [Column(drawn[name].numpy(), name, unit=ECSV[unit]) for name, unit in QUANTITIES.items()]
    return Table(columns, meta={name: metrics[name] for name in ("input", "outside_training", "known")})
