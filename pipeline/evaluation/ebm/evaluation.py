"""Posteriors of distance and age: exact by quadrature, sampled by Metropolis-Hastings, and whether to trust them."""

import math
from typing import Any

import torch
from torch import Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.ebm import LitEBM
from pipeline.evaluation.common.bootstrap import scored
from pipeline.evaluation.common.chains import chain_diagnostics
from pipeline.evaluation.common.result import Result, style
from pipeline.evaluation.ebm.baselines import label_posteriors, ridge_posteriors
from pipeline.evaluation.ebm.figures import chain_panels, energy_panels, posterior_panels, trust_panels
from pipeline.evaluation.ebm.measures import (
    LEVELS,
    Maps,
    Posteriors,
    contexts,
    free_energies,
    kl_from_quadrature,
    minimiser,
    posteriors_of,
    sampled,
    truth,
)
from pipeline.evaluation.ebm.settings import Ebm

CONTENTS = (50, 68, 90)  # per cent, of credible regions


LABELS = {
    "loss": "negative log-likelihood of distance and age in the unit box (nats)",
    "nll_nats": "negative log-likelihood of distance and age in the unit box (nats)",
    **{
        f"truth_in_{content}_percent": f"truth inside regions that claim to hold {content} % (%)"
        for content in CONTENTS
    },
    "distance_error_kpc": "mean error of the distance (kpc)",
    "distance_error_percent": "mean error of the distance (%)",
    "age_error_gyr": "mean error of the age (Gyr)",
    "chain_acceptance_percent": "accepted proposals of the Metropolis-Hastings chains (%)",
    "chain_rhat": "rank-normalised split R-hat of the chains, worst",
    "chain_effective_size": "effective sample size of the chains, worst",
    "chain_divergence_nats": "Kullback-Leibler divergence of the chains from quadrature, worst (nats)",
}


@torch.no_grad()
def evaluate(model: LitEBM, data: ClusterMapsDataModule, params: Ebm) -> Result:
    """Score the posteriors of the test maps beside simple ones, check chains against quadrature, draw both."""
    nodes, beta = params.evaluate.nodes, model.settings.beta
    test: Maps = {**data.splits["test"], "flux": torch.cat([batch["flux"] for batch in data.observed("test")])}
    context, y = contexts(model, test["flux"]), truth(model, data, "test")
    ridge_mean, ridge = ridge_posteriors(model, data, nodes)
    label_mean, label = label_posteriors(model, data, nodes)
    posteriors = {
        "model": posteriors_of(lambda y: free_energies(model, context, y, beta), y, nodes, beta),
        "radial_ridge": ridge,
        "gaussian_of_labels": label,
    }
    points = {
        "model": posteriors["model"].quantiles()[:, LEVELS.index(0.5)],
        "argmin_f_beta": minimiser(model, context, beta),
        "argmin_f_inf": minimiser(model, context, math.inf),
        "radial_ridge": ridge_mean,
        "mean_of_labels": label_mean,
    }
    chosen = examples(test)
    sample = sampled(model, context[chosen], params)
    rhat, effective_size = chain_diagnostics(sample.states, "ebm")
    measured = {**densities(posteriors), **errors(model, test, points)}
    metrics: dict[str, Any] = {
        "baseline/prior_box/nll_nats": math.log(4),
        "test/chain_acceptance_percent": 100 * sample.acceptance,
        "test/chain_rhat": rhat.max(),
        "test/chain_effective_size": effective_size.min(),
        "test/chain_divergence_nats": kl_from_quadrature(model, context[chosen], sample).max(),
    }
    for what, values in measured.items():
        metrics |= scored(what, values, groups=test["cluster"])
    with style():
        pictures = [
            posterior_panels(model, test, chosen, posteriors["model"], sample, points["argmin_f_beta"]),
            chain_panels(model, test, chosen, posteriors["model"], sample),
            energy_panels(model, test, int(chosen[1])),
            trust_panels(model, test, posteriors),
        ]
    return Result(metrics, pictures)


def densities(posteriors: dict[str, Posteriors]) -> dict[str, dict[str, Tensor]]:
    """Negative log density at the truth of each map, and 100 where a region holds the truth, else 0."""
    contents = {who: found.content() for who, found in posteriors.items()}
    return {
        "nll_nats": {who: -found.at_truth for who, found in posteriors.items()},
        **{
            f"truth_in_{wanted}_percent": {who: 100.0 * (found <= wanted / 100) for who, found in contents.items()}
            for wanted in CONTENTS
        },
    }


def errors(model: LitEBM, test: Maps, points: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Errors of point estimates of each map, in kpc, per cent and Gyr."""
    found: dict[str, dict[str, Tensor]] = {"distance_error_kpc": {}, "distance_error_percent": {}, "age_error_gyr": {}}
    for who, point in points.items():
        distance, age = model.from_box(point)
        found["distance_error_kpc"][who] = (distance - test["distance"]).abs()
        found["distance_error_percent"][who] = 100 * (distance / test["distance"] - 1).abs()
        found["age_error_gyr"][who] = (age - test["age"]).abs()
    return found


def examples(test: Maps) -> Tensor:
    """Rows of four test maps, from near to far and from young to old."""
    near_to_far, age = test["distance"].argsort(stable=True), test["age"]
    chosen = []
    for k, part in enumerate(near_to_far.tensor_split(4)):
        young_to_old = part[age[part].argsort(stable=True)]
        chosen.append(young_to_old[len(part) * (2 * k + 1) // 8])
    return torch.stack(chosen)
