"""How well probabilities tell the members of a cluster from the stars of the field."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import multilabel_auroc, multilabel_average_precision

from pipeline.evaluation.common.bootstrap import scored
from pipeline.evaluation.spectral.fields import LEAST, THRESHOLD, Array


def measured(member: Array, probability: Mapping[str, Array]) -> dict[str, float]:
    """Every measure of the network and its rivals, with intervals over the fields, under flat keys.

    Args:
        member: (fields, n).
        probability: (fields, n) each, by ``model`` and rival.
    """
    precision = {who: average_precision(member, values) for who, values in probability.items()}
    area = {who: by_field(multilabel_auroc, member, values) for who, values in probability.items()}
    entropy = {who: cross_entropy(member, values) for who, values in probability.items()}
    counted = {who: counts(member, values) for who, values in probability.items()}
    return {
        **scored("average_precision", precision),
        **scored("membership_auc", area),
        **scored("nll_nats", entropy),
        **scored("completeness_percent", counted, completeness),
        **scored("purity_percent", counted, purity),
    }


def average_precision(member: Array, probability: Array) -> Array:
    """Area under precision over recall of each field, (fields,)."""
    return by_field(multilabel_average_precision, member, probability)


def by_field(score: Callable[..., Tensor], member: Array, probability: Array) -> Array:
    """A score of torchmetrics, which takes each field for a label, (fields,)."""
    predicted, truth = torch.from_numpy(probability.T), torch.from_numpy(member.T).long()
    return score(predicted, truth, num_labels=len(member), average="none").double().numpy()


def cross_entropy(member: Array, probability: Array) -> Array:
    """Mean of -log of the probability of what a star is, (fields,)."""
    right = np.where(member > 0, probability, 1 - probability)
    return -np.log(right.clip(LEAST)).mean(1)


def counts(member: Array, probability: Array) -> Array:
    """Members, stars called members, and those that are both, (fields, 3)."""
    called = probability >= THRESHOLD
    return np.stack([member.sum(1), called.sum(1), (member * called).sum(1)], -1)


def completeness(counted: Array) -> float:
    """Of the members, how many are found (%)."""
    members, _, found = counted.sum(0)
    return float(100 * found / members)


def purity(counted: Array) -> float:
    """Of the stars called members, how many are (%); 0 where none is called so."""
    _, called, found = counted.sum(0)
    return float(100 * found / max(called, 1))
