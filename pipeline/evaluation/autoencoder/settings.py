"""Section autoencoder of params.yaml."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from datamodules.settings import PictureData
from lit_modules.networks.autoencoder.settings import AutoencoderSettings
from pipeline.settings.base import ModelSection, PositiveInt, Section


class Evaluate(Section):
    """What its evaluation needs."""

    pca_components: Annotated[list[PositiveInt], Field(min_length=1)]
    """Of the baselines, beside as many as the code has."""
    n_pictures: PositiveInt
    """Held-out pictures shown."""


class Autoencoder(ModelSection):
    """Autoencoders of lungs."""

    model: AutoencoderSettings
    data: PictureData
    evaluate: Evaluate

    @model_validator(mode="after")
    def _snapshot_within_training(self) -> Self:
        snapshot, epochs = self.model.snapshot_epoch, self.trainer.max_epochs
        if snapshot > epochs:
            raise ValueError(f"model.snapshot_epoch {snapshot} is after trainer.max_epochs {epochs}; lower it")
        return self
