"""Gaussians: their likelihood against torch's, gradients in closed form, calibration on synthetic truths."""

import math

import pytest
import torch

from lit_modules.networks.maps.gaussian import Gaussian, calibration
from lit_modules.networks.pidoc.losses import beta_nll

ERROR, SIGMA = torch.tensor([0.3, -1.0, 2.0]), torch.tensor([0.5, 1.0, 3.0])


def test_plain_likelihood_is_torchs() -> None:
    mean, target = torch.randn(20), torch.randn(20)
    sigma = torch.rand(20) + 0.1
    expected = torch.nn.GaussianNLLLoss()(mean, target, sigma**2)
    torch.testing.assert_close(beta_nll(Gaussian(mean, sigma), target), expected)


def test_beta_weights_by_the_deviation() -> None:
    found = beta_nll(Gaussian(torch.zeros(3), SIGMA), ERROR, 0.5)
    expected = sum(s * (math.log(s) + e**2 / (2 * s**2)) for e, s in zip(ERROR.tolist(), SIGMA.tolist(), strict=True))
    assert found.item() == pytest.approx(expected / 3, rel=1e-6)


def test_beta_one_has_the_gradient_of_the_squared_error() -> None:
    mean = ERROR.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(beta_nll(Gaussian(mean, SIGMA), torch.zeros(3), 1.0), mean)
    torch.testing.assert_close(gradient, ERROR / 3)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_every_beta_finds_the_mean_and_the_deviation(beta: float) -> None:
    torch.manual_seed(1)
    x = 3.0 + 0.7 * torch.randn(4000)
    mean, log_variance = (torch.zeros((), requires_grad=True) for _ in range(2))
    optimizer = torch.optim.Adam([mean, log_variance], 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        beta_nll(Gaussian.of(mean, log_variance), x, beta).backward()
        optimizer.step()
    assert mean.item() == pytest.approx(x.mean().item(), abs=1e-2)
    assert math.exp(0.5 * log_variance.item()) == pytest.approx(x.std().item(), rel=2e-2)


def test_scaled_and_widened() -> None:
    x = Gaussian(torch.tensor(2.0), torch.tensor(0.5)).scaled(torch.tensor(1.0), torch.tensor(3.0))
    assert (x.mean.item(), x.sigma.item()) == (7.0, 1.5)
    assert x.widened(torch.tensor(2.0)).z(torch.tensor(10.0)).item() == 1.0


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_calibration_finds_by_how_much_sigma_is_too_small(factor: float) -> None:
    torch.manual_seed(1)
    z = factor * torch.randn(100_000)
    scale = calibration(z)
    assert scale.item() == pytest.approx(factor, rel=0.01)
    assert (z.abs() <= scale).double().mean().item() == pytest.approx(0.6827, abs=1e-4)
