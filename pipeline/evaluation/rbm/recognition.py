"""What the hidden codes of pictures are good for: finding pictures alike, and reading a quantity off them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from lit_modules.networks.boltzmann.pixels import graded
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine

Array = NDArray[Any]

PENALTIES = np.logspace(-2, 4, 13)  # of the ridge regression, chosen by leaving one out


def codes(net: RestrictedBoltzmannMachine, grey: Tensor) -> Tensor:
    """What the hidden units say of stretched pictures, p(h = 1 | mean bits); (n, pixels) -> (n, hidden)."""
    return net.hidden(graded(grey, net.levels).flatten(1))


def alike(net: RestrictedBoltzmannMachine, grey: Tensor, memory: Tensor, n: int) -> Tensor:
    """Numbers of the ``n`` remembered pictures whose codes are nearest, nearest first; (pictures, n)."""
    return torch.cdist(codes(net, grey), codes(net, memory)).topk(n, largest=False).indices


def probe(train: Array, truth: Array, held_out: Array) -> Array:
    """What a linear rule, fitted to some pictures, reads off the numbers of others.

    Args:
        train: numbers of the pictures that the rule is fitted to, (n, d).
        truth: what it is to say of them, (n,).
        held_out: numbers of other pictures, (m, d).

    Returns:
        What it says of those, (m,).
    """
    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(train, truth).predict(held_out)


def principal_components(train: Array, held_out: Array, n: int) -> tuple[Array, Array]:
    """As many numbers of each picture by PCA of the training's pixels, the rival of the codes."""
    pca = PCA(min(n, len(train) - 1), random_state=0).fit(train)
    return pca.transform(train), pca.transform(held_out)
