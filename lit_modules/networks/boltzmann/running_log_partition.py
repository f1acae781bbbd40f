"""Log Z along a training (Desjardins, Courville & Bengio 2011, On tracking the partition function)."""

import torch
from torch import Tensor

from lit_modules.networks.boltzmann.machine import Machine, independent_pixels
from lit_modules.networks.boltzmann.tempering import Temperatures, exchanged, log_bridge

RUNGS = 10  # inverse temperatures, evenly spaced from 0 to 1
CHAINS = 10  # at each
WINDOW = 10  # steps of the training over which the ratios are averaged: what the estimate lags behind


class RunningLogPartition:
    r"""log Z of a machine at each step of its training, by parallel tempering with chains of its own.

    At β = 0 log Z is known, and bridges lead from one temperature to the next (``log_bridge``). Weights carried along
    by the changes of the machine alone (Jarzynski) drift away from the truth, step by step, when their chains miss a
    new mode; here each step starts anew from β = 0. What is left is a lag: where a training runs fast, log Z comes out
    too low.

    Attributes:
        value: the estimate of log Z, nats, (); that of independent pixels before the first step.
        states: (rungs, chains, bits).
        log_bridge: logarithms of both means of each bridge, running over ``WINDOW`` steps, (2, rungs - 1).
        steps: how often it followed, ().
    """

    def __init__(self, rbm: Machine) -> None:
        self.states = independent_pixels(rbm, RUNGS, CHAINS)
        self.log_bridge = self.states.new_zeros(2, RUNGS - 1, dtype=torch.float64)
        self.steps = self.log_bridge.new_zeros(())
        self.value = self.steps + rbm.log_partition_base()

    @torch.no_grad()
    def advance(self, rbm: Machine) -> None:
        """Follow a step of the training by one sweep."""
        ladder = Temperatures(rbm, torch.linspace(0, 1, RUNGS).to(self.states))
        states = ladder.gibbs(self.states)
        log_ratios = ladder.log_ratios(states)
        self.states = exchanged(states, log_ratios, int(torch.randint(2, ())))
        self.steps += 1
        share = 1 / self.steps.clamp(max=WINDOW)
        self.log_bridge = torch.logaddexp(torch.log1p(-share) + self.log_bridge, share.log() + log_bridge(log_ratios))
        self.value = rbm.log_partition_base() + (self.log_bridge[0] - self.log_bridge[1]).sum()

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint has to keep; states are bits."""
        return {
            "states": self.states.to(torch.uint8),
            "log_bridge": self.log_bridge,
            "steps": self.steps,
            "value": self.value,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on where ``state_dict`` was taken."""
        self.states = state["states"].to(self.states)
        self.log_bridge = state["log_bridge"].to(self.log_bridge)
        self.steps = state["steps"].to(self.steps)
        self.value = state["value"].to(self.value)
