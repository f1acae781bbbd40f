"""Spectral layers against closed forms, PyG's layers and numerical derivatives."""

import math

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from scipy.sparse import csgraph
from torch_geometric.nn import ChebConv
from torch_geometric.utils import dense_to_sparse

from lit_modules.networks.spectral.bspline import bspline_basis, clamped_knots
from lit_modules.networks.spectral.convolution import SpectralConv, chebyshev_kernels, frequency, spline_kernels
from lit_modules.networks.spectral.laplacian import (
    degree,
    fourier_basis,
    graph_fourier,
    inverse_graph_fourier,
    laplacian,
    normalized_laplacian,
)
from lit_modules.networks.spectral.matrix_function import matrix_function
from lit_modules.networks.spectral.network import SpectralNetwork
from lit_modules.networks.spectral.settings import SpectralSettings

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


def test_normalised_laplacians_of_a_batch_are_scipys() -> None:
    graphs = random_graphs(3, 5, 5)
    graphs[1, 2], graphs[1, :, 2] = 0, 0  # a node without edges
    expected = [csgraph.laplacian(graph.numpy(), normed=True) for graph in graphs]
    np.testing.assert_allclose(normalized_laplacian(graphs), expected, atol=1e-12)


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


KERNELS = {"spline": spline_kernels, "chebyshev": chebyshev_kernels}


@pytest.mark.parametrize("graphs", [1, 3])
def test_layer_is_the_sum_over_channels_of_filtered_signals(graphs: int) -> None:
    """One channel and one graph at a time, by the formula: Φ diag(B w) Φᵀ H."""
    torch.manual_seed(0)
    eigenvalues, basis = fourier_basis(normalized_laplacian(random_graphs(graphs, 8, 8)))
    kernels, signal = spline_kernels(eigenvalues, 5, 2.0), torch.randn(3, 8, 2).double()
    layer = SpectralConv(2, 4, 5).double()
    layer.bias.data.normal_()
    found = layer(signal, kernels, basis) if graphs > 1 else layer(signal, kernels[0], basis[0])
    for b in range(3):
        phi, splines = basis[b % graphs], kernels[b % graphs]
        for o in range(4):
            filtered = [phi @ torch.diag(splines @ layer.weight[:, i, o]) @ phi.T @ signal[b, :, i] for i in range(2)]
            assert torch.allclose(found[b, :, o], sum(filtered) + layer.bias[o], atol=1e-12)


def test_constant_filter_is_the_identity() -> None:
    signal = torch.randn(2, 6, 3).double()
    eigenvalues, basis = fourier_basis(normalized_laplacian(random_graphs(2, 6, 6)))
    layer = SpectralConv(3, 3, 5).double()
    layer.weight.data = torch.eye(3).double().expand_as(layer.weight)
    assert torch.allclose(layer(signal, spline_kernels(eigenvalues, 5, 2.0), basis), signal, atol=1e-12)


@pytest.mark.parametrize("filter_", KERNELS)
def test_layer_differentiates_twice(filter_: str) -> None:
    torch.manual_seed(0)
    eigenvalues, basis = fourier_basis(normalized_laplacian(random_graphs(2, 5, 5)))
    kernels, layer = KERNELS[filter_](eigenvalues, 4, 2.0), SpectralConv(2, 1, 4).double()

    def filtered(signal: torch.Tensor, kernels: torch.Tensor, basis: torch.Tensor, *parameters: torch.Tensor):
        named = dict(zip(("weight", "bias"), parameters, strict=True))
        return torch.func.functional_call(layer, named, (signal, kernels, basis)).tanh()

    inputs = (torch.randn(2, 5, 2).double(), kernels, basis, layer.weight.detach(), layer.bias.detach())
    inputs = tuple(tensor.clone().requires_grad_() for tensor in inputs)
    assert torch.autograd.gradcheck(filtered, inputs)
    assert torch.autograd.gradgradcheck(filtered, inputs)


@pytest.mark.parametrize("filter_", KERNELS)
def test_layers_are_pygs_chebyshev_convolution(filter_: str) -> None:
    """Cubic polynomials are Chebyshev's own, and lie in the span of cubic splines."""
    torch.manual_seed(0)
    adjacency = random_graphs(9, 9)
    edge_index, weights = dense_to_sparse(adjacency)
    theirs = ChebConv(2, 3, K=4).double()
    ours = SpectralConv(2, 3, 4 if filter_ == "chebyshev" else 6).double()
    grid = torch.linspace(0, 2, 50).double()
    polynomials, kernels = chebyshev_kernels(grid, 4, 2.0), KERNELS[filter_](grid, len(ours.weight), 2.0)
    responses = torch.stack([linear.weight.T for linear in theirs.lins])
    with torch.no_grad():
        theirs.bias.normal_()
        ours.weight.copy_(torch.einsum("kp,pio->kio", torch.linalg.lstsq(kernels, polynomials).solution, responses))
        ours.bias.copy_(theirs.bias)
    signal = torch.randn(9, 2).double()
    eigenvalues, basis = fourier_basis(normalized_laplacian(adjacency))
    found = ours(signal, KERNELS[filter_](eigenvalues, len(ours.weight), 2.0), basis)
    expected = theirs(signal, edge_index, weights, lambda_max=torch.tensor(2.0).double())
    assert torch.allclose(found, expected, atol=1e-10)


