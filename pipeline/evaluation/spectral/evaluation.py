"""The spectral network: which stars of a field belong to its cluster, beside rivals, and what its filters do."""

import numpy as np
import torch

from datamodules.star_fields import StarFieldsDataModule
from lit_modules.spectral import LitSpectral
from pipeline.evaluation.common.result import Picture, Result, style
from pipeline.evaluation.spectral.fields import THRESHOLD, Array, Fields, arrays
from pipeline.evaluation.spectral.figures import curve_figure, field_figure
from pipeline.evaluation.spectral.items import charts, item_table, thumbnails_of
from pipeline.evaluation.spectral.measures import average_precision, measured
from pipeline.evaluation.spectral.rivals import rivals
from pipeline.evaluation.spectral.settings import Spectral
from pipeline.evaluation.spectral.spectrum import filter_figure, graph_figure, power

LABELS = {
    "loss": "cross-entropy of the membership of a star (nats)",
    "wrong_share": f"share of the stars that probability {THRESHOLD:g} puts on the wrong side",
    "average_precision": "average precision of the members of a field, mean over the fields (1 at best)",
    "membership_auc": "AUC of members against other stars of a field, mean over the fields (1 at best)",
    "nll_nats": "negative log-likelihood of what a star is (nats)",
    "completeness_percent": f"members that are called so, probability {THRESHOLD:g} or more (%)",
    "purity_percent": f"stars called members that are members, probability {THRESHOLD:g} or more (%)",
}


EASY, HARD = 0.9, 0.1  # quantiles of the average precision between which fields are shown


@torch.no_grad()
def evaluate(model: LitSpectral, data: StarFieldsDataModule, params: Spectral) -> Result:
    """Membership of stars in fields that no training saw, beside rivals; the graph, its waves and the filters."""
    train, test = arrays(data.splits["train"]), arrays(data.splits["test"])
    batch = {name: tensor.to(model.device) for name, tensor in data.splits["test"].items()}
    probability = {"model": model.probability(batch).double().cpu().numpy(), **rivals(train, test)}
    fields = Fields(
        test["position"],
        test["signal"][..., 0],
        test["signal"][..., 1],
        test["member"],
        test["eigenvalues"],
        test["basis"],
        probability,
    )
    precision = average_precision(fields.member, probability["model"])
    return Result(
        measured(fields.member, probability),
        [*of_stars(fields, precision, params.evaluate.n_fields), *of_frequencies(model, fields, precision)],
        notes=[learned(data)],
        judged_by=f"{len(precision)} fields",
        charts=charts(fields),
        items=item_table(data.numbers["test"], fields, precision),
        thumbnails=thumbnails_of(fields),
    )


def of_stars(fields: Fields, precision: Array, n: int) -> list[Picture]:
    """Some fields with what the network says, and curves of all of them."""
    order, last = precision.argsort(), len(precision) - 1
    shown = [order[round(quantile * last)] for quantile in np.linspace(EASY, HARD, n)]
    with style():
        return [
            Picture(
                "fields",
                "Fields of stars that no training saw, from an easy one to a hard one; larger dots are brighter stars. "
                "Left the truth: members of the cluster in blue among stars of the Milky Way. Then the probability of "
                "each star by the network, what comes of calling those of one half or more members, and the same "
                "stars by colour and magnitude, where a cluster is a narrow sequence.",
                field_figure(fields, shown, [f"average\nprecision {precision[field]:.2f}" for field in shown]),
            ),
            Picture(
                "curves",
                "All held-out stars together, the network beside rivals: a perceptron on magnitude and colour of a "
                "star; one that sees the mean of its neighbours too; a King profile fitted to each field, by place "
                "alone; and the odds of that profile times those of the first perceptron. Dotted: guessing, and on the "
                "right probabilities that come true.",
                curve_figure(fields.member, fields.probability),
            ),
        ]


def of_frequencies(model: LitSpectral, fields: Fields, precision: Array) -> list[Picture]:
    """A field of middling precision as a graph with its waves, and what the filters do with them."""
    middling = precision.argsort()[len(precision) // 2]
    mean = torch.from_numpy(fields.eigenvalues.mean(0)).to(model.net.mean)
    responses = [response.double().cpu().numpy() for response in model.net.responses(mean)]
    with style():
        return [
            Picture(
                "graph",
                "A field as the network sees it: each star is joined to its nearest ones, by thicker lines to closer "
                "ones. The normalised Laplacian of this graph has as many eigenvectors as there are stars. Those of "
                "small eigenvalues vary slowly from star to star, like low notes; those of large ones change sign "
                "from neighbour to neighbour. Red and blue: positive and negative.",
                graph_figure(fields, middling),
            ),
            Picture(
                "filters",
                "Above: how the power of a signal on the graphs is shared among frequencies, mean over the held-out "
                "fields. Members lie together, so that to be a member is a signal of low frequencies; of as many stars "
                "at random all frequencies count alike. Below: the filters that the network learned, the strongest "
                "(blue) and the root mean square of all (red): what a layer lets through at each frequency. Where "
                "they are sharp at eigenvalue 0, whose eigenvector is smoothest of all, a layer treats the mean of the "
                "whole field by itself.",
                filter_figure(fields.eigenvalues.mean(0), spectra(fields), responses),
            ),
        ]


def spectra(fields: Fields) -> dict[str, Array]:
    """Power at each frequency of true membership, of the network's probability, and of as many stars at random."""
    signals = {
        "members of the cluster": fields.member,
        "the network's probability": fields.probability["model"],
        "as many stars at random": np.random.default_rng(0).permuted(fields.member, axis=1),
    }
    return {name: power(signal, fields.basis) for name, signal in signals.items()}


def learned(data: StarFieldsDataModule) -> str:
    """The sentence that says what the model was trained on and judged by."""
    train, val, test = (data.splits[split]["member"] for split in ("train", "val", "test"))
    return (
        f"Learned from {len(train)} fields of {train.shape[1]} stars each, watched on {len(val)}, judged by "
        f"{len(test)} that no training saw; {100 * float(test.mean()):.0f} % of their stars are members. "
        "The clusters are King-model mocks."
    )
