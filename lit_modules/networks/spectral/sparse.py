"""The Laplacians of PyG's sparse graphs, as the dense batch that the spectral layers take."""

from typing import Literal

from torch import Tensor
from torch_geometric.utils import get_laplacian, to_dense_adj


def dense_laplacian(
    edge_index: Tensor,
    edge_weight: Tensor | None = None,
    batch: Tensor | None = None,
    *,
    num_nodes: int,
    normalization: Literal["sym", "rw"] | None = None,
) -> Tensor:
    """Laplacians of a batch of undirected PyG graphs, shape (graphs, n, n).

    Graphs smaller than the largest are padded with zero rows and columns.

    Args:
        edge_index: both directions of each edge, shape (2, edges).
        edge_weight: shape (edges,); None: all 1.
        batch: graph of each node, shape (nodes,); None: one graph.
        num_nodes: nodes of all graphs together.
        normalization: None: D - A; "sym": I - D^(-1/2) A D^(-1/2); "rw": I - D^(-1) A.
    """
    edge_index, weights = get_laplacian(edge_index, edge_weight, normalization=normalization, num_nodes=num_nodes)
    if batch is None:
        return to_dense_adj(edge_index, edge_attr=weights, max_num_nodes=num_nodes)
    return to_dense_adj(edge_index, batch, weights)
