"""A model whose posterior is known: a normal distribution around two numbers that stand for a map's statistics."""

from types import SimpleNamespace

import torch
from torch import Tensor

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.energy.map_energy import Context
from lit_modules.networks.maps.gaussian import Gaussian

MASS = (4.0, 0.2)  # mean and σ of log10 mass, wherever


class Toy(LitEBM):
    """P(y|x) = N(x, width²) in both directions of the unit box; x are the first two statistics, the third is light.

    Args:
        width: of the posterior that it states.
    """

    device = torch.device("cpu")

    def __init__(self, width: float) -> None:
        torch.nn.Module.__init__(self)
        self.width = width
        self.settings = SimpleNamespace(beta=1.0, distance_kpc=[4.0, 120.0], age_gyr=[0.0, 14.0])
        self.register_buffer("low", torch.tensor([0.60206, 0.0]))
        self.register_buffer("high", torch.tensor([2.0791812, 14.0]))
        self.register_buffer("temperature", torch.tensor(1.0))

    def context(self, statistics: Tensor) -> Context:
        return Context(statistics[:, None, :2], statistics[:, :2], statistics[:, 2])

    def free_energy(self, context: Context, y: Tensor, beta: float | None = None) -> Tensor:
        return ((y - context.embedding) / self.width).square().sum(-1) / 2

    def mass_given(self, context: Context, y: Tensor) -> Gaussian:
        like = torch.ones(len(context.mass), y.shape[-2])
        return Gaussian(MASS[0] * like, MASS[1] * like)

    def log_posterior(self, context: Context, nodes: int) -> Tensor:
        log = torch.log_softmax(-self.free_energy(context, unit_grid(nodes)), 1)
        return (log - torch.tensor(cell_volume(nodes)).log()).unflatten(1, (nodes, nodes))
