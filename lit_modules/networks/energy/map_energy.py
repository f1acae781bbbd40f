"""E(x, y, z) of the statistics x of a flux map, of y = (distance, age, mass), and of a latent angle z."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lit_modules.networks.energy.free_energy import free_energy
from lit_modules.networks.energy.settings import EBMSettings
from lit_modules.networks.energy.waves import Waves
from lit_modules.networks.maps.encoder import MapEncoder
from lit_modules.networks.maps.gaussian import Gaussian

LOG_LIGHT = -3  # place of log10 of the light in the field among the statistics


class Context(NamedTuple):
    """All that the energies of B maps need of them.

    Attributes:
        embedding: s(x, z) at the nodes of z, (B, latent_nodes, e).
        mass: m(x), of what the mean and the width of the mass are linear in, (B, 2 e).
        log_light: log10 of the light in the field, Lsun kpc⁻², (B,).
    """

    embedding: Tensor
    mass: Tensor
    log_light: Tensor

    def rows(self, index: Tensor | slice | list[int]) -> "Context":
        """That of some maps."""
        return Context(*(x[index] for x in self))

    @classmethod
    def cat(cls, parts: Sequence["Context"]) -> "Context":
        """That of all maps of several."""
        return cls(*(torch.cat(x) for x in zip(*parts, strict=True)))


class MapEnergy(nn.Module):
    """E(x, y, z) = -s(x, z)·g(y₁, y₂) - b(y₁, y₂) + (y₃ - μ)²/2σ² + ln(√2π σ), μ and σ functions of x, y₁ and y₂.

    y₁ and y₂ are log10 distance and age, scaled to a box; s(x, z)·g(y₁, y₂) is high where the two fit (a joint
    embedding, LeCun 2022, sec. 4.4), b is of no map at all. A perceptron turns the statistics of the map into features,
    once; s is linear in them and in (cos z, sin z), and g sees y₁ and y₂ with their first sines and cosines, without
    which a smooth network is slow to learn narrow structure (Tancik et al. 2020). All is smooth: E is differentiable
    in y and z, and a sum over equally weighted nodes of z converges faster than any power of their number.

    The mass, y₃, enters as a square: the integral of exp(-E) over it is known, and the first two terms alone are the
    energy of distance and age. What μ and σ see is read by a perceptron of its own: it takes nothing from theirs.

    The buffers are mean and standard deviation of log10 M/L of the light in the field at the true distance.
    """

    latent: Tensor
    ratio_mean: Tensor
    ratio_std: Tensor

    def __init__(self, settings: EBMSettings) -> None:
        super().__init__()
        e = settings.embedding
        self.encoder = MapEncoder(settings)
        self.embed = nn.Linear(settings.features, 3 * e)
        self.embed_y = embedding_of_y(settings, e + 1)
        self.mass_encoder = MapEncoder(settings)
        self.embed_mass = nn.Linear(settings.features, 2 * e)
        self.mass_embed_y = embedding_of_y(settings, e + 2)
        nodes = torch.arange(settings.latent_nodes) * (2 * math.pi / settings.latent_nodes)
        self.register_buffer("latent", nodes, persistent=False)
        self.register_buffer("ratio_mean", torch.tensor(0.0))
        self.register_buffer("ratio_std", torch.tensor(1.0))

    def fit(self, statistics: Tensor, log_distance: Tensor, log_mass: Tensor) -> None:
        """Take means and standard deviations of training maps: statistics (n, N), log10 of kpc and Msun (n,)."""
        self.encoder.fit(statistics)
        self.mass_encoder.fit(statistics)
        log_ratio = (log_mass - log_light_of(statistics[:, LOG_LIGHT], log_distance)).double()
        std, mean = torch.std_mean(log_ratio, correction=0)
        self.ratio_mean, self.ratio_std = mean.to(self.ratio_mean), std.clamp_min(1e-3).to(self.ratio_std)

    def context(self, statistics: Tensor) -> Context:
        """Of maps, from their statistics (B, N)."""
        embedding = self.embedding(self.encoder(statistics), self.latent)
        return Context(embedding, self.embed_mass(self.mass_encoder(statistics)), statistics[:, LOG_LIGHT])

    def embedding(self, features: Tensor, z: Tensor) -> Tensor:
        """s(x, z) at angles (nodes,) or (B, nodes) -> (B, nodes, e)."""
        waves = torch.stack([torch.ones_like(z), z.cos(), z.sin()], -1)
        return waves @ self.embed(features).unflatten(-1, (3, -1))

    def forward(self, features: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """The first two terms of E, with one z for each y: (B, features), (B, n, 2), (B, n) -> (B, n)."""
        g, b = self._split(self.embed_y(y))
        return -(self.embedding(features, z) * g).sum(-1) - b

    def free_energy(self, context: Context, y: Tensor, beta: float) -> Tensor:
        """F_beta of distance and age at n points for each map, (B, n, 2), or the same for all, (n, 2) -> (B, n)."""
        g, b = self._split(self.embed_y(y))
        energies = -context.embedding @ g.mT - b[..., None, :]
        return free_energy(energies.mT, beta)  # a view: sums over z run along y, a third faster

    def mass(self, context: Context, y: Tensor, log_distance: Tensor) -> Gaussian:
        """log10 of the mass in the field, Msun, (B, n), at distance and age.

        Args:
            context: of B maps.
            y: as for ``free_energy``.
            log_distance: log10 of kpc at the same points, (B, n) or (n,).
        """
        h, bias = self.mass_embed_y(y).tensor_split([context.mass.shape[1] // 2], -1)
        linear = [(h @ m[..., None])[..., 0] for m in context.mass.chunk(2, 1)]
        ratio = Gaussian.of(linear[0] + bias[..., 0], linear[1] + bias[..., 1])
        log_light = log_light_of(context.log_light[:, None], log_distance)
        return ratio.scaled(log_light + self.ratio_mean, self.ratio_std)

    @staticmethod
    def _split(of_y: Tensor) -> tuple[Tensor, Tensor]:
        return of_y[..., :-1], of_y[..., -1]


def embedding_of_y(settings: EBMSettings, n_out: int) -> nn.Sequential:
    """A perceptron on (y₁, y₂), (..., 2) -> (..., n_out)."""
    hidden = settings.hidden
    return nn.Sequential(
        Waves(settings.waves),
        nn.Linear(2 + 4 * settings.waves, hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, n_out),
    )


def log_light_of(log_flux: Tensor, log_distance: Tensor) -> Tensor:
    """log10 L/Lsun = log10(4π D² F) of flux in Lsun kpc⁻² and distance in kpc."""
    return log_flux + 2 * log_distance + math.log10(4 * math.pi)
