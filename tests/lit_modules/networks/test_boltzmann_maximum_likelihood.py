"""The exact gradient against automatic differentiation of an enumeration, and where it leads."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from lit_modules.networks.boltzmann.maximum_likelihood import maximise, moments
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine


def machine(n_visible: int, n_hidden: int) -> RestrictedBoltzmannMachine:
    torch.manual_seed(1)
    rbm = RestrictedBoltzmannMachine(n_visible, n_hidden)
    rbm.start_from(torch.rand(n_visible) * 0.6 + 0.2)
    for parameter in rbm.parameters():
        torch.nn.init.normal_(parameter)
    rbm.hidden_offset.uniform_()
    return rbm


def every_picture(n_visible: int) -> Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n_visible)))


def test_moments_are_the_gradient_of_log_z() -> None:
    rbm = machine(7, 4)
    log_z = (-rbm.free_energy(every_picture(7))).logsumexp(0)
    log_z.backward()
    found = moments(rbm)
    assert found.log_partition == pytest.approx(log_z.item(), abs=1e-5)
    for name in ("weight", "visible_bias", "hidden_bias"):
        torch.testing.assert_close(getattr(found, name), getattr(rbm, name).grad, atol=1e-5, rtol=1e-4)


def test_steep_machines_keep_a_finite_log_z() -> None:
    """Fields of some hundred nats, beyond what single precision can exponentiate."""
    rbm = machine(7, 4)
    torch.nn.init.normal_(rbm.weight, std=100)
    exact = (-rbm.double().free_energy(every_picture(7).double())).logsumexp(0).item()
    assert moments(rbm.float()).log_partition == pytest.approx(exact, rel=1e-5)


def test_the_maximum_is_found() -> None:
    """Two pictures, equally often: no machine gives more than ln ½ each, and three hidden units suffice."""
    rbm, data = machine(5, 3), torch.tensor([[1.0, 1, 0, 0, 1], [0.0, 0, 1, 1, 1]]).repeat(4, 1)
    moves = []
    maximise(rbm, data, 100, lambda: moves.append(rbm.log_partition()))
    likelihood = -rbm.free_energy(data).detach().mean() - rbm.log_partition()
    assert len(moves) > 5
    assert -math.log(2) - 0.01 < likelihood < -math.log(2) + 1e-4
