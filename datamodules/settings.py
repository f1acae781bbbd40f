"""Parameters of the data modules."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field

from pipeline.settings.base import DataSettings, Fraction, PositiveInt, Section

CLUSTER_SPLITS = ("train", "val", "calibration", "test")  # in the order in which mock clusters are numbered


class NBodyData(DataSettings):
    """Windows of simulations."""

    horizon: PositiveInt
    """Output steps that a training window looks ahead."""
    val_fraction: Fraction
    """Of the simulations."""
    test_fraction: Fraction
    """Of the simulations."""


class OwnLabel(Section):
    """What ``auto`` stands for in one of several models that share a section."""

    model: str
    """The label that the model is named after: healthy of autoencoder-healthy."""
    models: list[str]
    """Those of all models of the section, in their order."""


class PictureData(DataSettings):
    """Pictures of some labels."""

    labels: Literal["auto", "all"] | Annotated[list[str], Field(min_length=1)] | OwnLabel
    """auto: the label after the dash of the model's name; where the set has others, each model takes one of them."""

    def of_model(self, name: str, models: Sequence[str]) -> Self:
        if self.labels != "auto":
            return self
        own, *every = (model.partition("-")[2] for model in (name, *models))
        return self.model_copy(update={"labels": OwnLabel(model=own, models=every)})


class MapData(DataSettings):
    """Maps of clusters and statistics of whole maps."""

    statistics_passes: PositiveInt
    """Times that an epoch shows the statistics of each map."""


class PlaneData(DataSettings):
    """Points of densities on the plane."""

    points: PositiveInt
    """Points of each density in an epoch, drawn anew for each."""
    held_out: PositiveInt
    """Points of each density in validation, and in test."""


class StarFieldsData(DataSettings):
    """Fields of stars as graphs."""

    neighbours: PositiveInt
    """Nearest stars that a star is joined to; pairs are joined where either counts the other among them."""
    val_fraction: Fraction
    """Of the fields."""
    test_fraction: Fraction
    """Of the fields."""
