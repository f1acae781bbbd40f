"""What the hidden codes of pictures are good for: finding pictures alike, and reading a quantity off them."""

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from datamodules.images import ImagesDataModule
from lit_modules.networks.boltzmann.pixels import SKY, chances
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine
from pipeline.evaluation.common.two_sample import Array

PENALTIES = np.logspace(-2, 4, 13)  # of the ridge regression, chosen by leaving one out
SMALLEST = 0.5  # pixels: the least radius that is told apart


def codes(net: RestrictedBoltzmannMachine, grey: Tensor) -> Tensor:
    """What the hidden units say of stretched pictures, p(h = 1 | mean bits).

    Shapes:
        (n, pixels) -> (n, n_hidden).
    """
    return net.hidden(chances(grey, net.levels))


def alike(net: RestrictedBoltzmannMachine, grey: Tensor, memory: Tensor, n: int) -> Tensor:
    """Which ``n`` remembered originals have the nearest codes, each in its nearest symmetry, nearest first.

    Args:
        net: the machine.
        grey: stretched, (pictures, pixels).
        memory: all symmetries of the originals, one after another, (8 * originals, pixels).
        n: originals, at most as many as there are.

    Returns:
        Rows of ``memory``, (pictures, n).
    """
    distance = torch.cdist(codes(net, grey), codes(net, memory)).view(len(grey), 8, -1)
    nearest, symmetry = distance.min(1)
    original = nearest.topk(min(n, nearest.shape[1]), largest=False).indices
    return symmetry.gather(1, original) * nearest.shape[1] + original


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


def concentrations(
    net: RestrictedBoltzmannMachine, data: ImagesDataModule, held_out: Tensor, memory: Tensor
) -> tuple[Array, dict[str, Array]]:
    """How concentrated held-out pictures are, and what linear rules on their numbers say: a linear probe.

    Args:
        net: the machine.
        data: of the pictures as they are, before their contrast was stretched.
        held_out: stretched, (n, pixels).
        memory: all symmetries of those of the training, one after another, (8 * m, pixels).

    Returns:
        Truths, (n,), and answers by ``model`` and by rivals, (n,) each.
    """
    truth, train = concentration(data.images("test")), np.tile(concentration(data.images("train")), 8)
    numbers = {
        "model": (codes(net, memory).cpu().numpy(), codes(net, held_out).cpu().numpy()),
        "pca": principal_components(memory.cpu().numpy(), held_out.cpu().numpy(), net.weight.shape[1]),
    }
    read = {who: probe(known, train, others) for who, (known, others) in numbers.items()}
    return truth, {**read, "mean": np.full(len(truth), train.mean())}


def concentration(images: Tensor) -> Array:
    """C = 5 log10(r80 / r20) of the light above the sky (Kent 1985): radii about the middle that hold 20 and 80 %.

    Shapes:
        (n, 1, size, size) -> (n,).
    """
    pixels = images.flatten(1).double().numpy()
    size = images.shape[-1]
    axis = np.arange(size) - (size - 1) / 2
    radius = np.hypot(axis[:, None], axis).ravel()
    order = radius.argsort(kind="stable")
    light = np.maximum(pixels - np.quantile(pixels, SKY, axis=1, keepdims=True), 0)[:, order].cumsum(1)
    r20, r80 = (
        np.maximum([np.interp(part * row[-1], row, radius[order]) for row in light], SMALLEST) for part in (0.2, 0.8)
    )
    return 5 * np.log10(r80 / r20)
