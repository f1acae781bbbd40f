"""Random restricted Boltzmann machines, steep enough to differ from independent pixels."""

import torch

from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine


def random_machine(n_visible: int, n_hidden: int, scale: float, levels: int = 1) -> RestrictedBoltzmannMachine:
    """In double precision; ``scale`` is the deviation of the couplings."""
    torch.manual_seed(5)
    machine = RestrictedBoltzmannMachine(n_visible, n_hidden, levels).double()
    exceeds = (0.1 + 0.8 * torch.rand(levels, n_visible)).sort(0, descending=True).values
    machine.start_from(exceeds.flatten().double())
    with torch.no_grad():
        machine.weight.normal_(std=scale)
        machine.visible_bias.normal_()
        machine.hidden_bias.normal_()
        machine.hidden_offset.uniform_()
    return machine
