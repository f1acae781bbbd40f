"""Four named clusters of the Milky Way: are distance, age and M/L of mocks of them inside the intervals stated?"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.stats import binomtest
from torch import Generator, Tensor

from datamodules.telescope import Looks, Telescope
from lit_modules.ebm import LitEBM
from lit_modules.networks.maps.statistics import map_statistics
from pipeline.evaluation.ebm.measures import Seen
from pipeline.simulation.clusters.named_clusters import NAMED, NamedCluster, draw_named
from pipeline.simulation.clusters.stars import flux_of_magnitude
from pipeline.simulation.clusters.telescope import PIXEL, blur, gaussian_psf

CAMERA = {"psf_sigma": 2.4, "noise": 27.1, "sky": 21.9}  # Pan-STARRS 1, sharpened no further than training goes


class Mocks(NamedTuple):
    """Mocks of a cluster.

    Attributes:
        light: as stored maps hold it, (mocks, H', W').
        truth: distance (kpc), age (Gyr), field_mass (Msun) and mass_to_light, (mocks,) each.
    """

    light: Tensor
    truth: dict[str, Tensor]


def named_mocks(cluster: NamedCluster, number: int, telescope: Telescope, seed: int) -> Mocks:
    """So many mocks of a cluster in the middle of the field."""
    margin = math.ceil(4 * max(telescope.psf_sigma, CAMERA["psf_sigma"]))  # room for the wings of a PSF
    drawn = []
    for k in range(number):
        rng = np.random.default_rng([seed, k, round(cluster.mass)])
        drawn.append(draw_named(cluster, rng, telescope.pixels + 2 * margin))
    kernel = gaussian_psf(telescope.psf_sigma)
    field = torch.tensor([[blur(map_, kernel, telescope.pixels).sum() for map_ in pair] for pair in drawn])
    light = torch.tensor(np.stack([light for light, _ in drawn]) / telescope.light_unit).half()
    like = torch.ones(number)
    truth = {
        "distance": cluster.distance * like,
        "age": cluster.age * like,
        "field_mass": field[:, 1].float(),
        "mass_to_light": (field[:, 1] / field[:, 0]).float(),
    }
    return Mocks(light, truth)


def looks_of(telescope: Telescope, number: int, noisy: bool) -> Looks:
    """One look at each mock: the clean one, or that of Pan-STARRS 1."""
    zero = torch.zeros(number, dtype=torch.float64)
    if not noisy:
        return Looks(zero + telescope.psf_sigma, zero, zero, zero, zero)
    noise, sky = (float(flux_of_magnitude(CAMERA[name])) for name in ("noise", "sky"))
    return Looks(zero + CAMERA["psf_sigma"], zero + noise, zero + sky * PIXEL**2, zero, torch.arange(number).double())


def seen_mocks(
    model: LitEBM, telescope: Telescope, mocks: Mocks, noisy: bool, nodes: int, generator: Generator
) -> Seen:
    """Mocks as the model reads them, clean or as Pan-STARRS 1 sees them."""
    looks = looks_of(telescope, len(mocks.light), noisy)
    flux = telescope.flux(mocks.light, mocks.truth["distance"].double(), looks)
    statistics = map_statistics(flux, looks.psf_sigma, looks.noise).float()
    return Seen.of(model, statistics, mocks.truth, nodes, generator)


def judged(
    model: LitEBM, telescope: Telescope, number: int, seed: int, nodes: int
) -> tuple[dict[str, float], dict[tuple[str, bool], Seen]]:
    """Numbers of all named clusters, clean and noisy, and what the model says of each mock."""
    generator = torch.Generator().manual_seed(seed)
    metrics: dict[str, float] = {}
    found = {}
    for name, cluster in NAMED.items():
        mocks = named_mocks(cluster, number, telescope, seed)
        for noisy in (False, True):
            found[name, noisy] = seen_mocks(model, telescope, mocks, noisy, nodes, generator)
            metrics |= numbers_of(f"test/{'noisy/' if noisy else ''}{key_of(name)}", found[name, noisy])
    return metrics, found


def key_of(name: str) -> str:
    """The name of a cluster in keys of metrics."""
    return name.lower().replace(" ", "_")


def percent_inside(inside: ArrayLike) -> tuple[float, float, float]:
    """Per cent of trials (n,) that are true, and the ends of its exact 95 % interval (Clopper & Pearson 1934)."""
    found = binomtest(int(np.sum(inside)), np.size(inside))
    ends = found.proportion_ci(0.95)
    return 100 * float(found.statistic), 100 * float(ends.low), 100 * float(ends.high)


def numbers_of(place: str, mocks: Seen) -> dict[str, float]:
    """Coverage of 68 % intervals with its 95 % interval, and medians of errors over mocks, under flat keys."""
    metrics: dict[str, float] = {}
    median = mocks.median()
    for name, unit in (("distance", "percent"), ("age", "gyr"), ("mass_to_light", "percent")):
        key = f"{place}/{name}_in_68_percent"
        share = percent_inside(mocks.inside(name).numpy())
        metrics |= dict(zip((key, f"{key}_low", f"{key}_high"), share, strict=True))
        error = (median[name] - mocks.truth[name]).abs()
        scale = 100 / mocks.truth[name] if unit == "percent" else 1
        metrics[f"{place}/{name}_median_error_{unit}"] = float((error * scale).median())
    return metrics
