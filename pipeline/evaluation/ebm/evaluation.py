"""Posteriors of distance and age: exact by quadrature, sampled by Metropolis-Hastings, and whether to trust them."""

import math
from typing import Any

import torch
from torch import Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.ebm import LitEBM
from pipeline.evaluation.common.result import Result, style
from pipeline.evaluation.ebm.figures import chain_panels, energy_panels, posterior_panels, trust_panels
from pipeline.evaluation.ebm.measures import (
    LEVELS,
    contexts,
    free_energies,
    gelman_rubin,
    kl_from_quadrature,
    label_posteriors,
    minimiser,
    posteriors_of,
    ridge_posteriors,
    sampled,
    truth,
)
from pipeline.evaluation.ebm.settings import Ebm

CONTENTS = (0.50, 0.68, 0.90)  # of credible regions, in tables


@torch.no_grad()
def evaluate(model: LitEBM, data: ClusterMapsDataModule, params: Ebm) -> Result:
    """Score the posteriors of the test maps beside simple ones, check chains against quadrature, draw both."""
    nodes, beta = params.evaluate.nodes, model.settings.beta
    context, y = contexts(model, data.splits["test"]["flux"]), truth(model, data, "test")
    ridge_mean, ridge = ridge_posteriors(model, data, nodes)
    label_mean, label = label_posteriors(model, data, nodes)
    posteriors = {
        "model": posteriors_of(lambda y: free_energies(model, context, y, beta), y, nodes, beta),
        "radial ridge": ridge,
        "Gaussian of labels": label,
    }
    points = {
        "model": posteriors["model"].quantiles()[:, LEVELS.index(0.5)],
        "argmin F_beta": minimiser(model, context, beta),
        "argmin F_inf": minimiser(model, context, math.inf),
        "radial ridge": ridge_mean,
        "mean of labels": label_mean,
    }
    chosen = examples(data)
    sample = sampled(model, context[chosen], params)
    metrics: dict[str, Any] = {
        "NLL of distance and age in the unit box (nats)": {
            **{who: -found.at_truth.mean() for who, found in posteriors.items()},
            "prior box": math.log(4),
        },
        **{
            f"truth in {100 * content:.0f} % regions (%)": {
                who: 100 * (found.content() <= content).float().mean() for who, found in posteriors.items()
            }
            for content in CONTENTS
        },
        **errors(model, data, points),
        "Metropolis-Hastings acceptance": sample.acceptance,
        "Gelman-Rubin R of the chains, worst": gelman_rubin(sample.states).max(),
        "KL of the chains from quadrature, worst (nats)": kl_from_quadrature(model, context[chosen], sample).max(),
    }
    with style():
        pictures = [
            posterior_panels(model, data, chosen, posteriors["model"], sample, points["argmin F_beta"]),
            chain_panels(model, data, chosen, posteriors["model"], sample),
            energy_panels(model, data, int(chosen[1])),
            trust_panels(model, data, posteriors),
        ]
    return Result(metrics, pictures)


def errors(model: LitEBM, data: ClusterMapsDataModule, points: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Mean errors of point estimates in kpc, per cent and Gyr."""
    distance, age = data.splits["test"]["distance"], data.splits["test"]["age"]
    rows: dict[str, dict[str, Tensor]] = {}
    for who, point in points.items():
        d, a = model.from_box(point)
        for name, error in (
            ("distance, mean error (kpc)", (d - distance).abs()),
            ("distance, mean error (%)", 100 * (d / distance - 1).abs()),
            ("age, mean error (Gyr)", (a - age).abs()),
        ):
            rows.setdefault(name, {})[who] = error.mean()
    return rows


def examples(data: ClusterMapsDataModule) -> Tensor:
    """Rows of four test maps, from near to far and from young to old."""
    near_to_far = data.splits["test"]["distance"].argsort(stable=True)
    age = data.splits["test"]["age"]
    chosen = []
    for k, part in enumerate(near_to_far.tensor_split(4)):
        young_to_old = part[age[part].argsort(stable=True)]
        chosen.append(young_to_old[len(part) * (2 * k + 1) // 8])
    return torch.stack(chosen)
