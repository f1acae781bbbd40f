"""E(x, y, z) of the statistics x of a flux map, a point y of a box, and an angle z."""

import math

import torch
from torch import Tensor, nn

from lit_modules.networks.energy.free_energy import free_energy
from lit_modules.networks.energy.settings import EBMSettings
from lit_modules.networks.energy.waves import Waves
from lit_modules.networks.pidoc.statistics_encoder import StatisticsEncoder


class MapEnergy(nn.Module):
    """Energy of a joint embedding, E(x, y, z) = |s(x, z) - g(y)|² / 2 (LeCun 2022, sec. 4.4).

    A perceptron turns the statistics of the map into features, once; s(x, z) embeds them together with
    the latent angle z, and g(y) embeds the unknowns, together with their first sines and cosines,
    without which a smooth network is slow to learn narrow structure (Tancik et al. 2020).
    Compatible means near, and no energy is below zero, so that training cannot run away to minus
    infinity. All activations are smooth: E is differentiable in y and z, and a sum over equally
    weighted nodes of z converges faster than any power of their number.
    """

    latent: Tensor

    def __init__(self, settings: EBMSettings) -> None:
        super().__init__()
        hidden = settings.hidden
        self.encoder = StatisticsEncoder(settings)
        self.embed_features = nn.Linear(settings.features, hidden)
        self.embed_latent = nn.Linear(2, hidden, bias=False)
        self.meet = nn.Sequential(nn.SiLU(), nn.Linear(hidden, settings.embedding))
        self.embed_y = nn.Sequential(
            Waves(settings.waves),
            nn.Linear(2 + 4 * settings.waves, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, settings.embedding),
        )
        self.register_buffer(
            "latent", torch.arange(settings.latent_nodes) * (2 * math.pi / settings.latent_nodes), persistent=False
        )

    def embed(self, features: Tensor, z: Tensor) -> Tensor:
        """s(x, z) at angles (nodes,) or (B, nodes) -> (B, nodes, embedding)."""
        on_circle = torch.stack([z.cos(), z.sin()], -1)
        return self.meet(self.embed_features(features)[:, None] + self.embed_latent(on_circle))

    def forward(self, features: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """E(x, y, z), with one z for each y: (B, features), (B, n, 2), (B, n) -> (B, n)."""
        return (self.embed(features, z) - self.embed_y(y)).square().sum(-1) / 2

    def context(self, statistics: Tensor) -> Tensor:
        """s(x, z) at the nodes of z: all of the map that its energies need, (B, latent_nodes, embedding)."""
        return self.embed(self.encoder(statistics), self.latent)

    def free_energy(self, context: Tensor, y: Tensor, beta: float) -> Tensor:
        """F_beta(x, y) of n points for each map, (B, n, 2), or of the same for all, (n, 2) -> (B, n)."""
        s, g = context, self.embed_y(y)
        cross = g @ s.transpose(-1, -2)
        energies = (s.square().sum(-1)[:, None] + g.square().sum(-1, keepdim=True)) / 2 - cross
        return free_energy(energies, beta)
