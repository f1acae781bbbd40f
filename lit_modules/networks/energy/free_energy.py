"""From energies to free energies, probabilities and the loss (the course's eq. 4-7 and 10-12)."""

import math

import torch
from torch import Tensor


def free_energy(energies: Tensor, beta: float) -> Tensor:
    """Free energy of an observed y: the latent z minimised or averaged out (course eq. 4, 5).

    F_beta = -(1/beta) log (1/|Z|) ∫ exp(-beta E) dz, the mean being taken over equally weighted
    nodes of z; its limit F_inf = min_z E is the case ``beta = math.inf``, and as beta -> 0 it
    tends to the mean energy. For a smooth periodic E the equal weights are the trapezoid rule,
    whose error falls faster than any power of the number of nodes.

    Args:
        energies: E(x, y, z) at the nodes of z, shape (..., nodes).
        beta: inverse temperature, > 0.

    Returns:
        F(x, y), shape (...).
    """
    if energies.shape[-1] == 1:
        return energies[..., 0]  # no latent
    if math.isinf(beta):
        return energies.amin(-1)
    return -(torch.logsumexp(-beta * energies, -1) - math.log(energies.shape[-1])) / beta


def log_gibbs(free_energies: Tensor, beta: float, cell: float) -> Tensor:
    """Log density of the Gibbs distribution on a grid of y (course eq. 6).

    Args:
        free_energies: F(x, y) at the nodes of y, shape (..., nodes).
        beta: inverse temperature.
        cell: volume of y that a node stands for; 1 where y is discrete.

    Returns:
        log P(y|x) with sum(P) * cell = 1, shape (..., nodes).
    """
    return torch.log_softmax(-beta * free_energies, -1) - math.log(cell)


def nll(free_energy_of_data: Tensor, free_energies: Tensor, beta: float, cell: float) -> Tensor:
    """Exact negative log-likelihood, the integral taken over a grid of y (beta times course eq. 11).

    Args:
        free_energy_of_data: F(x, y) of the observed y, shape (...).
        free_energies: F(x, y') at the nodes of y', shape (..., nodes).
        beta: inverse temperature.
        cell: volume of y that a node stands for.

    Returns:
        -log P(y|x) in nats, shape (...).
    """
    return beta * free_energy_of_data + torch.logsumexp(-beta * free_energies, -1) + math.log(cell)


def contrastive_loss(free_energy_of_data: Tensor, free_energy_of_samples: Tensor, beta: float) -> Tensor:
    """A scalar whose gradient is an unbiased estimate of that of the NLL (beta times course eq. 12).

    The integral of eq. 12 becomes a mean over samples of P(y|x), held fixed. The value itself is
    the energy gap between data and samples: no measure of convergence, only of balance.

    Args:
        free_energy_of_data: F(x, y) of the observed y, shape (B,).
        free_energy_of_samples: F(x, y') of samples y' ~ P(y'|x), shape (B, chains).
        beta: inverse temperature.
    """
    return beta * (free_energy_of_data.mean() - free_energy_of_samples.mean())
