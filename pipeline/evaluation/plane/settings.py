"""Section ebm-plane of params.yaml."""

from typing import Annotated

from pydantic import Field

from datamodules.settings import PlaneData
from lit_modules.networks.energy.settings import PlaneSettings
from pipeline.settings.base import ModelSection, PositiveInt, Section


class Evaluate(Section):
    """What its evaluation needs."""

    nodes: Annotated[int, Field(ge=16, multiple_of=16)]
    """Of a side of the grid on which energies are compared with the densities."""
    chains: Annotated[int, Field(ge=2)]
    """Chains of each density."""
    burn_in: PositiveInt
    """Steps in which the proposal adapts."""
    steps: PositiveInt
    """Steps that count."""
    temperatures: Annotated[int, Field(ge=2)]
    """Of parallel tempering."""
    hottest: Annotated[float, Field(gt=1)]
    """The highest of them; the coldest is 1."""


class EbmPlane(ModelSection):
    """Energies of densities on the plane."""

    model: PlaneSettings
    data: PlaneData
    evaluate: Evaluate
