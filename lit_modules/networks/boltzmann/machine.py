"""What samplers and estimates of log Z ask of a Boltzmann machine, general or restricted."""

from typing import Protocol

from torch import Tensor


class Machine(Protocol):
    """A distribution of bits v, p(v) ∝ exp(-F(v)), at inverse temperatures β from 0 (independent pixels) to 1.

    Attributes:
        offset: mean of the independent pixels, (bits,).
        enumerable: whether log Z can be summed over all states.
    """

    offset: Tensor

    @property
    def enumerable(self) -> bool:
        """See above."""

    def free_energy(self, visible: Tensor, beta: float | Tensor = 1.0) -> Tensor:
        """F(v) in nats; (..., bits), β a number or (..., 1) -> (...)."""

    def gibbs(self, visible: Tensor, sweeps: int, beta: float | Tensor = 1.0) -> Tensor:
        """Move chains by some sweeps; (..., bits), β a number or (..., 1) -> the same shape."""

    def log_partition(self) -> float:
        """The exact log Z, in nats, of an ``enumerable`` machine."""

    def log_partition_base(self) -> float:
        """Log Z at β = 0, in nats."""


def independent_pixels(machine: Machine, *shape: int) -> Tensor:
    """Draws from the machine at β = 0, (*shape, bits)."""
    return machine.gibbs(machine.offset.expand(*shape, -1), 1, 0.0)
