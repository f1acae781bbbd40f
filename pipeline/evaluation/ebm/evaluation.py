"""Posteriors of distance, age and mass: exact by quadrature, sampled by chains, and whether to trust them."""

import math
from typing import Any

import torch
from torch import Generator, Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.ebm import LitEBM
from pipeline.evaluation.common.bootstrap import scored, with_interval
from pipeline.evaluation.common.chains import chain_diagnostics
from pipeline.evaluation.common.looks import CLEAN, NOISY, counted
from pipeline.evaluation.common.maps import flagged_percent
from pipeline.evaluation.common.result import Result, style
from pipeline.evaluation.ebm.baselines import rivals
from pipeline.evaluation.ebm.charts import calibrations, held_out, light_pictures, predicted, read
from pipeline.evaluation.ebm.examples import Examples, examples
from pipeline.evaluation.ebm.figures import chain_panels, energy_panels, known_panels, posterior_panels
from pipeline.evaluation.ebm.measures import (
    CONTENTS,
    Seen,
    coverage,
    densities,
    errors,
    free_energies,
    posteriors_of,
    seen,
)
from pipeline.evaluation.ebm.named import judged
from pipeline.evaluation.ebm.points import joint_minimiser, minimiser
from pipeline.evaluation.ebm.sampling import kl_from_quadrature, sampled
from pipeline.evaluation.ebm.settings import Ebm
from pipeline.evaluation.ebm.trust import named_panels, rank_panels, trust_panels

NLL = "negative log-likelihood of distance and age in the unit box (nats)"
IN_TURN = "of all looks in turn"
IN_68 = "truth inside 68 % intervals of the {} (%)"
LABELS = {
    "loss": f"negative log-likelihood of distance, age and log mass, {IN_TURN} (nats)",
    "nll": f"{NLL.removesuffix(' (nats)')}, {IN_TURN} (nats)",
    "mass_nll": f"negative log-likelihood of the log mass at the true distance and age, {IN_TURN} (nats)",
    "nll_nats": NLL,
    "nll_f_inf_nats": "the same with the latent minimised (F_inf) in place of averaged (F_beta) (nats)",
    **{f"truth_in_{content}_percent": f"truth inside regions of distance and age that claim to hold {content} % (%)"
       for content in CONTENTS},
    "distance_in_68_percent": IN_68.format("distance"),
    "age_in_68_percent": IN_68.format("age"),
    "mass_in_68_percent": IN_68.format("mass in the field"),
    "mass_to_light_in_68_percent": IN_68.format("mass-to-light ratio"),
    "distance_error_kpc": "mean error of the distance (kpc)",
    "distance_error_percent": "mean error of the distance (%)",
    "age_error_gyr": "mean error of the age (Gyr)",
    "mass_error_percent": "mean error of the mass in the field (%)",
    "mass_to_light_error_percent": "mean error of the mass-to-light ratio, with the distance that was read (%)",
    "distance_median_error_percent": "error of the distance of a mock, median of the mocks (%)",
    "age_median_error_gyr": "error of the age of a mock, median of the mocks (Gyr)",
    "mass_to_light_median_error_percent": "error of the mass-to-light ratio of a mock, median of the mocks (%)",
    "outside_training_percent": "maps called unlike those of the training (%)",
    "chain_acceptance_percent": "accepted proposals of the Metropolis-Hastings chains (%)",
    "chain_rhat": "rank-normalised split R-hat of the chains, worst",
    "chain_effective_size": "effective sample size of the chains, worst",
    "chain_divergence_nats": "Kullback-Leibler divergence of the chains from quadrature, worst (nats)",
}  # fmt: skip
PLACES = {CLEAN: "test", NOISY: "test/noisy"}  # that keys of metrics begin with
NOTE = (
    "Test clusters stand at four fixed distances. Validation clusters are drawn from the prior, as they should be to "
    "judge a posterior, but they chose the epoch. Noisy maps are the test maps as other telescopes saw them, in noise "
    "and among stars of the Milky Way."
)


