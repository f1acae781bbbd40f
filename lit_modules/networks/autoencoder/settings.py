"""Parameters of the autoencoder of lungs."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.settings.base import Fraction, ModelSettings, NonNegativeFloat, PositiveInt, Seed


class AutoencoderSettings(ModelSettings):
    """An autoencoder and the deformations of its training pictures."""

    side: PositiveInt
    """Pixels of a side: that of the data."""
    widths: Annotated[list[PositiveInt], Field(min_length=1)]
    """Hidden layers and, last, the code."""
    active_units: PositiveInt | None
    """Entries of the code kept for a picture; null: all."""
    snapshot_epoch: PositiveInt
    """Epochs after which some reconstructions are kept to be shown beside the last ones."""
    rotation: NonNegativeFloat
    """Random deformations of the training pictures, ±: radians."""
    scale: Fraction
    """Of each axis, relative."""
    shift: NonNegativeFloat
    """Of each axis, half-pictures."""
    warp: NonNegativeFloat
    """Of the nodes of a coarse grid, half-pictures."""
    contrast: NonNegativeFloat
    """Logarithm of a power of the grey levels; half of it, of a factor."""
    augment_seed: Seed
    """Of the deformations."""

    @model_validator(mode="after")
    def _active_within_code(self) -> Self:
        if self.active_units is not None and self.active_units > self.widths[-1]:
            raise ValueError(f"active_units {self.active_units} is more than the code's {self.widths[-1]}")
        return self
