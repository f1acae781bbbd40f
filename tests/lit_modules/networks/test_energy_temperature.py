"""Temperatures of labels that were drawn at a known one."""

import pytest
import torch

from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.temperature import HOTTEST, fitted_temperature


def energies(y: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Of Gaussians of σ = 0.1, in nats but for a constant."""
    return (y - centre).square().sum(-1) / (2 * 0.1**2) + 3.0


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.0])
def test_labels_of_a_warmer_gaussian_tell_its_temperature(truth: float) -> None:
    """P^(1/T) of a Gaussian is one of σ √T."""
    torch.manual_seed(0)
    centre = torch.rand(3000, 2) * 0.6 - 0.3
    data = centre + 0.1 * truth**0.5 * torch.randn(3000, 2)
    found = fitted_temperature(energies(data, centre), energies(unit_grid(40), centre[:, None]))
    assert found.item() == pytest.approx(truth, rel=0.05)  # √(1/3000) is 2 %


def test_it_has_the_lowest_likelihood_of_all() -> None:
    torch.manual_seed(0)
    grid, data = torch.randn(200, 50), -0.8 * torch.randn(200).abs()
    temperatures = torch.linspace(0.5, 12, 4000)
    nll = torch.stack([data / t + torch.logsumexp(-grid / t, 1) for t in temperatures]).mean(1)
    expected = temperatures[nll.argmin()].item()
    assert 0.6 < expected < 11
    assert fitted_temperature(data, grid).item() == pytest.approx(expected, abs=0.01)


def test_energies_that_tell_nothing_stay_finite() -> None:
    assert fitted_temperature(torch.full((5,), 9.0), torch.zeros(5, 4)).item() == pytest.approx(HOTTEST, rel=1e-3)
