"""What is measured of the posteriors of many maps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.energy.free_energy import log_gibbs, nll
from lit_modules.networks.energy.map_energy import LOG_LIGHT, Context
from lit_modules.networks.energy.posterior import region_around
from pipeline.evaluation.ebm.draws import calibrated, posterior_draws, quantities

Array = NDArray[Any]

CONTENTS = (50, 68, 90, 95)  # per cent, of regions
DRAWS = 1000  # of the posterior of each map
AT_ONCE = 32  # maps


class Posteriors(NamedTuple):
    """P(y|x) of many maps on a grid of the unit box.

    Attributes:
        log_density: (maps, nodes, nodes), distance along the first of the two.
        at_truth: log density at the true y, (maps,).
    """

    log_density: Tensor
    at_truth: Tensor

    def content(self) -> Tensor:
        """Of the smallest credible region that reaches the truth, (maps,); uniform where the posterior is honest."""
        return region_around(probability(self.log_density), self.log_density, self.at_truth)


@dataclass(frozen=True)
class Seen:
    """Maps in one look each, and what the model says of them.

    Attributes:
        statistics: (maps, N).
        context: all that energies need of the maps.
        truth: distance (kpc), age (Gyr), field_mass (Msun) and mass_to_light, (maps,) each.
        posterior: of distance and age.
        draws: of the posterior, (maps, DRAWS) each, under the names of ``truth``.
    """

    statistics: Tensor
    context: Context
    truth: dict[str, Tensor]
    posterior: Posteriors
    draws: dict[str, Tensor]

    @classmethod
    def of(
        cls, model: LitEBM, statistics: Tensor, truth: dict[str, Tensor], nodes: int, generator: Generator
    ) -> "Seen":
        """From statistics and truth, read by a model."""
        context = model.context(statistics)
        y = model.to_box(truth["distance"], truth["age"])
        posterior = posteriors_of(lambda at: energies(model, context, at), y, nodes)
        draws = quantities(model, posterior_draws(model, context, DRAWS, generator), statistics[:, LOG_LIGHT])
        return cls(statistics, context, truth, posterior, draws)

    def median(self) -> dict[str, Tensor]:
        """Of each quantity, (maps,)."""
        return {name: draws.median(1).values for name, draws in self.draws.items()}

    def ranks(self, name: str) -> Tensor:
        """Share of the draws below the truth, (maps,): uniform where the posterior is honest (Talts et al. 2018)."""
        return (self.draws[name] < self.truth[name][:, None]).float().mean(1)

    def content(self, name: str) -> Tensor:
        """Of the interval with as much below as above that reaches the truth, (maps,)."""
        return 2 * (self.ranks(name) - 0.5).abs()

    def inside(self, name: str, content: float = 0.68) -> Tensor:
        """Whether the interval that leaves as much below as above holds the truth, (maps,)."""
        return self.content(name) <= content

    def interval(self, name: str, content: float = 0.68) -> tuple[Array, Array]:
        """Ends of that interval, (maps,): those two draws between which :meth:`inside` finds the truth."""
        draws = self.draws[name].numpy()
        last = draws.shape[1] - 1
        tail = round((1 - content) / 2 * draws.shape[1]) - 1  # the draws are sorted no further than needed
        ordered = np.partition(draws, (tail, last - tail), 1)
        return ordered[:, tail], ordered[:, last - tail]


def seen(model: LitEBM, data: ClusterMapsDataModule, split: str, look: int, nodes: int, generator: Generator) -> Seen:
    """The maps of a split in one of their looks."""
    part = data.splits[split]
    truth = {"distance": part["distance"], "age": part["age"], "field_mass": 10 ** part["field"]}
    clean = part["statistics"][:, 0].float()
    with_light = quantities(model, box_points(model, part)[:, None], clean[:, LOG_LIGHT])
    truth["mass_to_light"] = with_light["mass_to_light"][:, 0]
    return Seen.of(model, part["statistics"][:, look].float(), truth, nodes, generator)


def box_points(model: LitEBM, part: dict[str, Tensor]) -> Tensor:
    """True distance and age in the unit box and log10 of the mass in the field, (maps, 3)."""
    return torch.cat([model.to_box(part["distance"], part["age"]), part["field"][:, None]], 1)


def energies(model: LitEBM, context: Context, y: Tensor) -> Tensor:
    """In nats, calibrated, of points of each map, (maps, n, 2), or of the same for all, (n, 2)."""
    return in_parts(context, y, lambda part, at: calibrated(model, part)(at))


def free_energies(model: LitEBM, context: Context, y: Tensor, beta: float) -> Tensor:
    """F_beta of the same."""
    return in_parts(context, y, lambda part, at: model.free_energy(part, at, beta))


def in_parts(context: Context, y: Tensor, function: Callable[[Context, Tensor], Tensor]) -> Tensor:
    """A function of the context of some maps and of points, a few maps at a time: their embeddings fill the memory."""
    rows = torch.arange(len(context.embedding), device=y.device).split(AT_ONCE)
    return torch.cat([function(context.rows(part), y[part] if y.ndim == 3 else y) for part in rows])


def posteriors_of(energy: Callable[[Tensor], Tensor], y: Tensor, nodes: int) -> Posteriors:
    """Gibbs distributions of any energy in nats, restricted to the box, and their log densities at the true y."""
    energies = energy(unit_grid(nodes))
    at_truth = -nll(energy(y[:, None])[:, 0], energies, 1.0, cell_volume(nodes))
    return Posteriors(log_gibbs(energies, 1.0, cell_volume(nodes)).unflatten(-1, (nodes, nodes)), at_truth)


def probability(log_density: Tensor) -> Tensor:
    """Of each cell of the grid."""
    return log_density.exp() * cell_volume(log_density.shape[-1])


def densities(found: Posteriors) -> dict[str, Tensor]:
    """Negative log density at the truth of each map, and 100 where a region holds the truth, else 0."""
    content = found.content()
    inside = {f"truth_in_{wanted}_percent": 100.0 * (content <= wanted / 100) for wanted in CONTENTS}
    return {"nll_nats": -found.at_truth, **inside}


def errors(points: dict[str, Tensor], truth: dict[str, Tensor]) -> dict[str, Tensor]:
    """Errors of point estimates of each map in kpc, per cent and Gyr; those of masses where there are such."""
    percent = {name: 100 * (point / truth[name] - 1).abs() for name, point in points.items() if name in truth}
    found = {
        "distance_error_kpc": (points["distance"] - truth["distance"]).abs(),
        "distance_error_percent": percent["distance"],
        "age_error_gyr": (points["age"] - truth["age"]).abs(),
    }
    if "field_mass" in points:
        found |= {
            "mass_error_percent": percent["field_mass"],
            "mass_to_light_error_percent": percent["mass_to_light"],
        }
    return found


def coverage(maps: Seen) -> dict[str, Tensor]:
    """100 where the 68 % interval of a quantity holds the truth, else 0."""
    return {
        f"{name.removeprefix('field_')}_in_68_percent": 100.0 * maps.inside(name)
        for name in ("distance", "age", "field_mass", "mass_to_light")
    }
