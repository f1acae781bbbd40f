"""Are artificial pictures like real ones? Tests of two samples of grey pictures, by numbers that a person could name.

Whatever is compared must have been drawn alike: where artificial pictures have L + 1 grey levels, give real ones in
as many, or the tests see the levels and nothing else.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, label, uniform_filter
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.evaluation.common.bootstrap import DRAWS

Array = NDArray[Any]

BINS = 10  # rings of the radial profile, and bands of the power spectrum; fewer of pictures below 40 pixels
CONTRASTS = (0.05, 0.1, 0.2, 0.4)  # above the surroundings, at which stars are counted
NEIGHBOURS = 5  # k of density and coverage: that of Naeem et al. (2020)
FOLDS, REPEATS = 5, 4  # of the cross-validation
DARK = 1e-8  # power of a picture that has none


class Interval(NamedTuple):
    """A number and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def features(pictures: Array) -> Array:
    """What tells one picture of a cluster from another, whichever way it is turned.

    Args:
        pictures: grey, (n, size, size), in [0, 1].

    Returns:
        Radial profile, logarithm of the power spectrum and of the star counts, (n, 2 BINS + len(CONTRASTS)).
    """
    pictures = np.asarray(pictures, float)
    return np.hstack([radial_profile(pictures), np.log(power_spectrum(pictures)), np.log1p(star_counts(pictures))])


def radial_profile(pictures: Array) -> Array:
    """Mean grey in rings from the middle to the edges, (n, BINS); the corners belong to none."""
    size = pictures.shape[-1]
    axis = np.arange(size) - (size - 1) / 2
    return ring_means(pictures, np.hypot(axis[:, None], axis), np.linspace(0, size / 2, bins(size) + 1))


def power_spectrum(pictures: Array) -> Array:
    """Mean |FFT|² of a pixel in bands up to the Nyquist frequency, (n, BINS), under a Hann window, without the mean."""
    size = pictures.shape[-1]
    window = np.hanning(size + 2)[1:-1]
    window = window[:, None] * window
    contrast = pictures - pictures.mean((1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(contrast * window)) ** 2 / np.square(window).sum()
    axis = np.fft.fftfreq(size)
    return ring_means(power, np.hypot(axis[:, None], axis), np.linspace(0.5 / size, 0.5 + 1e-9, bins(size) + 1)) + DARK


def bins(size: int) -> int:
    """Of pictures so wide: none is empty."""
    return min(BINS, -(-size // 4))


def ring_means(maps: Array, radius: Array, edges: Array) -> Array:
    """Mean of maps (n, H, W) over the pixels whose radius (H, W) lies between two edges, (n, len(edges) - 1)."""
    ring = np.digitize(radius, edges) - 1
    return np.stack([maps[:, ring == k].mean(1) for k in range(len(edges) - 1)], axis=1)


def star_counts(pictures: Array) -> Array:
    """Connected regions that are brighter than their surroundings by each contrast, (n, len(CONTRASTS))."""
    around = pictures.shape[-1] // 6 | 1  # odd
    excess = pictures - uniform_filter(pictures, (0, around, around))
    return np.array([[label(picture > contrast)[1] for contrast in CONTRASTS] for picture in excess], float)


def classifier_auc(real: Array, artificial: Array, seed: int = 1) -> Interval:
    """Cross-validated AUC of logistic regression that is to tell two samples apart: 0.5 is indistinguishable.

    The classifier two-sample test (Lopez-Paz & Oquab 2017). Of every two pictures of one fold it is asked which is
    the artificial one. The interval draws real and artificial pictures with replacement, and leaves the classifiers as
    they are: with less than 100 pictures of a kind it is too narrow, with 32 by a third.

    Args:
        real: features, (n, d), n at least FOLDS.
        artificial: the same of the others, (m, d), m at least FOLDS.
        seed: of folds and draws.
    """
    x, y = np.vstack([real, artificial]), np.repeat([0, 1], [len(real), len(artificial)])
    won, asked = np.zeros((2, len(real), len(artificial)))
    for train, test in RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=seed).split(x, y):
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x[train], y[train])
        score = classifier.decision_function(x)
        ours, theirs = test[y[test] == 0], test[y[test] == 1] - len(real)
        pairs = np.ix_(ours, theirs)
        difference = score[len(real) + theirs] - score[ours][:, None]
        won[pairs] += (np.sign(difference) + 1) / 2
        asked[pairs] += 1
    rng = np.random.default_rng(seed)
    drawn = [rng.multinomial(n, np.full(n, 1 / n), DRAWS) for n in won.shape]
    many = [np.einsum("ki,ij,kj->k", drawn[0], pairs, drawn[1], optimize=True) for pairs in (won, asked)]
    low, high = np.quantile(many[0] / many[1], [0.025, 0.975])
    return Interval(float(won.sum() / asked.sum()), float(low), float(high))


def density_coverage(real: Array, artificial: Array) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020, ICML): fidelity and diversity, both 1 at best.

    Around each real picture lies a ball that reaches to its k-th nearest other one. Density is the mean number of
    balls that an artificial picture lies in, over k, and passes 1 where they crowd; coverage is the share of the balls
    that hold one.

    Args:
        real: features, (n, d), n above NEIGHBOURS.
        artificial: the same of the others, (m, d).
    """
    scale = StandardScaler().fit(real)
    real, artificial = scale.transform(real), scale.transform(artificial)
    reach = np.sort(cdist(real, real), axis=1)[:, NEIGHBOURS]  # itself comes first
    inside = cdist(real, artificial) < reach[:, None]
    return float(inside.sum(0).mean() / NEIGHBOURS), float(inside.any(1).mean())


def nearest(pictures: Array, memory: Array) -> tuple[Array, Array]:
    """Number of the remembered picture nearest to each, (n,), and the root mean square difference of grey, (n,).

    Args:
        pictures: (n, ...).
        memory: (m, ...), such as those of the training, in all eight symmetries.
    """
    flat, known = (np.reshape(group, (len(group), -1)) for group in (pictures, memory))
    number, distance = pairwise_distances_argmin_min(flat, known)
    return number, distance / np.sqrt(flat.shape[1])


def memorisation(artificial: Array, held_out: Array) -> float:
    """Chance that an artificial picture lies nearer to the training than a held-out one does, a tie counting half.

    0.5: as new as pictures that no training saw; 1: copies (the statistic of Meehan, Chaudhuri & Dasgupta 2020).

    Args:
        artificial: distances to the nearest training picture, (n,); see :func:`nearest`.
        held_out: the same of held-out pictures, (m,).
    """
    return float(((np.sign(held_out - artificial[:, None]) + 1) / 2).mean())


def deformed(pictures: Array, seed: int = 1) -> Array:
    """Real pictures turned by any angle, up to 10 % larger or smaller, and moved by up to 2 %: a generator of no wit.

    Args:
        pictures: (n, size, size), in [0, 1].
        seed: of the deformations.
    """
    rng = np.random.default_rng(seed)
    size = pictures.shape[-1]
    middle = np.full(2, (size - 1) / 2)
    changed = []
    for picture in pictures:
        angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0.9, 1.1)
        turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = rng.uniform(-0.02, 0.02, 2) * size
        changed.append(affine_transform(picture, turn, middle - turn @ (middle + shift), mode="reflect"))
    return np.clip(changed, 0, 1)