@torch.no_grad()
def evaluate(model: LitEBM, data: ClusterMapsDataModule, params: Ebm) -> Result:
    """Score the posteriors of test maps, clean and noisy, and of mocks of named clusters; check chains; draw all."""
    model = model.cpu()  # it reads statistics, not maps, and its chains are many short steps: a GPU would wait for each
    nodes, generator = params.evaluate.nodes, Generator().manual_seed(params.seed)
    looks = (CLEAN, NOISY)[: data.splits["test"]["looks"].shape[1]]
    test = {name: seen(model, data, "test", look, nodes, generator) for look, name in enumerate(looks)}
    val = seen(model, data, "val", 0, nodes, generator)
    metrics: dict[str, Any] = {"baseline/prior_box/nll_nats": math.log(4)}
    for look, (name, maps) in enumerate(test.items()):
        metrics |= compared_numbers(model, data, maps, look, PLACES[name], nodes)
    metrics |= latent_numbers(model, data, test[CLEAN], nodes)
    for what, values in (densities(val.posterior) | coverage(val)).items():
        metrics |= with_interval(f"val/{what}", values)
    mocks_metrics, mocks = judged(model, data.telescope, params.evaluate.mocks, params.seed, nodes)
    chosen = examples(test[CLEAN])
    context = test[CLEAN].context.rows(chosen)
    sample = sampled(model, context, params)
    rhat, effective_size = chain_diagnostics(sample.states, "ebm")
    metrics |= {
        "test/chain_acceptance_percent": 100 * sample.acceptance,
        "test/chain_rhat": rhat.max(),
        "test/chain_effective_size": effective_size.min(),
        "test/chain_divergence_nats": kl_from_quadrature(model, context, sample).max(),
    }
    found = {look: read(maps) for look, maps in test.items()}
    shown = Examples.of(model, data, test[CLEAN], chosen, sample)
    with style():
        pictures = [
            posterior_panels(model, shown),
            known_panels(model, shown),
            chain_panels(model, shown),
            energy_panels(model, shown),
            trust_panels(model, list(test.values())),
            rank_panels(val, list(test.values())),
            named_panels(mocks),
        ]
    return Result(
        metrics | mocks_metrics,
        pictures,
        notes=[NOTE],
        judged_by=counted(data.splits["test"]["cluster"]),
        charts=[*predicted(found), *calibrations(test)],
        items=held_out(model, test, found, data.splits["test"]["cluster"]),
        thumbnails=light_pictures(data, len(test)),
    )


def compared_numbers(
    model: LitEBM, data: ClusterMapsDataModule, maps: Seen, look: int, place: str, nodes: int
) -> dict[str, float]:
    """Numbers of the test maps in a look, beside those of simple rivals, under keys that begin with ``place``."""
    others = rivals(model, data, look, nodes)
    measured: dict[str, dict[str, Tensor]] = {}
    for who, (points, posterior) in {"model": (maps.median(), maps.posterior), **others}.items():
        for what, values in (densities(posterior) | errors(points, maps.truth)).items():
            measured.setdefault(what, {})[who] = values
    for what, values in coverage(maps).items():
        measured[what] = {"model": values}
    measured["outside_training_percent"] = {"model": flagged_percent(model, maps.statistics)}
    metrics: dict[str, float] = {}
    for what, by in measured.items():
        metrics |= scored(what, by, groups=data.splits["test"]["cluster"], split=place)
    return metrics


def latent_numbers(model: LitEBM, data: ClusterMapsDataModule, maps: Seen, nodes: int) -> dict[str, float]:
    """What is lost by minimising the latent, and the errors of points of lowest energy."""
    beta, y = model.settings.beta, model.to_box(maps.truth["distance"], maps.truth["age"])
    points = {
        "argmin_f_beta": minimiser(model, maps.context, beta),
        "argmin_f_inf": minimiser(model, maps.context, math.inf),
        "argmin_over_y_and_z": joint_minimiser(model, maps.statistics, maps.context),
    }
    per_energy = beta / float(model.temperature)
    coldest = posteriors_of(lambda at: per_energy * free_energies(model, maps.context, at, math.inf), y, nodes)
    metrics = with_interval("test/nll_f_inf_nats", -coldest.at_truth, groups=data.splits["test"]["cluster"])
    for who, point in points.items():
        distance, age = model.from_box(point)
        for what, values in errors({"distance": distance, "age": age}, maps.truth).items():
            metrics |= {f"baseline/{who}/{what}": float(values.mean())}
    return metrics
