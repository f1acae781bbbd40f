"""Parameters of the data modules."""

from typing import Literal, Self

from pipeline.settings.base import DataSettings, Fraction, PositiveInt


class NBodyData(DataSettings):
    """Windows of simulations."""

    horizon: PositiveInt
    """Output steps that a training window looks ahead."""
    val_fraction: Fraction
    """Of the simulations."""
    test_fraction: Fraction
    """Of the simulations."""


class PictureData(DataSettings):
    """Pictures of some labels."""

    labels: Literal["all", "own"] | list[str]
    """own: the label after the dash of the model's name."""

    def of_model(self, name: str) -> Self:
        """The label that stands for ``own`` is that of the model's name."""
        if self.labels != "own":
            return self
        return self.model_copy(update={"labels": [name.partition("-")[2]]})


class MapData(DataSettings):
    """Maps of clusters and statistics of whole maps."""

    statistics_passes: PositiveInt
    """Times that an epoch shows the statistics of each map."""
