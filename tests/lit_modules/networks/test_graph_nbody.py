"""The N-body network: its Laplacian against gravity, its symmetries, what it conserves."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lit_modules.networks.graph.edges import Edges
from lit_modules.networks.graph.filters import LinearFilter, PolynomialFilter, SplineFilter
from lit_modules.networks.graph.nbody import NBodyNetwork, shares
from lit_modules.networks.graph.settings import NBodySettings
from lit_modules.networks.spectral.laplacian import laplacian
from pipeline.simulation.nbody.gravity import accelerations

FILTERS = ("linear", "polynomial", "spline")
KINDS = list(itertools.product(FILTERS, ("none", "mass", "charge")))


def network(**changes: Any) -> NBodyNetwork:
    """A network with random weights, strong enough that stars turn."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {"layers": 3, "hidden": 8, "filter": "linear", "coefficients": 5, "attribute": "none"}
    settings |= {"velocities": True, "environment": 0, "symmetric": True, "shared": False, **changes}
    net = NBodyNetwork(NBodySettings.model_construct(**settings))
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "mlp" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif "coefficients" in name:
                parameter.mul_(1 + 0.3 * torch.randn_like(parameter))
    return net


def state(n: int = 5, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, n, 3, generator=generator), torch.randn(4, n, 3, generator=generator)


@pytest.mark.parametrize("masses", ["equal", "unequal"])
def test_laplacian_of_gravity_is_the_acceleration(masses: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 5, 3))
    mass = np.full((3, 5), 4.0) if masses == "equal" else rng.uniform(0.1, 5.0, (3, 5))
    expected = accelerations(x, mass, softening=0.1, G=1.3)
    signal, m = torch.tensor(x).permute(1, 2, 0), torch.tensor(mass).T
    edges = Edges(5, True, signal, m)
    r2 = edges.differences(signal).square().sum(1)
    force = 1.3 * m[edges.receiver] * m[edges.sender] * (r2 + 0.01) ** -1.5
    assert np.allclose(-edges.laplacian(force, signal).permute(2, 0, 1), expected, rtol=1e-12, atol=1e-12)

    # the same by the dense matrix, symmetrised by the masses
    root = m.sqrt().T.unsqueeze(-1)
    assert np.allclose(-(edges.matrices(force) @ (root * torch.tensor(x))) / root, expected, rtol=1e-12, atol=1e-12)
    directed = Edges(5, False, signal)
    r2 = directed.differences(signal).square().sum(1)
    pull = 1.3 * m[directed.sender] * (r2 + 0.01) ** -1.5
    assert np.allclose(-directed.laplacian(pull, signal).permute(2, 0, 1), expected, rtol=1e-12, atol=1e-12)


def test_dense_matrix_is_degree_minus_adjacency() -> None:
    weights = torch.rand(10, 2).double()
    edges = Edges(5, True, weights)
    adjacency = torch.zeros(2, 5, 5).double()
    adjacency[:, edges.receiver, edges.sender] = adjacency[:, edges.sender, edges.receiver] = weights.T
    assert torch.allclose(edges.matrices(weights), laplacian(adjacency))


def test_filters_are_one_function_of_the_laplacian() -> None:
    """The polynomial by powers of L, and the spline by the eigenbasis, where both are the same cubic."""
    torch.manual_seed(0)
    weights, signal = torch.randn(10, 2).double(), torch.randn(5, 3, 2).double()
    edges = Edges(5, True, weights)
    polynomial, spline = PolynomialFilter(4, 2.0).double(), SplineFilter(4, 2.0).double()
    assert torch.equal(LinearFilter()(signal, weights, edges), signal)
    assert torch.allclose(polynomial(signal, weights, edges), signal)
    assert torch.allclose(spline(signal, weights, edges), signal)
    polynomial.coefficients.data = torch.tensor([0.5, -1.0, 0.2, 0.1]).double()
    matrix = edges.matrices(weights) / 2
    powers = sum(c * torch.linalg.matrix_power(matrix, k) for k, c in enumerate(polynomial.coefficients.detach()))
    assert torch.allclose(polynomial(signal, weights, edges), torch.einsum("bij,jcb->icb", powers, signal))
    spline.coefficients.data = torch.randn(4).double()
    values, basis = torch.linalg.eigh(edges.matrices(weights))
    response = spline.response(values).squeeze(-1)
    expected = torch.einsum("bij,bj,bkj,kcb->icb", basis, response, basis, signal)
    assert torch.allclose(spline(signal, weights, edges), expected)


