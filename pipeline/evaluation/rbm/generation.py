"""The bits that a restricted machine sees of a picture, and those that it draws itself."""

import torch
from torch import Tensor

from lit_modules.networks.boltzmann.pixels import thermometer
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine


def seen(net: RestrictedBoltzmannMachine, grey: Tensor) -> Tensor:
    """Bits of stretched pictures, drawn anew at each call; (n, pixels) -> (n, levels * pixels)."""
    return thermometer(grey, net.levels, torch.rand_like(grey))


def mean_bits(net: RestrictedBoltzmannMachine) -> Tensor:
    """Mean of the independent pixels that the machine started its training as, (levels * pixels,)."""
    return net.visible(net.hidden_offset, beta=0.0)


def independent(net: RestrictedBoltzmannMachine, n: int) -> Tensor:
    """Draws of those, (n, levels * pixels)."""
    return net.draw(mean_bits(net).expand(n, -1))


def from_noise(net: RestrictedBoltzmannMachine, n: int, sweeps: int) -> Tensor:
    """Artificial pictures that no original stands behind, (n, levels * pixels): chains that start as noise."""
    return net.gibbs(independent(net, n), sweeps)
