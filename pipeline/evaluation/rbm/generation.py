"""The bits that a restricted machine sees of a picture, and those that it draws itself."""

import torch
from torch import Tensor

from lit_modules.networks.boltzmann.pixels import thermometer
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine


def seen(net: RestrictedBoltzmannMachine, grey: Tensor) -> Tensor:
    """Bits of stretched pictures, drawn anew at each call; (n, pixels) -> (n, levels * pixels)."""
    return thermometer(grey, net.levels, torch.rand_like(grey))


def independent(net: RestrictedBoltzmannMachine, n: int) -> Tensor:
    """Draws of the independent pixels that the machine started its training as, (n, levels * pixels)."""
    return net.sample_visible(net.hidden_offset.expand(n, -1), beta=0.0)


def from_noise(net: RestrictedBoltzmannMachine, n: int, sweeps: int) -> Tensor:
    """Artificial pictures that no original stands behind, (n, levels * pixels): chains that start as noise."""
    return net.gibbs(independent(net, n), sweeps)
