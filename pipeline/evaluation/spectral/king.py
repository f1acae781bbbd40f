"""Membership by place alone: a King profile over a uniform field, fitted to the stars of each field."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logit

from pipeline.evaluation.spectral.fields import Array

TICKS = (np.arange(16) + 0.5) / 8 - 1  # of the square over which the profile is normalised
SQUARE = np.stack(np.meshgrid(TICKS, TICKS), -1).reshape(-1, 2)
# The priors were tried on drawn fields: a radius and a share that the fields of the simulation have.
CORES = (0.15, 0.35)  # half-widths: of the profiles that are tried at each star to begin with
CORE, CORE_SPREAD = np.log(0.3), 0.5  # of a Gaussian prior of the log core radius; without it three stars make a core
SHARE_SPREAD = 0.7  # of that of the log odds of the cluster
BOUNDS = [(-1.0, 1.0), (-1.0, 1.0), (-2.5, 0.3), (-3.0, 3.0)]


def king_log_odds(positions: Array, share: float) -> Array:
    """Logarithms of the odds that stars belong to the cluster of their field, (fields, n, 2) -> (fields, n).

    Each field tells the centre, the core radius and the share f of its cluster: those of largest posterior, with the
    density f σ(r) / <σ> + 1 - f over the square of the field and σ of :func:`profile`.

    Args:
        positions: x and y from the middle of the square.
        share: of members among the stars of the training.
    """
    places = [position / np.abs(position).max() for position in positions]
    return np.stack([log_odds(fitted(place, logit(share)), place) for place in places])


def fitted(place: Array, odds: float) -> Array:
    """Centre, log core radius and log odds of the cluster that are most probable, for places (n, 2) in [-1, 1]².

    Args:
        place: of the stars.
        odds: expected logarithm of the odds of the cluster.
    """

    def minus_log_posterior(parameters: Array) -> float:
        mixture = np.logaddexp(0, log_odds(parameters, place)) - np.logaddexp(0, parameters[-1])
        unlikely = ((parameters[2:] - (CORE, odds)) / (CORE_SPREAD, SHARE_SPREAD)) ** 2 / 2
        return float(unlikely.sum() - mixture.sum())

    return minimize(minus_log_posterior, [*start(place, odds), odds], method="L-BFGS-B", bounds=BOUNDS).x


def start(place: Array, odds: float) -> tuple[float, float, float]:
    """The star, as centre, and the log core radius of ``CORES`` that make the stars most likely."""
    found = []
    for core in CORES:
        mean = profile(separation(place, SQUARE), core).mean(1)
        density = profile(separation(place, place), core) / mean[:, None]
        likelihood = np.logaddexp(0, odds + np.log(density)).sum(1)
        found.append((likelihood.max(), *place[likelihood.argmax()], np.log(core)))
    return max(found)[1:]


def separation(centre: Array, place: Array) -> Array:
    """Distances of places (m, 2) from centres (n, 2), (n, m)."""
    return np.linalg.norm(centre[:, None] - place, axis=-1)


def log_odds(parameters: Array, place: Array) -> Array:
    """Logarithm of f σ(r) / <σ> over 1 - f at places (n, 2)."""
    centre, core = parameters[None, :2], np.exp(parameters[2])
    mean = profile(separation(centre, SQUARE), core).mean()
    return parameters[3] + np.log(profile(separation(centre, place)[0], core) / mean)


def profile(radius: Array, core: float) -> Array:
    """σ(r) = 1 / (1 + (r/r_c)²), the profile of King (1962, AJ 67, 471) without its edge."""
    return 1 / (1 + np.square(radius / core))
