"""The negative phase of learning: samples of the machine, whose free energy rises where that of the data falls."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lit_modules.networks.boltzmann.machine import Machine, independent_pixels
from lit_modules.networks.boltzmann.tempering import Temperatures, temper


@dataclass(frozen=True)
class NegativePhase:
    """Gibbs chains of some sweeps a step of the learning.

    Attributes:
        kind: ``cd``, chains start at the data (contrastive divergence, Hinton 2002); ``pcd``, they go on where they
            stood (Tieleman 2008); ``pt``, they do so at several temperatures and exchange their states (Desjardins et
            al. 2010).
        chains: that go on, at each temperature.
        sweeps: k, of a step.
        temperatures: of ``pt``, at least 2; their inverses are spaced evenly from 0, independent pixels, to 1.
    """

    kind: Literal["cd", "pcd", "pt"]
    chains: int
    sweeps: int
    temperatures: int

    def __post_init__(self) -> None:
        if self.kind == "pt" and self.temperatures < 2:
            raise ValueError(f"negative: pt needs at least 2 temperatures, not {self.temperatures}")

    def step(self, machine: Machine, states: Tensor | None, data: Tensor) -> Tensor:
        """Move the chains by a step.

        Args:
            machine: the machine.
            states: where they stand, (temperatures, chains, bits); None at the first step.
            data: bits of pictures, (pictures, bits), where those of ``cd`` start.

        Returns:
            Where they stand then; the last row, (chains, bits), are samples of the machine.
        """
        if self.kind == "cd":
            return machine.gibbs(data[None], self.sweeps)
        if states is None:
            states = independent_pixels(machine, self.temperatures if self.kind == "pt" else 1, self.chains)
        if self.kind == "pcd":
            return machine.gibbs(states, self.sweeps)
        return temper(Temperatures(machine, self.betas.to(states)), states, self.sweeps)

    @property
    def betas(self) -> Tensor:
        """Inverse temperatures of ``pt``, (temperatures,)."""
        return torch.linspace(0, 1, self.temperatures)
