"""Forces against plain sums and automatic derivatives; every backend against every other."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from pipeline.simulation.nbody import gravity

SIZES = [2, 5, 64, 65, 600]  # small systems, a few tiles on one core, more tiles on all cores


def systems(stars: int, shape: tuple[int, ...] = (3,)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(stars)
    x, v = rng.standard_normal((2, *shape, stars, 3))
    return x, v, rng.uniform(0.1, 1, (*shape, stars))


def plain_sum(x: np.ndarray, mass: np.ndarray, softening: float, G: float) -> np.ndarray:
    a = []
    for i, place in enumerate(x):
        d = np.delete(x, i, 0) - place
        weight = G * np.delete(mass, i) / ((d**2).sum(-1) + softening**2) ** 1.5
        a.append(weight @ d)
    return np.array(a)


@pytest.mark.parametrize("stars", SIZES)
@pytest.mark.parametrize("softening", [0.0, 0.1])
def test_acceleration_is_the_sum_over_pairs(stars: int, softening: float) -> None:
    x, _, mass = systems(stars)
    expected = np.stack([plain_sum(*system, softening, 2.0) for system in zip(x, mass, strict=True)])
    actual = gravity.accelerations(x, mass, softening, 2.0)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("stars", SIZES)
def test_torch_agrees_to_round_off(stars: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gravity, "TORCH_PAIRS", 100_000)  # several blocks of rows
    x, v, mass = systems(stars)
    tensors = torch.tensor(x), torch.tensor(mass)
    for function in (gravity.accelerations, gravity.potential_energy):
        expected = function(x, mass, 0.1, 2.0)
        np.testing.assert_allclose(
            function(*tensors, 0.1, 2.0).numpy(), expected, rtol=0, atol=1e-12 * np.abs(expected).max()
        )
    energy = gravity.total_energy(tensors[0], torch.tensor(v), tensors[1], 0.1, 2.0)
    np.testing.assert_allclose(energy.numpy(), gravity.total_energy(x, v, mass, 0.1, 2.0), rtol=1e-12)


@pytest.mark.parametrize("stars", SIZES)
def test_force_is_the_gradient_of_the_energy(stars: int) -> None:
    """Softened force and softened energy belong together; an energy without softening fails here."""
    x, _, mass = systems(stars)
    places = torch.tensor(x, requires_grad=True)
    gravity.potential_energy(places, torch.tensor(mass), 0.3, 2.0).sum().backward()
    assert places.grad is not None
    force = mass[..., None] * gravity.accelerations(x, mass, 0.3, 2.0)
    np.testing.assert_allclose(force, -places.grad.numpy(), rtol=0, atol=1e-12 * np.abs(force).max())


@pytest.mark.parametrize("stars", [5, 65])
def test_jerk_is_the_time_derivative_of_the_acceleration(stars: int) -> None:
    x, v, mass = (torch.tensor(a[0]) for a in systems(stars))
    a, jerk = torch.func.jvp(lambda x: gravity.accelerations(x, mass, 0.1), (x,), (v,))
    for actual, expected in zip(gravity.torch_jerks(x, v, mass, 0.01), (a, jerk), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
    packed = gravity.pack(x.numpy(), v.numpy(), mass.numpy())
    for actual, expected in zip(gravity.packed_jerks(*packed, 0.01), (a, jerk), strict=True):
        np.testing.assert_allclose(actual[:, :stars].T, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


def test_acceleration_is_minus_the_laplacian() -> None:
    x, _, mass = (a[0] for a in systems(7))
    r2 = ((x[:, None] - x) ** 2).sum(-1) + 0.1**2
    weights = mass * r2**-1.5 * (1 - np.eye(7))
    laplacian = np.diag(weights.sum(1)) - weights
    np.testing.assert_allclose(gravity.accelerations(x, mass, 0.1), -laplacian @ x, rtol=1e-12, atol=1e-12)


def test_shapes_and_broadcast_masses() -> None:
    x, v, _ = systems(5, (2, 3))
    assert gravity.accelerations(x, 1.0, 0.1).shape == (2, 3, 5, 3)
    assert gravity.total_energy(x, v, np.ones(5), 0.1).shape == (2, 3)
    conserved = gravity.invariants(x, v, np.ones((3, 5)), 0.1)
    assert [part.shape for part in conserved] == [(2, 3), (2, 3, 3), (2, 3, 3), (2, 3)]


def test_invariants() -> None:
    x, v, mass = systems(6, (500,))
    conserved = gravity.invariants(x, v, mass, 0.1, 2.0)
    kinetic = 0.5 * np.einsum("si,sic,sic->s", mass, v, v)
    pairs = [(i, j) for i in range(6) for j in range(i)]
    potential = sum(-2 * mass[:, i] * mass[:, j] / np.sqrt(((x[:, i] - x[:, j]) ** 2).sum(-1) + 0.01) for i, j in pairs)
    np.testing.assert_allclose(conserved.energy, kinetic + potential, rtol=1e-11)
    np.testing.assert_allclose(conserved.momentum, np.einsum("si,sic->sc", mass, v), atol=1e-13)
    np.testing.assert_allclose(conserved.angular_momentum, np.einsum("si,sic->sc", mass, np.cross(x, v)), atol=1e-13)
    np.testing.assert_allclose(conserved.closest, [pdist(system).min() for system in x], rtol=1e-13)
