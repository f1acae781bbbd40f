"""The rivals of the benchmarks compute what they claim to compute."""

import torch
from torch_geometric.nn import ChebConv
from torch_geometric.utils import dense_to_sparse

from benchmarks.graph_mnist import GridConv, filters, free_kernels, grid_adjacency
from benchmarks.pyg_rivals import EquivariantNetwork, by_scatter, complete_graphs, scatterable_network
from lit_modules.networks.spectral.laplacian import normalized_laplacian


def test_dense_layers_are_pygs_scatter() -> None:
    torch.manual_seed(1)
    net = scatterable_network(layers=3, hidden=8).double()
    x, v = torch.randn(2, 6, 5, 3, dtype=torch.float64)
    dense = net(x, v)
    sparse = by_scatter(net, x.flatten(0, 1), v.flatten(0, 1), complete_graphs(6, 5))
    for a, b in zip(dense, sparse, strict=True):
        torch.testing.assert_close(a.flatten(0, 1), b, rtol=0, atol=1e-12)
    assert (dense[1] - v).abs().max() > 1e-3, "the layers do kick"


def test_chebyshev_filters_are_pygs() -> None:
    torch.manual_seed(1)
    adjacency = grid_adjacency(5)
    laplacian = normalized_laplacian(adjacency)
    ours, theirs = GridConv(2, 3, filters(4)["chebyshev"], laplacian), ChebConv(2, 3, 4)
    with torch.no_grad():
        for term, weight in zip(theirs.lins, ours.weight, strict=True):
            term.weight.copy_(weight.T)
    edge_index, weights = dense_to_sparse(adjacency.float())
    signal, highest = torch.randn(25, 2), torch.linalg.eigvalsh(laplacian)[-1].float()
    expected = theirs(signal, edge_index, weights, lambda_max=highest)
    torch.testing.assert_close(ours(signal), expected, rtol=0, atol=1e-5)


def test_free_filter_has_a_weight_for_each_distinct_eigenvalue() -> None:
    """Those of the complete graph of five nodes are 0 and four times 5/4."""
    eigenvalues = torch.tensor([0.0, 1.25, 1.25, 1.25 + 1e-12, 1.25], dtype=torch.float64)
    assert free_kernels(eigenvalues).tolist() == [[1, 0], [0, 1], [0, 1], [0, 1], [0, 1]]
    laplacian = normalized_laplacian(grid_adjacency(3))
    assert len(GridConv(1, 1, free_kernels, laplacian).weight) == len(
        torch.linalg.eigvalsh(laplacian).round(decimals=9).unique()
    )


def test_message_passing_rival_is_equivariant() -> None:
    torch.manual_seed(1)
    network = EquivariantNetwork(3, 8, torch.tensor(1.3), torch.tensor(0.1)).double()
    x, v = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    moved = network(x @ turn.T + 2.0, v @ turn.T)
    torch.testing.assert_close(moved, network(x, v) @ turn.T + 2.0, rtol=0, atol=1e-10)
