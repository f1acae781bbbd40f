"""A graph network that moves stars: learned edge weights, spectral kicks, drifts, unrolled like an integrator."""

from typing import Literal

import torch
from torch import Tensor, nn

from lit_modules.networks.graph.edges import Edges
from lit_modules.networks.graph.filters import make_filter
from lit_modules.networks.graph.pair_weights import PairWeights


class NBodyNetwork(nn.Module):
    r"""Positions and velocities of n stars one output step later.

    A layer takes the stars as a complete graph with weights a_ij = φ (:class:`PairWeights`), L = D - A:

    .. math:: v \leftarrow v + k_l\, g(L)\, x + k'_l\, g'(L')\, v, \qquad x \leftarrow x + h_l\, v

    g acts on stars and not on coordinates, and g(0) = 0, so the network commutes with rotations,
    reflections, translations, permutations and boosts (the h_l sum to one output step). Softened
    gravity is the case g = -λ, a_ij = G m_j (r_ij² + ε²)^(-3/2). While φ sees the distance alone and
    g = -λ, a kick is the gradient of a pair potential, and the network is symplectic.

    Args:
        layers: kicks in an output step.
        hidden: width of φ.
        filter: g: linear (-λ), polynomial or B-spline.
        coefficients: of a polynomial or B-spline filter, for each layer.
        attribute: what stars differ in.
        velocities: φ sees velocities too, and a second Laplacian L' acts on them.
        symmetric: a_ij = a_ji (with masses: of forces), so that total momentum is conserved.
        shared: one φ for all layers instead of one for each.

    Raises:
        ValueError: a spline filter of a Laplacian that is not symmetric.
    """

    size: Tensor
    time: Tensor
    attribute_unit: Tensor

    def __init__(
        self,
        *,
        layers: int,
        hidden: int,
        filter: Literal["linear", "polynomial", "spline"],
        coefficients: int,
        attribute: Literal["none", "mass", "charge"],
        velocities: bool,
        symmetric: bool,
        shared: bool,
    ) -> None:
        super().__init__()
        if filter == "spline" and not symmetric:
            raise ValueError("a spline filter needs real eigenvalues: set symmetric to true, or filter to polynomial")
        self.layers, self.symmetric, self.inertia = layers, symmetric, attribute == "mass" and symmetric
        self.charge, self.kinds = attribute == "charge", 1 + velocities
        features = 0 if attribute == "none" else 1 if symmetric and self.charge else 2  # of Edges.attribute_features
        self.weights = nn.ModuleList(
            PairWeights(hidden, velocities, features, self.kinds) for _ in range(1 if shared else layers)
        )
        self.filters = nn.ModuleList(make_filter(filter, coefficients, layers) for _ in range(layers * self.kinds))
        self.kicks = nn.Parameter(torch.full((layers, self.kinds), 1 / layers))
        self.drifts = nn.Parameter(torch.tensor([0.5, *[1.0] * (layers - 1), 0.5]) / layers)
        for unit in ("size", "time", "attribute_unit"):  # set from the training split
            self.register_buffer(unit, torch.ones(()))

    def forward(self, position: Tensor, velocity: Tensor, attribute: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance by one output step.

        Args:
            position: shape (batch, n, 3).
            velocity: shape (batch, n, 3).
            attribute: masses or charges, shape (batch, n).

        Returns:
            Position and velocity, each (batch, n, 3).
        """
        x, v, graph = self._graph(position, velocity, attribute)
        drifts = self.drifts / self.drifts.sum()
        x = x + drifts[0] * v
        for layer in range(self.layers):
            v = v + self._kick(layer, x, v, *graph)
            x = x + drifts[layer + 1] * v
        return x.permute(2, 0, 1) * self.size, v.permute(2, 0, 1) * (self.size / self.time)

    def acceleration(self, position: Tensor, velocity: Tensor, attribute: Tensor | None = None) -> Tensor:
        """What the layers together do to stars that are held in place: the learned law, (batch, n, 3)."""
        x, v, graph = self._graph(position, velocity, attribute)
        kicks = [self._kick(layer, x, v, *graph) for layer in range(self.layers)]
        return torch.stack(kicks).sum(0).permute(2, 0, 1) * (self.size / self.time**2)

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
    ) -> tuple[Tensor, Tensor, tuple[Edges, list[Tensor]]]:
        """Scaled positions and velocities (n, 3, batch), the pairs, and the attributes of each pair."""
        x = (position / self.size).permute(1, 2, 0).contiguous()
        v = (velocity * (self.time / self.size)).permute(1, 2, 0).contiguous()
        if attribute is None:
            return x, v, (Edges(len(x), self.symmetric, x), [])
        q = attribute.T / self.attribute_unit
        edges = Edges(len(x), self.symmetric, x, q if self.inertia else None)
        return x, v, (edges, edges.attribute_features(q, self.charge))

    def _kick(self, layer: int, x: Tensor, v: Tensor, edges: Edges, attributes: list[Tensor]) -> Tensor:
        """g(L) x + g'(L') v of one layer, shape (n, 3, batch)."""
        strengths = self.kicks[layer] / self.kicks.sum(0)
        differences = edges.differences(x), edges.differences(v)
        weights = self.weights[layer % len(self.weights)](*differences, attributes)
        kick = torch.zeros_like(v)
        for kind in range(self.kinds):
            curvature = edges.divergence(weights[kind].unsqueeze(1) * differences[kind])  # L x, then L' v
            filtered = self.filters[layer * self.kinds + kind](curvature, weights[kind], edges)
            kick = kick - strengths[kind] * filtered
        return kick
