"""The temperature at which the energies of held-out data are as low as those of the model (Guo et al. 2017)."""

import torch
from torch import Tensor

HOTTEST = 16.0  # and 1/16 the coldest
HALVINGS = 16  # of the range of ln T


def fitted_temperature(energy_of_data: Tensor, energies: Tensor) -> Tensor:
    """T of lowest mean NLL under P ∝ exp(-E/T), on a grid of equal cells.

    The NLL is convex in 1/T, and its derivative is the mean of the data's energy less that of the model: it is zero
    at one T, which halving finds.

    Args:
        energy_of_data: E in nats of the true y of each datum, (n,).
        energies: E at the nodes of the grid, (n, nodes).

    Returns:
        T, between 1/``HOTTEST`` and ``HOTTEST``.
    """
    low, high = (energies.new_tensor(HOTTEST).log() * sign for sign in (-1, 1))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        expected = (torch.softmax(-energies / middle.exp(), 1) * energies).sum(1)
        too_cold = energy_of_data.mean() > expected.mean()
        low, high = torch.where(too_cold, middle, low), torch.where(too_cold, high, middle)
    return ((low + high) / 2).exp()
