import itertools

import pytest
import torch
from torch import Tensor

from lit_modules.networks.boltzmann.convolutional import ConvolutionalBoltzmannMachine
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine

SIZE, DENSE, FILTERS = 3, 2, 2
PIXELS = SIZE**2


def machine(levels: int) -> ConvolutionalBoltzmannMachine:
    torch.manual_seed(1)
    net = ConvolutionalBoltzmannMachine(PIXELS, DENSE, levels, FILTERS).double()
    net.start_from(torch.linspace(0.8, 0.3, levels, dtype=torch.float64).repeat_interleave(PIXELS))
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.7)
    return net


def dense(net: ConvolutionalBoltzmannMachine) -> RestrictedBoltzmannMachine:
    """The same machine with a weight for each pair of a bit and a hidden unit."""
    same = RestrictedBoltzmannMachine(PIXELS, net.n_hidden, net.levels).double()
    weight = torch.zeros(net.levels, SIZE, SIZE, FILTERS, SIZE, SIZE, dtype=torch.float64)
    for row, column, k, i, j in itertools.product(range(SIZE), range(SIZE), range(FILTERS), *2 * [(-1, 0, 1)]):
        if 0 <= row + i < SIZE and 0 <= column + j < SIZE:
            weight[:, row + i, column + j, k, row, column] = net.filters[k, 0, 1 + i, 1 + j] / net.levels
    same.weight.data = torch.cat([net.weight, weight.view(net.levels * PIXELS, -1)], 1).detach()
    same.hidden_bias.data = net.hidden_bias.detach().clone()
    same.visible_bias.data = net.visible_bias.detach().clone()
    same.offset, same.hidden_offset, same.base = net.offset, net.hidden_offset, net.base
    return same


def bits(levels: int) -> Tensor:
    states = torch.randint(levels + 1, (2, 5, 1, PIXELS))
    return (states > torch.arange(levels)[:, None]).flatten(2).double()


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_it_is_the_restricted_machine_whose_weights_are_shared(levels: int, beta: float) -> None:
    net = machine(levels)
    same, visible = dense(net), bits(levels)
    hidden = same.hidden(visible, beta)
    torch.testing.assert_close(net.free_energy(visible, beta), same.free_energy(visible, beta))
    torch.testing.assert_close(net.hidden(visible, beta), hidden)
    torch.testing.assert_close(net.visible(hidden, beta), same.visible(hidden, beta))


def test_log_z_is_that_of_all_states() -> None:
    net = machine(levels=1)
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=PIXELS)), dtype=torch.float64)
    assert net.log_partition() == pytest.approx((-dense(net).free_energy(states)).logsumexp(0).item(), abs=1e-9)
    assert net.log_partition(beta=0.0) == pytest.approx(net.log_partition_base(), abs=1e-5)


def test_moving_the_hidden_offsets_leaves_the_distribution() -> None:
    net, visible = machine(levels=2), bits(2)
    before = net.free_energy(visible)
    net.move_hidden_offset(torch.rand(net.n_hidden, dtype=torch.float64), 0.3)
    difference = net.free_energy(visible) - before
    torch.testing.assert_close(difference, difference[0, 0].expand_as(difference))
