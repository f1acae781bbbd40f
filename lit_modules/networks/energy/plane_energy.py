"""Energies of points on the plane, in nats: F(y) of a perceptron, and E(y, z) of an ellipse with a latent angle."""

import math

import torch
from torch import Tensor, nn

from lit_modules.networks.energy.free_energy import free_energy
from lit_modules.networks.energy.settings import PlaneSettings
from lit_modules.networks.energy.waves import Waves

PERCEPTRONS = ("eight_gaussians", "checkerboard", "moons", "circles")
DENSITIES = (*PERCEPTRONS, "ellipse")


class PlaneEnergy(nn.Module):
    """F(y) by a perceptron on y and its first sines and cosines, (..., 2) -> (...)."""

    def __init__(self, hidden: int, waves: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Waves(waves),
            nn.Linear(2 + 4 * waves, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, y: Tensor) -> Tensor:
        """F(y)."""
        return self.layers(y)[..., 0]


class EllipseEnergy(nn.Module):
    """E(y, z) = |y - W (cos z, sin z) - b|² / 2σ²: the course's ellipse, its latent angle z left to be found.

    Without z the points lie on no function of anything; with it they lie on an ellipse, up to noise of width σ.
    """

    latent: Tensor

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.curve = nn.Linear(2, 2)
        self.log_sigma = nn.Parameter(torch.tensor(math.log(0.2)))
        self.register_buffer("latent", torch.arange(nodes) * (2 * math.pi / nodes), persistent=False)

    def joint(self, y: Tensor, z: Tensor) -> Tensor:
        """E(y, z): (..., 2), (...) -> (...)."""
        on_curve = self.curve(torch.stack([z.cos(), z.sin()], -1))
        return (y - on_curve).square().sum(-1) / (2 * (2 * self.log_sigma).exp())

    def energies(self, y: Tensor) -> Tensor:
        """E(y, z) at the nodes of z: (..., 2) -> (..., nodes)."""
        return self.joint(y[..., None, :], self.latent)

    def forward(self, y: Tensor) -> Tensor:
        """F_beta(y) at beta = 1: the latent angle averaged out, (..., 2) -> (...)."""
        return free_energy(self.energies(y), 1.0)


def plane_energies(settings: PlaneSettings) -> nn.ModuleDict:
    """An energy for each density, by its name."""
    energies: dict[str, nn.Module] = {name: PlaneEnergy(settings.hidden, settings.waves) for name in PERCEPTRONS}
    return nn.ModuleDict(energies | {"ellipse": EllipseEnergy(settings.latent_nodes)})
