"""How like real pictures are artificial ones? The two-sample tests, of the machine and of two that need no machine."""

from collections.abc import Mapping
from typing import Any

from pipeline.evaluation.common.result import compared
from pipeline.evaluation.common.two_sample import (
    NEIGHBOURS,
    Array,
    classifier_auc,
    density_coverage,
    features,
    memorisation,
    nearest,
)

LABELS = {
    "two_sample_auc": "AUC of a classifier that tells them from held-out pictures (0.5: it cannot)",
    "density": "density: how deep artificial pictures lie among held-out ones (1 at best)",
    "coverage": "coverage: held-out pictures with an artificial one in their neighbourhood, share",
    "memorisation": "chance that an artificial picture is nearer to the training than a held-out one (0.5: as new)",
    "nearest_original_rms": "root mean square difference from the nearest training picture",
}


def likeness(artificial: Mapping[str, Array], held_out: Array, memory: Array) -> dict[str, Any]:
    """Measures of LABELS under flat keys.

    All pictures are grey and drawn alike, (n, size, size). Where no more than NEIGHBOURS are held out, there is no
    two-sample test, and memory alone is measured.

    Args:
        artificial: by ``model`` and by rivals.
        held_out: real pictures that no training saw.
        memory: those of the training, in all symmetries.
    """
    real, distance = features(held_out), nearest(held_out, memory)[1]
    measures: dict[str, dict[str, float]] = {what: {} for what in LABELS}
    metrics: dict[str, Any] = {}
    for who, pictures in artificial.items():
        apart = nearest(pictures, memory)[1]
        measures["memorisation"][who] = memorisation(apart, distance)
        measures["nearest_original_rms"][who] = float(apart.mean())
        if len(real) <= NEIGHBOURS:
            continue
        found = features(pictures)
        measures["two_sample_auc"][who] = classifier_auc(real, found).value  # its interval: too narrow for so few
        measures["density"][who], measures["coverage"][who] = density_coverage(real, found)
    measures["nearest_original_rms"]["held_out_pictures"] = float(distance.mean())
    for what, of_each in measures.items():
        metrics |= compared(what, of_each)
    return metrics
