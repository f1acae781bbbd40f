"""What the networks of π-DOC say of the mass in a field."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_modules.networks.maps.gaussian import Gaussian

LN10 = math.log(10.0)


@dataclass(frozen=True)
class MassMap:
    """Independent Gaussians of log10 masses.

    Attributes:
        pixels: log10 M/Msun of each pixel, (B, 1, H, W).
        field: log10 of the mass in the field, Msun, (P,); P > B where further maps came with statistics alone.
    """

    pixels: Gaussian
    field: Gaussian


def log_sum(log_mass: Tensor) -> Tensor:
    """log10 of the summed 10^x of each map, (B, 1, H, W) -> (B,)."""
    return torch.logsumexp(LN10 * log_mass.flatten(1), 1) / LN10
