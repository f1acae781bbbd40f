"""Clamped posteriors against products of normal distributions, which are known."""

import pytest
import torch
from scipy.stats import norm

from lit_modules.networks.energy.box import cell_volume, unit_grid
from lit_modules.networks.energy.clamping import Known, clamped

NODES = 100


def test_energy_of_a_measurement_is_scipys() -> None:
    value = torch.linspace(5, 40, 8, dtype=torch.float64)
    expected = -norm.logpdf(12.0, loc=value.numpy(), scale=3.0)
    torch.testing.assert_close(Known(12.0, 3.0).energy(value), torch.from_numpy(expected))


def test_a_clamped_gaussian_is_the_product_of_two() -> None:
    """N(0.2, 0.15²) of the second coordinate, measured as 0.5 ± 0.1; the first, independent, stays."""
    y = unit_grid(NODES).double()
    log_density = -((y[:, 0] + 0.1) / 0.2).square() / 2 - ((y[:, 1] - 0.2) / 0.15).square() / 2
    log_density = torch.log_softmax(log_density, 0) - torch.tensor(cell_volume(NODES)).log()
    log_density = log_density.unflatten(0, (NODES, NODES))
    second = y[:, 1].unflatten(0, (NODES, NODES))
    found = clamped(log_density.expand(2, -1, -1), Known(0.5, 0.1).energy(second))
    probability = found.exp() * cell_volume(NODES)
    torch.testing.assert_close(probability.sum((1, 2)), torch.ones(2).double())
    precision = 1 / 0.15**2 + 1 / 0.1**2
    mean = (probability * second).sum((1, 2))
    variance = (probability * (second - mean[:, None, None]) ** 2).sum((1, 2))
    assert mean[0].item() == pytest.approx((0.2 / 0.15**2 + 0.5 / 0.1**2) / precision, abs=1e-6)
    assert variance[1].item() == pytest.approx(1 / precision, rel=1e-5)
    first = y[:, 0].unflatten(0, (NODES, NODES))
    assert (probability * first).sum((1, 2))[0].item() == pytest.approx(-0.1, abs=1e-4)
    torch.testing.assert_close(probability[0].sum(1), (log_density.exp() * cell_volume(NODES)).sum(1))
