"""Section rbm of params.yaml."""

from typing import Annotated

from pydantic import Field

from datamodules.settings import PictureData
from lit_modules.networks.boltzmann.settings import RBMSettings
from pipeline.settings.base import ModelSection, PositiveInt, Section


class Evaluate(Section):
    """What its evaluation needs."""

    n_pictures: PositiveInt
    """Originals from which artificial pictures grow."""
    draws: PositiveInt
    """Draws of the bits of each picture, over which likelihoods are averaged; of several levels nothing is drawn."""
    sweeps: Annotated[list[PositiveInt], Field(min_length=1)]
    """Gibbs sweeps after which a growing picture is shown."""
    samples: Annotated[int, Field(ge=5)]
    """Artificial pictures, begun as noise, that are compared with real ones after the last of the sweeps."""
    ais_chains: Annotated[int, Field(ge=32)]
    """Of annealed importance sampling of log Z and of its reverse, beyond 20 hidden units."""
    ais_steps: PositiveInt
    """Temperatures of the same."""


class Rbm(ModelSection):
    """Restricted Boltzmann machine of cluster pictures."""

    model: RBMSettings
    data: PictureData
    evaluate: Evaluate
