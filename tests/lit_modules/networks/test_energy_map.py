"""The energy of the statistics of a map: one function however it is evaluated, smooth, and exact over its latent."""

import math

import pytest
import torch

from lit_modules.networks.energy.free_energy import free_energy
from lit_modules.networks.energy.map_energy import LOG_LIGHT, Context, MapEnergy
from lit_modules.networks.energy.settings import EBMSettings
from lit_modules.networks.maps.statistics import LENGTH

SHAPE = dict(units=8, features=8, hidden=16, embedding=6, waves=2, dropout=0.0)


@pytest.fixture
def net() -> MapEnergy:
    torch.manual_seed(0)
    return MapEnergy(EBMSettings.model_construct(**SHAPE, latent_nodes=16)).double().eval()


@pytest.fixture
def statistics() -> torch.Tensor:
    return torch.randn(3, LENGTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_free_energy_is_that_of_the_energies(net: MapEnergy, statistics: torch.Tensor) -> None:
    y = torch.rand(3, 7, 2, dtype=torch.float64) * 2 - 1
    features = net.encoder(statistics)
    energies = torch.stack([net(features, y, z.expand(3, 7)) for z in net.latent], -1)
    for beta in (0.5, 1.0, math.inf):
        torch.testing.assert_close(net.free_energy(net.context(statistics), y, beta), free_energy(energies, beta))


def test_limits_of_the_free_energy(net: MapEnergy, statistics: torch.Tensor) -> None:
    """F_beta tends to the lowest energy over z as beta grows, and to the mean energy as it falls."""
    y = torch.rand(3, 7, 2, dtype=torch.float64) * 2 - 1
    energies = torch.stack([net(net.encoder(statistics), y, z.expand(3, 7)) for z in net.latent], -1)
    context = net.context(statistics)
    torch.testing.assert_close(net.free_energy(context, y, math.inf), energies.amin(-1))
    torch.testing.assert_close(net.free_energy(context, y, 1e7), energies.amin(-1), rtol=0, atol=1e-5)
    torch.testing.assert_close(net.free_energy(context, y, 1e-7), energies.mean(-1), rtol=0, atol=1e-5)


def test_contexts_of_some_maps_and_of_all_again(net: MapEnergy, statistics: torch.Tensor) -> None:
    y, context = torch.rand(7, 2, dtype=torch.float64), net.context(statistics)
    parts = [context.rows([2]), context.rows(slice(0, 2))]
    expected = net.free_energy(context, y, 1.0)[[2, 0, 1]]
    torch.testing.assert_close(net.free_energy(Context.cat(parts), y, 1.0), expected)


def test_same_points_for_all_maps(net: MapEnergy, statistics: torch.Tensor) -> None:
    y = torch.rand(7, 2, dtype=torch.float64)
    context = net.context(statistics)
    torch.testing.assert_close(net.free_energy(context, y, 1.0), net.free_energy(context, y.expand(3, 7, 2), 1.0))


def test_latent_integral_is_exact_with_few_nodes(net: MapEnergy, statistics: torch.Tensor) -> None:
    fine = MapEnergy(EBMSettings.model_construct(**SHAPE, latent_nodes=400)).double().eval()
    fine.load_state_dict(net.state_dict())
    y = torch.rand(3, 7, 2, dtype=torch.float64)
    found, expected = (model.free_energy(model.context(statistics), y, 1.0) for model in (net, fine))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)


def test_energy_is_differentiable_in_y_and_z(net: MapEnergy, statistics: torch.Tensor) -> None:
    features = net.encoder(statistics).detach()
    y = torch.rand(3, 2, 2, dtype=torch.float64, requires_grad=True)
    z = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y, z: net(features, y, z), (y, z))


def test_a_fresh_mass_has_the_mass_to_light_ratios_of_training(net: MapEnergy, statistics: torch.Tensor) -> None:
    """Where μ and σ see nothing of a map: M = (M/L) 4π D² F, with mean and deviation of log10 M/L of what was seen."""
    log_ratio, log_distance = (torch.tensor(x, dtype=torch.float64) for x in ([0.1, 0.3, 0.8], [0.9, 1.3, 1.8]))
    log_flux = statistics[:, LOG_LIGHT]
    luminosity = 4 * math.pi * (10**log_distance) ** 2 * 10**log_flux
    net.fit(statistics, log_distance, (10**log_ratio * luminosity).log10())
    for layer in (net.embed_mass, net.mass_embed_y[-1]):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    mass = net.mass(net.context(statistics), torch.zeros(3, 1, 2, dtype=torch.float64), log_distance[:, None])
    torch.testing.assert_close(mass.mean[:, 0], luminosity.log10() + 0.4, rtol=0, atol=1e-6)
    spread = math.sqrt((0.3**2 + 0.1**2 + 0.4**2) / 3)
    torch.testing.assert_close(mass.sigma, torch.full((3, 1), spread).to(mass.sigma), rtol=0, atol=1e-6)
