"""Parameters of the two Boltzmann machines."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.settings.base import ModelSettings, NonNegativeInt, PositiveInt, Share


class MachineSettings(ModelSettings):
    """What both machines have."""

    size: Annotated[int, Field(ge=2)]
    """Pixels of a side: that of the data."""
    hidden: PositiveInt
    """Hidden units that see the whole picture."""
    chains: PositiveInt
    """Of the negative phase, and as many that estimate log Z; in each process, at each temperature."""
    sweeps: PositiveInt
    """Gibbs sweeps of a step: k of contrastive divergence."""


class BoltzmannSettings(MachineSettings):
    """The general machine, in which all units are coupled to all."""

    hidden: Annotated[int, Field(ge=1, le=16)]
    """Hidden units; all their states are summed."""
    temperatures: Annotated[int, Field(ge=2)]
    """Of the chains, which exchange their states: from independent pixels to 1."""
    levels: PositiveInt
    """Isophotes of a picture."""
    recall_sweeps: PositiveInt
    """Sweeps of the annealing in recall, and of the average after it."""


class RBMSettings(MachineSettings):
    """The restricted machine."""

    levels: PositiveInt
    """Bits of a pixel, which then has levels + 1 states of grey; 1: it is lit or not."""
    filters: NonNegativeInt
    """Filters beside the hidden units that see the whole picture; each has a hidden unit at every pixel."""
    negative: Literal["cd", "pcd", "pt"]
    """Chains of the negative phase: cd from the data, pcd going on from step to step, pt the same at temperatures."""
    temperatures: Annotated[int, Field(ge=2)]
    """Of negative: pt."""
    offset_rate: Share
    """Fraction of the way from the hidden units' offsets to their mean of a batch, at each step; 0: they stay at ½."""
