"""Section boltzmann of params.yaml."""

from typing import Annotated

from pydantic import Field

from datamodules.settings import PictureData
from lit_modules.networks.boltzmann.settings import BoltzmannSettings
from pipeline.settings.base import ModelSection, PositiveInt, Section


class Evaluate(Section):
    """What its evaluation needs."""

    n_pictures: PositiveInt
    """Held-out pictures shown."""
    noise: Annotated[float, Field(gt=0, lt=1)]
    """Share of the pixels that show any grey in the pictures that are to be cleaned."""
    chains: Annotated[int, Field(ge=32)]
    """Samples of the machine, and chains that estimate log Z."""
    sweeps: PositiveInt
    """Of each, from independent pixels to the machine."""
    stored: Annotated[list[PositiveInt], Field(min_length=1)]
    """Numbers of random pictures that machines are to remember."""


class Boltzmann(ModelSection):
    """General Boltzmann machine of cluster pictures."""

    model: BoltzmannSettings
    data: PictureData
    evaluate: Evaluate
