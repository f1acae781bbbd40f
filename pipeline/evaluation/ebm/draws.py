"""Draws of the posterior of distance, age and mass, of many maps at once, and the quantities that they stand for."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.map_energy import Context
from lit_modules.networks.sampling.chains import Energy

NODES = 256  # of a side of the grid of cells
MAPS = 32  # at once: their cells fill the memory
STEPS = 1  # of Metropolis-Hastings, from a start that is nearly right


class Window(NamedTuple):
    """A part of the unit box, in which a grid is laid: corners (2,)."""

    low: Tensor
    high: Tensor

    @classmethod
    def whole(cls, device: torch.device | None = None) -> "Window":
        """All of the unit box."""
        return cls(torch.full((2,), -1.0, device=device), torch.ones(2, device=device))

    def at(self, unit: Tensor) -> Tensor:
        """Points of [-1, 1]², (..., 2), moved into the window and to its device, in their own precision."""
        unit = unit.to(self.low.device)
        low, high = self.low.to(unit), self.high.to(unit)
        return low + (unit + 1) / 2 * (high - low)


def calibrated(model: LitEBM, context: Context) -> Energy:
    """Energy of distance and age in nats: its Gibbs distribution is the posterior that the model states."""
    energy = model.energy(context)
    return lambda y: energy(y) / model.temperature


@torch.no_grad()
def posterior_draws(model: LitEBM, context: Context, n: int, generator: Generator | None = None) -> Tensor:
    """Independent draws of P(y|x), (B, n, 3): distance and age in the unit box, and log10 of the field's mass in Msun.

    Args:
        model: whose posterior it is.
        context: of B maps.
        n: draws of each.
        generator: source of randomness, on the CPU; torch's global one if None.
    """
    parts = torch.arange(len(context.embedding), device=context.embedding.device).split(MAPS)
    drawn = []
    for part in map(context.rows, parts):
        y = box_draws(calibrated(model, part), n, generator, Window.whole(part.embedding.device))
        drawn.append(with_mass(model, part, y, generator))
    return torch.cat(drawn)


def with_mass(model: LitEBM, context: Context, y: Tensor, generator: Generator | None = None) -> Tensor:
    """Draws of distance and age, (B, n, 2), each with a mass drawn from what the model says of it there, (B, n, 3)."""
    mass = model.mass_given(context, y)
    normal = torch.randn(y.shape[:-1], generator=generator).to(y)
    return torch.cat([y, (mass.mean + mass.sigma * normal)[..., None]], -1)


def box_draws(
    energy: Energy, n: int, generator: Generator | None = None, window: Window | None = None, nodes: int = NODES
) -> Tensor:
    """Draws of exp(-energy) in a window of the unit box, (B, n, 2).

    Each is a point of a cell of a grid, drawn by the density at the cell's middle. A Metropolis-Hastings step whose
    candidates are drawn in the same way mends what the density does inside a cell, where it is wider than two of them.

    Args:
        energy: in nats, of points (B, n, 2), or (n, 2) for all maps, -> (B, n).
        n: draws of each map.
        generator: see :func:`posterior_draws`.
        window: on the device of the energy; None for the whole box on the CPU.
        nodes: of a side of the grid.
    """
    window, grid = window or Window.whole(), unit_grid(nodes)
    at_nodes = energy(window.at(grid))
    cdf = torch.softmax(-at_nodes.double(), 1).cumsum(1)

    def candidates() -> tuple[Tensor, Tensor]:
        """Points, and log density at them over that of their cells, but for a constant."""
        share = torch.rand(len(cdf), n, generator=generator, dtype=torch.float64).to(cdf)
        cell = torch.searchsorted(cdf, share * cdf[:, -1:]).clamp(max=len(grid) - 1)
        offset = (2 * torch.rand(len(cdf), n, 2, generator=generator) - 1) / nodes
        point = window.at(grid.to(at_nodes)[cell] + offset.to(at_nodes))
        return point, at_nodes.gather(1, cell) - energy(point)

    point, weight = candidates()
    for _ in range(STEPS):
        other, its_weight = candidates()
        accept = torch.rand(weight.shape, generator=generator).to(weight).log() < its_weight - weight
        point, weight = torch.where(accept[..., None], other, point), torch.where(accept, its_weight, weight)
    return point


def quantities(model: LitEBM, draws: Tensor, log_light: Tensor) -> dict[str, Tensor]:
    """Distance (kpc), age (Gyr), mass (Msun), luminosity (Lsun) and M/L of draws (B, n, 3), (B, n) each.

    Args:
        model: that drew them.
        draws: see :func:`posterior_draws`.
        log_light: log10 of the light in each field, Lsun kpc⁻², (B,); further away it stands for more.
    """
    distance, age = model.from_box(draws[..., :2])
    mass, luminosity = 10 ** draws[..., 2], 10 ** log_light[:, None] * 4 * math.pi * distance**2
    return {
        "distance": distance,
        "age": age,
        "field_mass": mass,
        "field_luminosity": luminosity,
        "mass_to_light": mass / luminosity,
    }