def test_frequency_is_that_of_the_waves_on_a_ring() -> None:
    """λ = 2 - 2 cos(2πk/n), whose largest is 4: cosines and sines of 0, 1, 1, 2, 2, ... periods."""
    n = 8
    eigenvalues = torch.tensor([2 - 2 * math.cos(2 * math.pi * (k + 1 - (k + 1) // 2) / n) for k in range(-1, n - 1)])
    periods = frequency(eigenvalues, 4.0) * n / (2 * math.pi)
    assert torch.allclose(periods, torch.tensor([0.0, 1, 1, 2, 2, 3, 3, 4]), atol=1e-3)
    theta = torch.linspace(0, math.pi, 9).double()
    kernels = chebyshev_kernels(2 * (theta / 2).sin().square(), 4, 2.0)  # cosines of π - θ
    assert torch.allclose(kernels, ((math.pi - theta).unsqueeze(-1) * torch.arange(4)).cos(), atol=1e-7)


def settings(**changes: object) -> SpectralSettings:
    values = {"filter": "spline", "coefficients": 5, "layers": 2, "hidden": 3, "lr": 1e-2, "weight_decay": 0.0}
    return SpectralSettings(**(values | changes))


@pytest.mark.parametrize("filter_", ["spline", "plain_spline", "chebyshev", "free"])
def test_network_follows_the_order_of_the_nodes(filter_: str) -> None:
    """Stars in another order, and eigenvectors of other sign: the same answers in that order."""
    torch.manual_seed(0)
    network = SpectralNetwork(settings(filter=filter_, coefficients=8)).double()
    signal, graphs, order = (
        torch.randn(2, 8, 3).double(),
        normalized_laplacian(random_graphs(2, 8, 8)),
        torch.randperm(8),
    )
    eigenvalues, basis = fourier_basis(graphs)
    found = network(signal, eigenvalues, basis)
    moved = network(signal[:, order], eigenvalues, -basis[:, order])
    assert found.shape == (2, 8) and found.std() > 0
    assert torch.allclose(moved, found[:, order], atol=1e-10)


@pytest.mark.parametrize("filter_", ["spline", "plain_spline"])
def test_knots_are_even_in_the_frequency_or_in_the_eigenvalue(filter_: str) -> None:
    """By scipy's B-splines; at λ = 0 those in θ ~ √λ change without bound, those in λ do not."""
    network = SpectralNetwork(settings(filter=filter_)).double()
    eigenvalues = np.linspace(0, 2, 41)
    knots = np.concatenate([np.zeros(3), np.linspace(0, 1, 3), np.ones(3)])
    place = eigenvalues / 2 if filter_ == "plain_spline" else 2 / math.pi * np.arcsin(np.sqrt(eigenvalues / 2))
    expected = BSpline.design_matrix(np.clip(place, 0, 1), knots, 3).toarray()
    assert np.allclose(network.kernels(torch.from_numpy(eigenvalues)), expected, atol=1e-7)
    first = network.kernels(torch.tensor([0.0, 1e-6]).double())[:, 0]
    assert ((first[0] - first[1]) / 1e-6 > 100) == (filter_ == "spline")


def test_responses_are_those_of_the_layers() -> None:
    """A layer alone, on the graph without edges but loops, multiplies by its response."""
    network = SpectralNetwork(settings()).double()
    eigenvalues = torch.linspace(0, 2, 6).double()
    response = network.responses(eigenvalues)[0]
    found = network.layers[0](torch.ones(6, 3).double(), network.kernels(eigenvalues), torch.eye(6).double())
    assert torch.allclose(found - network.layers[0].bias, response.sum(1), atol=1e-12)


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
    gradients = torch.autograd.grad(function(*inputs).square().sum(), inputs, create_graph=True)
    for gradient in gradients:  # a second derivative would be wrong, so there is none
        with pytest.raises(RuntimeError, match="once_differentiable"):
            gradient.sum().backward(retain_graph=True)


def test_matrix_function_is_the_polynomial() -> None:
    matrix = random_graphs(3, 5, 5)
    cubes = matrix_function(matrix, lambda x: torch.stack([x**2, x**3], -1))
    assert torch.allclose(cubes[:, 0], matrix @ matrix) and torch.allclose(cubes[:, 1], matrix @ matrix @ matrix)


@pytest.mark.parametrize("filter_", ["spline", "plain_spline", "chebyshev"])
def test_a_fresh_network_keeps_the_variance_of_a_white_signal(filter_: str) -> None:
    torch.manual_seed(4)
    network = SpectralNetwork(settings(filter=filter_, coefficients=8, hidden=200))
    for response in network.responses(torch.linspace(0, 2, 500)):
        assert response.square().sum(-2).mean().item() == pytest.approx(1, rel=0.1)
