"""Section ebm of params.yaml."""

from typing import Annotated

from pydantic import Field

from datamodules.settings import MapData
from lit_modules.networks.energy.settings import EBMSettings
from pipeline.settings.base import ModelSection, PositiveInt, Section


class Evaluate(Section):
    """What its evaluation needs."""

    nodes: Annotated[int, Field(ge=2)]
    """Of a side of the grid of the exact posterior."""
    chains: Annotated[int, Field(ge=2)]
    """Metropolis-Hastings chains of each example."""
    burn_in: PositiveInt
    """Steps in which the proposal adapts."""
    steps: PositiveInt
    """Steps that count."""
    mocks: PositiveInt
    """Of each named cluster."""


class Ebm(ModelSection):
    """Energy-based model of distance, age and mass."""

    model: EBMSettings
    data: MapData
    evaluate: Evaluate
