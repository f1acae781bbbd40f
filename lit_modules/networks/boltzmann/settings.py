"""Parameters of the two Boltzmann machines."""

from typing import Annotated

from pydantic import Field

from pipeline.settings.base import ModelSettings, PositiveInt


class MachineSettings(ModelSettings):
    """What both machines have."""

    size: Annotated[int, Field(ge=2)]
    """Pixels of a side: that of the data."""
    hidden: PositiveInt
    """Hidden units."""
    chains: PositiveInt
    """Persistent chains of the negative phase, in each process."""
    sweeps: PositiveInt
    """Gibbs sweeps of a step: k of contrastive divergence."""


class BoltzmannSettings(MachineSettings):
    """The general machine, in which all units are coupled to all."""

    hot: Annotated[float, Field(ge=1)]
    """Temperature from which each phase cools to 1."""
    levels: PositiveInt
    """Isophotes of a recalled picture."""
    recall_sweeps: PositiveInt
    """Sweeps of the annealing in recall, and of the average after it."""


class RBMSettings(MachineSettings):
    """The restricted machine."""

    persistent: bool
    """Chains go on from step to step (PCD, Tieleman 2008); false: they start at the data (CD-k)."""
