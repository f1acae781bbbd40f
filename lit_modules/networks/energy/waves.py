"""Sines and cosines of coordinates, of which a smooth network makes narrow structure (Tancik et al. 2020)."""

import math

import torch
from torch import Tensor, nn


class Waves(nn.Module):
    """y -> y, sin(k π y / 2), cos(k π y / 2), k = 1..n; (..., 2) -> (..., 2 + 4 n)."""

    frequencies: Tensor

    def __init__(self, number: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.arange(1, number + 1) * (math.pi / 2), persistent=False)

    def forward(self, y: Tensor) -> Tensor:
        phase = (y[..., None] * self.frequencies).flatten(-2)
        return torch.cat([y, phase.sin(), phase.cos()], -1)
