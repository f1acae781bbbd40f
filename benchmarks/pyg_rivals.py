"""Graph networks on PyTorch Geometric: an E(n)-equivariant message-passing network, and our own layers by scatter."""

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from lit_modules.networks.graph.nbody import NBodyNetwork, shares
from lit_modules.networks.graph.settings import NBodySettings


def mlp(n_in: int, hidden: int, n_out: int) -> nn.Sequential:
    """Two layers with SiLU between."""
    return nn.Sequential(nn.Linear(n_in, hidden), nn.SiLU(), nn.Linear(hidden, n_out))


class EquivariantLayer(MessagePassing):
    """EGNN with velocities (Satorras et al. 2021, arXiv 2102.09844, eqs. 3 to 7); coordinate messages are averaged.

    Args:
        hidden: features of a node.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__(aggr=["sum", "mean"], aggr_kwargs={"mode": "cat"})
        self.edge = nn.Sequential(mlp(2 * hidden + 1, hidden, hidden), nn.SiLU())
        self.coordinate, self.velocity = mlp(hidden, hidden, 1), mlp(hidden, hidden, 1)
        self.node = mlp(2 * hidden, hidden, hidden)
        self.hidden = hidden
        with torch.no_grad():
            next(self.coordinate[-1].parameters()).mul_(1e-3)  # the weights: as the authors begin

    def forward(self, h: Tensor, x: Tensor, v: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (nodes, hidden), positions and velocities (nodes, 3) after the layer."""
        both = self.propagate(edge_index, h=h, x=x)  # sums of all channels, then their means
        messages, pulls = both[:, : self.hidden], both[:, -3:]
        v = self.velocity(h) * v + pulls
        return h + self.node(torch.cat([h, messages], -1)), x + v, v

    def message(self, h_i: Tensor, h_j: Tensor, x_i: Tensor, x_j: Tensor) -> Tensor:
        """The features and the coordinates that go along an edge, (edges, hidden + 3)."""
        apart = x_i - x_j
        features = self.edge(torch.cat([h_i, h_j, apart.square().sum(-1, keepdim=True)], -1))
        return torch.cat([features, apart * self.coordinate(features)], -1)


class EquivariantNetwork(nn.Module):
    """Positions one output later from positions and velocities, in units of the system's size.

    Args:
        layers: message-passing layers.
        hidden: features of a node.
        size: unit of length.
        time: unit of time.
    """

    def __init__(self, layers: int, hidden: int, size: Tensor, time: Tensor) -> None:
        super().__init__()
        self.embed = nn.Linear(1, hidden)
        self.layers = nn.ModuleList(EquivariantLayer(hidden) for _ in range(layers))
        self.size, self.time = size, time

    def forward(self, position: Tensor, velocity: Tensor) -> Tensor:
        """Positions (batch, n, 3) of the next output."""
        batch, n, _ = position.shape
        x = (position / self.size).flatten(0, 1)
        v = (velocity * (self.time / self.size)).flatten(0, 1)
        h = self.embed(v.norm(dim=-1, keepdim=True))
        edge_index = complete_graphs(batch, n)
        for layer in self.layers:
            h, x, v = layer(h, x, v, edge_index)
        return x.view(batch, n, 3) * self.size


def complete_graphs(batch: int, n: int) -> Tensor:
    """Edges of that many complete graphs of n nodes, (2, edges)."""
    edges = (~torch.eye(n, dtype=torch.bool)).nonzero().T
    return (edges.unsqueeze(1) + n * torch.arange(batch).view(1, -1, 1)).flatten(1)


def scatterable_network(layers: int, hidden: int) -> NBodyNetwork:
    """A network of ours that :func:`by_scatter` can compute too, with new weights."""
    settings = NBodySettings(
        layers=layers,
        hidden=hidden,
        filter="linear",
        coefficients=4,
        attribute="none",
        velocities=False,
        environment=0,
        symmetric=True,
        shared=False,
        velocity_weight=1.0,
        delta=None,
        lr=1e-2,
        weight_decay=0.0,
    )
    return NBodyNetwork(settings)


def by_scatter(net: NBodyNetwork, x: Tensor, v: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
    """What ``net`` computes, edge by edge on PyG's sparse graphs: positions and velocities (nodes, 3).

    For networks with a linear filter, without attributes and without velocities in the weights.
    """
    x, v = x / net.size, v * (net.time / net.size)
    receiver, sender = edge_index
    drifts, kicks = shares(net.drifts), shares(net.kicks[:, 0])
    x = x + drifts[0] * v
    for layer in range(net.layers):
        apart = x[receiver] - x[sender]
        weights, _ = net.weights[layer % len(net.weights)](
            apart.unsqueeze(-1), torch.zeros_like(apart).unsqueeze(-1), []
        )
        flow = weights[0] * apart  # of each edge, (edges, 3)
        v = v - kicks[layer] * scatter(flow, receiver, dim_size=len(x))
        x = x + drifts[layer + 1] * v
    return x * net.size, v * (net.size / net.time)