@pytest.mark.parametrize("environment", [0, 3])
@pytest.mark.parametrize(("name", "attribute"), KINDS)
def test_symmetries_of_space_and_of_labels(name: str, attribute: str, environment: int) -> None:
    net, (x, v) = network(filter=name, attribute=attribute, environment=environment), state()
    q = None if attribute == "none" else torch.rand(4, 5) + 0.5
    with torch.no_grad():
        moved, turned = net(x, v, q)
        assert (moved - x).abs().max() > 0.1 and (turned - v).abs().max() > 0.1
        rotation = torch.linalg.qr(torch.randn(3, 3))[0]
        for matrix in (rotation, -rotation):  # one of them is a reflection
            for found, expected in zip(net(x @ matrix, v @ matrix, q), (moved @ matrix, turned @ matrix), strict=True):
                assert torch.allclose(found, expected, atol=1e-5)
        shift, boost = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.3, 0.1, -0.2])
        found, kept = net(x + shift, v + boost, q)
        assert torch.allclose(found, moved + shift + boost, atol=1e-5) and torch.allclose(
            kept, turned + boost, atol=1e-5
        )
        order = torch.tensor([3, 0, 4, 1, 2])
        found, kept = net(x[:, order], v[:, order], None if q is None else q[:, order])
        assert torch.allclose(found, moved[:, order], atol=1e-5) and torch.allclose(kept, turned[:, order], atol=1e-5)


@pytest.mark.parametrize("environment", [0, 3])
@pytest.mark.parametrize(("name", "attribute"), KINDS)
def test_symmetric_weights_conserve_momentum(name: str, attribute: str, environment: int) -> None:
    net, (x, v) = network(filter=name, attribute=attribute, environment=environment), state()
    q = torch.rand(4, 5) + 0.5
    mass = q.unsqueeze(-1) if attribute == "mass" else torch.ones(4, 5, 1)
    with torch.no_grad():
        moved, turned = net(x, v, None if attribute == "none" else q)
    assert torch.allclose((mass * turned).sum(1), (mass * v).sum(1), atol=2e-5)
    assert torch.allclose((mass * moved).sum(1), (mass * (x + v)).sum(1), atol=2e-5)


def test_directed_weights_do_not() -> None:
    net, (x, v) = network(attribute="charge", symmetric=False), state()
    with torch.no_grad():
        turned = net(x, v, torch.randn(4, 5))[1]
    assert not torch.allclose(turned.sum(1), v.sum(1), atol=1e-2)


def test_weights_of_the_distance_alone_make_it_symplectic() -> None:
    """The Jacobian J of the map of (x, v) satisfies Jᵀ Ω J = Ω; with velocities in the weights it does not."""
    omega = torch.zeros(12, 12).double()
    omega[:6, 6:], omega[6:, :6] = torch.eye(6), -torch.eye(6)
    x, v = (tensor[:1, :2].double() for tensor in state())

    def error(velocities: bool) -> float:
        net = network(velocities=velocities).double()

        def flow(z: Tensor) -> Tensor:
            return torch.cat([part.flatten() for part in net(z[:6].view(1, 2, 3), z[6:].view(1, 2, 3))])

        jacobian = torch.autograd.functional.jacobian(flow, torch.cat([x.flatten(), v.flatten()]))
        return float((jacobian.T @ omega @ jacobian - omega).abs().max())

    assert error(velocities=False) < 1e-10 < 1e-3 < error(velocities=True)


