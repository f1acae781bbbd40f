"""What all declarations of parameters share: strict checks, common types, the parts of a model's section."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A section of params.yaml: no unknown key, no missing key, no NaN, no text for a number."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ModelSettings(Section):
    """The part ``model`` of a model's section: what its network and its LightningModule are built from."""

    lr: PositiveFloat
    """Peak of the one-cycle learning rate."""
    weight_decay: NonNegativeFloat
    """Of AdamW."""


class DataSettings(Section):
    """The part ``data``: what its data module is built from."""

    batch_size: PositiveInt
    """Rows of a global batch, over all processes together."""

    def of_model(self, name: str, models: Sequence[str]) -> Self:
        """These settings for one of the ``models`` that share a section."""
        return self


class TrainerSettings(Section):
    """The part ``trainer``: what of Lightning's Trainer shapes the weights."""

    max_epochs: PositiveInt
    precision: Literal["auto", "32-true", "bf16-mixed", "64-true"]
    """auto: bf16-mixed where the hardware multiplies bf16 itself, else 32-true."""
    gradient_clip_val: PositiveFloat | None
    threads: PositiveInt
    """CPU threads of a process; part of the result's bytes."""


class ModelSection(Section):
    """A model's section of params.yaml; families narrow the types of its parts."""

    seed: Seed
    """Of the weights, the order of batches and all that a training draws."""
    model: ModelSettings
    data: DataSettings
    trainer: TrainerSettings
    evaluate: Section
