"""Section autoencoder of params.yaml."""

from typing import Annotated

from pydantic import Field

from datamodules.settings import PictureData
from lit_modules.networks.autoencoder.settings import AutoencoderSettings
from pipeline.settings.base import ModelSection, PositiveInt, Section


class Evaluate(Section):
    """What its evaluation needs."""

    pca_components: Annotated[list[PositiveInt], Field(min_length=1)]
    """Of the baselines, beside as many as the code has."""
    copies: PositiveInt
    """Deformed copies of each training picture that further baselines see."""
    n_pictures: PositiveInt
    """Held-out pictures shown."""


class Autoencoder(ModelSection):
    """Autoencoders of lungs."""

    model: AutoencoderSettings
    data: PictureData
    evaluate: Evaluate