@pytest.mark.parametrize("symmetric", [True, False])
def test_environments_by_a_loop_over_stars(symmetric: bool) -> None:
    """Messages and weights of each pair on its own, star by star."""
    net = network(environment=2, symmetric=symmetric, layers=2)
    x, v = (tensor[:1] for tensor in state(4))
    with torch.no_grad():
        moved, turned = net(x, v)
        x, v, e = x[0], v[0], torch.zeros(4, 2)
        x = x + shares(net.drifts)[0] * v
        for layer, phi in enumerate(net.weights):
            kick, gathered = torch.zeros(4, 3), torch.zeros(4, 2)
            for i, j in itertools.permutations(range(4), 2):
                dx, dv = x[i] - x[j], v[i] - v[j]
                seen = [number.view(1, 1) for number in e[i] + e[j]]
                weights, messages = phi(dx.view(1, 3, 1), dv.view(1, 3, 1), seen)
                of_position, of_velocity = shares(net.kicks)[layer] * weights.flatten()
                kick[i] -= of_position * dx + of_velocity * dv
                gathered[i] += messages.flatten()
            v, e = v + kick, e + gathered
            x = x + shares(net.drifts)[layer + 1] * v
    assert torch.allclose(moved[0], x, atol=1e-5) and torch.allclose(turned[0], v, atol=1e-5)


def test_any_number_of_stars() -> None:
    net = network(filter="polynomial", environment=2)
    for n in (1, 2, 9):
        x, v = net(*state(n))
        assert x.shape == v.shape == (4, n, 3)


def test_rollout_is_the_step_repeated() -> None:
    net, (x, v) = network(), state()
    with torch.no_grad():
        positions, velocities = net.rollout(x, v, None, 2)
        twice = net(*net(x, v))
    assert torch.equal(positions[:, 0], x) and positions.shape == velocities.shape == (4, 3, 5, 3)
    assert torch.equal(positions[:, 2], twice[0]) and torch.equal(velocities[:, 2], twice[1])


def test_spline_filter_of_directed_weights_is_refused() -> None:
    values: dict[str, Any] = {
        "layers": 3,
        "hidden": 8,
        "coefficients": 5,
        "attribute": "none",
        "velocities": True,
        "environment": 0,
        "shared": False,
    }
    values |= {"velocity_weight": 1.0, "delta": None, "lr": 1e-2, "weight_decay": 0.0}
    with pytest.raises(ValueError, match="real eigenvalues"):
        NBodySettings(filter="spline", symmetric=False, **values)


@pytest.mark.parametrize("name", FILTERS)
def test_gradients_are_finite_for_equal_stars(name: str) -> None:
    """A regular tetrahedron: all weights equal, so that the spectrum is degenerate in every layer."""
    net = network(filter=name)
    x = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])[None].requires_grad_()
    moved, _ = net(x, torch.zeros(1, 4, 3))
    moved.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters() if parameter.grad is not None)


def test_shares_are_the_nearest_numbers_whose_sum_is_one() -> None:
    """Against the pseudo-inverse of the constraint."""
    numbers = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).double()
    ones = np.ones((1, 5))
    nearest = numbers.numpy() + np.linalg.pinv(ones) @ (1 - ones @ numbers.numpy())
    assert np.allclose(shares(numbers), nearest, rtol=0, atol=1e-12)


@pytest.mark.parametrize("attribute", ["none", "mass", "charge"])
def test_kicks_and_drifts_whose_sum_is_zero_are_no_pole(attribute: str) -> None:
    net, (x, v) = network(attribute=attribute), state()
    q = None if attribute == "none" else torch.rand(4, 5) + 0.5
    boost = torch.tensor([0.3, 0.1, -0.2])
    with torch.no_grad():
        net.kicks.copy_(torch.tensor([[0.5], [-0.5], [0.0]]))
        net.drifts.copy_(torch.tensor([1.0, -1.0, 1.0, -1.0]))
    moved, turned = net(x, v, q)
    found, _ = net(x, v + boost, q)
    assert moved.abs().max() < 100 and torch.allclose(found, moved + boost, atol=1e-5)
    (moved.square().sum() + turned.square().sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
