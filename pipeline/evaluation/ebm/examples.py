"""Which test maps the figures show."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import label
from torch import Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from datamodules.telescope import Looks
from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.map_energy import Context
from lit_modules.networks.energy.posterior import region_level
from pipeline.evaluation.ebm.measures import Seen, probability
from pipeline.evaluation.ebm.points import minimiser
from pipeline.evaluation.ebm.sampling import Sample

SECOND = 0.1  # of the probability, at least, in the second mode of a posterior that is said to have two


@dataclass(frozen=True)
class Examples:
    """A few test maps, all of them seen clean.

    Attributes:
        statistics: (maps, N).
        context: of them.
        flux: log10 F, (maps, size, size).
        truth: of each quantity, (maps,).
        log_density: of distance and age, (maps, nodes, nodes).
        best: argmin of F_beta in the unit box, (maps, 2).
        sample: chains of them.
    """

    statistics: Tensor
    context: Context
    flux: Tensor
    truth: dict[str, Tensor]
    log_density: Tensor
    best: Tensor
    sample: Sample

    @classmethod
    def of(cls, model: LitEBM, data: ClusterMapsDataModule, maps: Seen, chosen: Tensor, sample: Sample) -> "Examples":
        """The chosen rows of the test maps."""
        part, context = data.splits["test"], maps.context.rows(chosen)
        looks = Looks.of(part["looks"][chosen, 0])
        return cls(
            maps.statistics[chosen],
            context,
            data.telescope.log_flux(data.files["light"][part["map"][chosen]], part["distance"][chosen], looks),
            {name: values[chosen] for name, values in maps.truth.items()},
            maps.posterior.log_density[chosen],
            minimiser(model, context, model.settings.beta),
            sample,
        )


def examples(maps: Seen) -> Tensor:
    """Rows of four maps, from near to far and from young to old; one with two modes in its place, if there is one."""
    distance, age = maps.truth["distance"], maps.truth["age"]
    two = second_mode(maps.posterior.log_density)
    chosen = []
    for k, part in enumerate(distance.argsort(stable=True).tensor_split(4)):
        young_to_old = part[age[part].argsort(stable=True)]
        chosen.append(young_to_old[len(part) * (2 * k + 1) // 8])
        if two.max() > SECOND and two.argmax() in part:
            chosen[-1] = two.argmax()
    return torch.stack(chosen)


def second_mode(log_density: Tensor) -> Tensor:
    """Probability in the second largest of the islands that a 68 % region consists of, (maps,)."""
    cells = probability(log_density)
    inside = cells >= region_level(cells, 0.68)[:, None, None]
    found = []
    for density, region in zip(cells.double().numpy(), inside.numpy(), strict=True):
        islands, _ = label(region)
        found.append(np.sort([0.0, *np.bincount(islands.ravel(), density.ravel())[1:]])[-2])
    return torch.tensor(found)
