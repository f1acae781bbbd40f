"""A graph network that moves stars: learned edge weights, spectral kicks, drifts, unrolled like an integrator."""

import torch
from torch import Tensor, nn

from lit_modules.networks.graph.edges import Edges
from lit_modules.networks.graph.filters import make_filter
from lit_modules.networks.graph.pair_weights import PairWeights
from lit_modules.networks.graph.settings import NBodySettings


class NBodyNetwork(nn.Module):
    r"""Positions and velocities of n stars one output step later.

    A layer takes the stars as a complete graph with weights a_ij = φ (:class:`PairWeights`), L = D - A:

    .. math:: v \leftarrow v + k_l\, g(L)\, x + k'_l\, g'(L')\, v, \qquad x \leftarrow x + h_l\, v

    g acts on stars and not on coordinates, and g(0) = 0, so the network commutes with rotations,
    reflections, translations, permutations and boosts (the h_l sum to one output step, see :func:`shares`). Softened
    gravity is the case g = -λ, a_ij = G m_j (r_ij² + ε²)^(-3/2). While φ sees the distance alone and
    g = -λ, a kick is the gradient of a pair potential, and the network is symplectic.

    With ``environment`` a star carries numbers e_i that tell φ of the layers to come what its
    neighbours do, as the features of EGNN (Satorras et al. 2021, arXiv 2102.09844, eqs. 3, 5, 6). They start
    at 0, and each layer adds the messages m_ij of the pairs:

    .. math:: (a_{ij}, m_{ij}) = \phi(r_{ij}, ..., e_i + e_j), \qquad
        e_i \leftarrow e_i + \sum_j m_{ij}
    """

    size: Tensor
    time: Tensor
    attribute_unit: Tensor

    def __init__(self, settings: NBodySettings) -> None:
        super().__init__()
        self.layers, self.symmetric = settings.layers, settings.symmetric
        self.charge = settings.attribute == "charge"
        self.inertia = settings.attribute == "mass" and settings.symmetric
        self.kinds, self.environment = 1 + settings.velocities, settings.environment
        features = self._attribute_features(settings)
        networks = 1 if settings.shared else settings.layers
        self.weights = nn.ModuleList(PairWeights(settings, features, self.kinds) for _ in range(networks))
        self.filters = nn.ModuleList(make_filter(settings) for _ in range(settings.layers * self.kinds))
        layers = settings.layers
        self.kicks = nn.Parameter(torch.full((layers, self.kinds), 1 / layers))
        self.drifts = nn.Parameter(torch.tensor([0.5, *[1.0] * (layers - 1), 0.5]) / layers)
        for unit in ("size", "time", "attribute_unit"):  # set from the training split
            self.register_buffer(unit, torch.ones(()))

    @staticmethod
    def _attribute_features(settings: NBodySettings) -> int:
        """Number of :meth:`Edges.attribute_features`."""
        if settings.attribute in ("none", "auto"):
            return 0
        return 1 if settings.symmetric and settings.attribute == "charge" else 2

    def forward(self, position: Tensor, velocity: Tensor, attribute: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance by one output step.

        Args:
            position: shape (batch, n, 3).
            velocity: shape (batch, n, 3).
            attribute: masses or charges, shape (batch, n).

        Returns:
            Position and velocity, each (batch, n, 3).
        """
        x, v, e, graph = self._graph(position, velocity, attribute)
        kicks, drifts = shares(self.kicks).unbind(), shares(self.drifts).unbind()
        x = x + drifts[0] * v
        for layer in range(self.layers):
            kick, e = self._kick(layer, kicks[layer], x, v, e, *graph)
            v = v + kick
            x = x + drifts[layer + 1] * v
        return x.permute(2, 0, 1) * self.size, v.permute(2, 0, 1) * (self.size / self.time)

    def acceleration(self, position: Tensor, velocity: Tensor, attribute: Tensor | None = None) -> Tensor:
        """What the layers together do to stars that are held in place: the learned law, (batch, n, 3)."""
        x, v, e, graph = self._graph(position, velocity, attribute)
        kicks, total = shares(self.kicks).unbind(), torch.zeros_like(v)
        for layer in range(self.layers):
            kick, e = self._kick(layer, kicks[layer], x, v, e, *graph)
            total = total + kick
        return total.permute(2, 0, 1) * (self.size / self.time**2)

    def rollout(
        self, position: Tensor, velocity: Tensor, attribute: Tensor | None, steps: int
    ) -> tuple[Tensor, Tensor]:
        """Positions and velocities at 0, 1, ..., ``steps`` output steps, each (batch, steps + 1, n, 3)."""
        states = [(position, velocity)]
        for _ in range(steps):
            states.append(self(*states[-1], attribute))
        positions, velocities = zip(*states, strict=True)
        return torch.stack(positions, 1), torch.stack(velocities, 1)

    def _graph(
        self, position: Tensor, velocity: Tensor, attribute: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Edges, list[Tensor]]]:
        """Scaled positions and velocities (n, 3, batch), e = 0 (n, :, batch), the pairs, and the attributes of each."""
        x = (position / self.size).permute(1, 2, 0).contiguous()
        v = (velocity * (self.time / self.size)).permute(1, 2, 0).contiguous()
        e = x.new_zeros(len(x), self.environment, len(position))
        if attribute is None:
            return x, v, e, (Edges(len(x), self.symmetric, x), [])
        q = attribute.T / self.attribute_unit
        edges = Edges(len(x), self.symmetric, x, q if self.inertia else None)
        return x, v, e, (edges, edges.attribute_features(q, self.charge))

    def _kick(
        self, layer: int, strengths: Tensor, x: Tensor, v: Tensor, e: Tensor, edges: Edges, attributes: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """g(L) x + g'(L') v of one layer (n, 3, batch), and the environments e after it (n, :, batch)."""
        differences = edges.differences(x), edges.differences(v)
        seen = [*attributes, *edges.sums(e).unbind(1)] if self.environment else attributes
        weights, messages = self.weights[layer % len(self.weights)](*differences, seen)
        kick = torch.zeros_like(v)
        for kind, (weight, difference, strength) in enumerate(zip(weights, differences, strengths, strict=False)):
            curvature = edges.divergence(weight.unsqueeze(1) * difference)  # L x, then L' v
            filtered = self.filters[layer * self.kinds + kind](curvature, weight, edges)
            kick = kick - strength * filtered
        return kick, e + edges.gathered(messages) if self.environment else e


def shares(numbers: Tensor) -> Tensor:
    """The nearest numbers whose sum over the first dimension is 1: of either sign, and finite whatever was learned."""
    return numbers + (1 - numbers.sum(0)) / len(numbers)
