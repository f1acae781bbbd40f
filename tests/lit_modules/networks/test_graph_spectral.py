"""Spectral layers against closed forms, PyG's layers and numerical derivatives."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch_geometric.nn import ChebConv
from torch_geometric.utils import dense_to_sparse

from lit_modules.networks.spectral.bspline import bspline_basis, clamped_knots
from lit_modules.networks.spectral.laplacian import (
    degree,
    fourier_basis,
    graph_fourier,
    inverse_graph_fourier,
    laplacian,
    normalized_laplacian,
)
from lit_modules.networks.spectral.matrix_function import matrix_function
from lit_modules.networks.spectral.sparse import dense_laplacian

COURSE = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 1], [0, 1, 0, 0], [1, 1, 0, 0]], dtype=torch.float64)


def random_graphs(*shape: int, seed: int = 0) -> torch.Tensor:
    weights = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).triu(1)
    return weights + weights.mT


def test_the_courses_example() -> None:
    assert degree(COURSE).tolist() == [2, 3, 1, 2]
    assert laplacian(COURSE).tolist() == [[2, -1, 0, -1], [-1, 3, -1, -1], [0, -1, 1, 0], [-1, -1, 0, 2]]
    assert torch.allclose(fourier_basis(laplacian(COURSE))[0], torch.tensor([0.0, 1, 3, 4]).double(), atol=1e-12)
    # random-walk form of the slides: (Δh)_i = h_i - sum_j a_ij h_j / d_i has the same eigenvalues
    walk = torch.eye(4).double() - COURSE / degree(COURSE)[:, None]
    symmetric = fourier_basis(normalized_laplacian(COURSE))[0]
    assert torch.allclose(torch.linalg.eigvals(walk).real.sort().values, symmetric, atol=1e-12)


def test_eigenvalues_of_known_graphs() -> None:
    n = 7
    ring = torch.roll(torch.eye(n).double(), 1, 0)
    ring = ring + ring.T
    expected = np.sort(2 - 2 * np.cos(2 * np.pi * np.arange(n) / n))
    assert np.allclose(fourier_basis(laplacian(ring))[0], expected, atol=1e-12)
    complete = torch.ones(5, 5).double().fill_diagonal_(0)
    assert np.allclose(fourier_basis(normalized_laplacian(complete))[0], [0, 1.25, 1.25, 1.25, 1.25], atol=1e-12)


def test_isolated_node_counts_as_a_connected_part() -> None:
    adjacency = torch.zeros(5, 5).double()
    adjacency[:4, :4] = COURSE
    zeros = fourier_basis(normalized_laplacian(adjacency))[0].abs() < 1e-12
    assert zeros.sum() == 2


def test_fourier_transform_inverts_and_keeps_the_norm() -> None:
    signal = torch.randn(3, 6, 2).double()
    basis = fourier_basis(laplacian(random_graphs(3, 6, 6)))[1]
    spectrum = graph_fourier(signal, basis)
    assert torch.allclose(inverse_graph_fourier(spectrum, basis), signal)
    assert torch.allclose(spectrum.norm(), signal.norm())


@pytest.mark.parametrize("normalization", [None, "sym"])
def test_sparse_graphs_give_the_dense_laplacians(normalization: str | None) -> None:
    adjacency = random_graphs(3, 6, 6)
    edge_index, weights = dense_to_sparse(adjacency)
    batch = torch.arange(3).repeat_interleave(6)
    found = dense_laplacian(edge_index, weights, batch, num_nodes=18, normalization=normalization)
    expected = laplacian(adjacency) if normalization is None else normalized_laplacian(adjacency)
    assert torch.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(("n_splines", "degree_"), [(4, 3), (9, 3), (5, 1), (6, 2)])
def test_splines_are_scipys_and_sum_to_one_at_both_ends(n_splines: int, degree_: int) -> None:
    knots = clamped_knots(n_splines, degree_, -0.5, 2.0)
    points = torch.linspace(-0.5, 2.0, 101).double()
    found = bspline_basis(points, knots, degree_)
    expected = BSpline.design_matrix(points.numpy(), knots.numpy(), degree_).toarray()
    assert np.allclose(found, expected, atol=1e-12)
    assert torch.allclose(found.sum(-1), torch.ones(101).double())
    assert found[0, 0] == 1 and found[-1, -1] == 1


def test_splines_want_enough_of_them() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        clamped_knots(3, 3, 0.0, 1.0)


def test_constant_filter_is_the_identity() -> None:
    signal, graph = torch.randn(2, 6, 3), normalized_laplacian(random_graphs(6, 6))
    for layer, graphs in (
        (SplineSpectralConv(3, 3, 5, laplacian=graph), None),
        (SplineSpectralConv(3, 3, 5), graph.float().expand(2, 6, 6)),
        (FreeSpectralConv(3, 3, graph), None),
    ):
        layer.weight.data = torch.eye(3).expand_as(layer.weight)
        result = layer(signal) if graphs is None else layer(signal, graphs)
        assert torch.allclose(result, signal, atol=1e-5)


def test_a_polynomial_spline_filter_is_chebyshevs() -> None:
    torch.manual_seed(0)
    adjacency = random_graphs(9, 9)
    edge_index, weights = dense_to_sparse(adjacency)
    chebyshev = ChebConv(2, 3, K=4).double()  # cubic polynomials in Λ - 1
    with torch.no_grad():
        chebyshev.bias.normal_()
    spline = SplineSpectralConv(2, 3, 6, domain=(0.0, 2.0)).double()
    grid = torch.linspace(0, 2, 50).double()
    basis = bspline_basis(grid, spline.knots, 3)
    polynomials = torch.stack(
        [torch.ones(50), grid - 1, 2 * (grid - 1) ** 2 - 1, 4 * (grid - 1) ** 3 - 3 * (grid - 1)], 1
    )
    to_splines = torch.linalg.lstsq(basis, polynomials.double()).solution
    responses = torch.stack([linear.weight.T for linear in chebyshev.lins])
    spline.weight.data = torch.einsum("kp,pio->kio", to_splines, responses)
    spline.bias.data = chebyshev.bias.data
    signal = torch.randn(9, 2).double()
    expected = chebyshev(signal, edge_index, weights, lambda_max=torch.tensor(2.0).double())
    assert torch.allclose(spline(signal, normalized_laplacian(adjacency)), expected, atol=1e-10)


def test_fixed_graph_and_graph_per_sample_agree() -> None:
    graph = normalized_laplacian(random_graphs(8, 8))
    eigenvalues = fourier_basis(graph)[0]
    fixed = SplineSpectralConv(2, 4, 5, laplacian=graph).double()
    free = SplineSpectralConv(2, 4, 5, domain=(float(eigenvalues[0]), float(eigenvalues[-1]))).double()
    free.weight, free.bias = fixed.weight, fixed.bias
    signal = torch.randn(3, 8, 2).double()
    assert torch.allclose(fixed(signal), free(signal, graph.expand(3, 8, 8)), atol=1e-6)  # buffers were float32


def test_more_splines_than_eigenvalues_are_refused() -> None:
    complete = normalized_laplacian(torch.ones(5, 5).double().fill_diagonal_(0))
    with pytest.raises(ValueError, match="2 distinct eigenvalues"):
        SplineSpectralConv(1, 1, 4, laplacian=complete)


def test_free_filter_has_a_weight_for_each_distinct_eigenvalue() -> None:
    complete = normalized_laplacian(torch.ones(5, 5).double().fill_diagonal_(0))
    assert FreeSpectralConv(1, 2, complete).weight.shape == (2, 1, 2)


@pytest.mark.parametrize("kind", ["distinct", "repeated", "nearly repeated"])
def test_gradient_of_a_matrix_function(kind: str) -> None:
    """Central differences know no eigenvectors; the spectrum of the complete graph is degenerate."""
    spectrum = {
        "distinct": [0.3, 0.7, 1.1, 1.6],
        "repeated": [0.3, 1.1, 1.1, 1.1],
        "nearly repeated": [0.3, 1.1, 1.1 + 1e-9, 1.6],
    }[kind]
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)).double())[0]
    matrix = (rotation * torch.tensor(spectrum).double()) @ rotation.T
    knots, coefficients = clamped_knots(5, 3, 0.0, 2.0), torch.tensor([0.3, -1.0, 2.0, 0.5, 1.0]).double()

    def function(matrix: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        symmetric = (matrix + matrix.mT) / 2
        return matrix_function(symmetric, lambda x: bspline_basis(x, knots, 3) @ coefficients[:, None])

    inputs = (matrix.requires_grad_(), coefficients.requires_grad_())
    assert torch.autograd.gradcheck(function, inputs, eps=1e-5, atol=1e-6)


def test_matrix_function_is_the_polynomial() -> None:
    matrix = random_graphs(3, 5, 5)
    cubes = matrix_function(matrix, lambda x: torch.stack([x**2, x**3], -1))
    assert torch.allclose(cubes[:, 0], matrix @ matrix) and torch.allclose(cubes[:, 1], matrix @ matrix @ matrix)
