"""Sections pidoc-mass and pidoc-age-distance of params.yaml."""

from typing import Annotated

from pydantic import Field

from datamodules.settings import MapData
from lit_modules.networks.pidoc.settings import AgeDistanceSettings, MassSettings
from pipeline.settings.base import ModelSection, PositiveFloat, Section


class Evaluate(Section):
    """What its evaluation needs."""

    distances: Annotated[list[PositiveFloat], Field(min_length=1)]
    """Of the authors' test maps, kpc."""


class PidocMass(ModelSection):
    """Flux map to mass map."""

    model: MassSettings
    data: MapData
    evaluate: Evaluate


class PidocAgeDistance(ModelSection):
    """Flux map to distance and age."""

    model: AgeDistanceSettings
    data: MapData
    evaluate: Evaluate
