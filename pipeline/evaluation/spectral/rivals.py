"""Simple rivals of the spectral network: magnitude and colour of a star, its neighbours, a King profile, and both."""

import warnings

import numpy as np
from scipy.special import expit, logit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.evaluation.spectral.fields import LEAST, Array, adjacency
from pipeline.evaluation.spectral.king import king_log_odds


def rivals(train: dict[str, Array], test: dict[str, Array]) -> dict[str, Array]:
    """Probability of membership of the test stars, (fields, n), by rival.

    A perceptron on magnitude and colour; one on all channels of the signal and on their mean over the neighbours, by
    the weights of the edges; a King profile fitted to each field; and the odds of the first and the third multiplied,
    as if place and colour were independent. These colours are those of the average cluster: a matched filter would know
    the sequence of this one (Rockosi et al. 2002, AJ 124, 349).

    Args:
        train: tensors of the split that they learn from.
        test: those of the split that they are asked about.
    """
    alone = perceptron(train["signal"][..., :2], train["member"], test["signal"][..., :2])
    with_mean = perceptron(with_neighbours(train), train["member"], with_neighbours(test))
    share = float(train["member"].mean())
    king, star = king_log_odds(test["position"], share), logit(alone.clip(LEAST, 1 - LEAST))
    return {
        "star_alone": alone,
        "star_and_neighbours": with_mean,
        "king_profile": expit(king),
        "king_profile_and_star": expit(king + star - logit(share)),
    }


def with_neighbours(fields: dict[str, Array]) -> Array:
    """The signal of each star beside the mean of its neighbours', (fields, n, 2 channels)."""
    weight = adjacency(fields["eigenvalues"], fields["basis"])
    mean = weight @ fields["signal"] / weight.sum(-1, keepdims=True)
    return np.concatenate([fields["signal"], mean], -1)


def perceptron(features: Array, member: Array, asked: Array) -> Array:
    """Probability of membership by a perceptron on the features of a star, (fields, n, k) each."""
    hidden = MLPClassifier((32, 32), batch_size=1000, learning_rate_init=3e-3, max_iter=15, random_state=0)
    model = make_pipeline(StandardScaler(), hidden)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it wants a loss that stands still, and no batch above all stars
        model.fit(features.reshape(-1, features.shape[-1]), member.ravel())
    return model.predict_proba(asked.reshape(-1, asked.shape[-1]))[:, 1].reshape(asked.shape[:2])
