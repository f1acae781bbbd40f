"""Parameters of the autoencoder of lungs."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.settings.base import Fraction, ModelSettings, NonNegativeFloat, NonNegativeInt, PositiveInt, Seed

LARGEST = 100  # pixels of a side whose covariance, of side⁴ single-precision entries, takes no more than 400 MB


class AutoencoderSettings(ModelSettings):
    """An autoencoder and the deformations of its training pictures."""

    side: PositiveInt
    """Pixels of a side: that of the data."""
    widths: Annotated[list[PositiveInt], Field(min_length=1)]
    """Hidden layers and, last, the code."""
    code: Literal["dense", "top_k", "l1", "kl"]
    """dense: all entries; top_k: the largest; l1, kl: a penalty makes it sparse, see networks/autoencoder/code.py."""
    active_units: PositiveInt
    """Of top_k: entries of the code kept for a picture."""
    sparsity: NonNegativeFloat
    """Of l1 and kl: weight of the penalty, beside half the squared error of a picture in standard deviations."""
    target: Annotated[float, Field(gt=0, lt=1)]
    """Of kl: mean activity of an entry."""
    tied: bool
    """Whether the decoder's matrices are those of the encoder, transposed."""
    noise: NonNegativeFloat
    """Of a denoising autoencoder: standard deviation of what is added to its input, grey levels; 0: none."""
    copies: NonNegativeInt
    """Deformed copies of each training picture, whose localised principal components training starts from; 0: the
    components of the pictures themselves. The covariance of copies has side⁴ entries, so they need a small side."""
    snapshot_epoch: PositiveInt
    """Epochs after which the weights are kept beside the last ones, to be shown with them."""
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
    def _covariance_in_memory(self) -> Self:
        if self.copies and self.side > LARGEST:
            raise ValueError(f"side {self.side} is above {LARGEST}, too many for copies {self.copies}; set copies to 0")
        return self

    @model_validator(mode="after")
    def _active_within_code(self) -> Self:
        if self.code == "top_k" and self.active_units > self.widths[-1]:
            raise ValueError(f"active_units {self.active_units} is more than the code's {self.widths[-1]}")
        return self
