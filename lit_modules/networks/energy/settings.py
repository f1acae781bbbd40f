"""Parameters of the energy-based models: of distance and age, and of densities on the plane."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lit_modules.networks.maps.settings import EncoderSettings
from pipeline.settings.base import (
    ModelSettings,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
)

Nodes = Annotated[int, Field(ge=2)]


def _rising(pair: list[float]) -> list[float]:
    if len(pair) != 2 or pair[0] >= pair[1]:
        raise ValueError("give two numbers, the lower first")
    return pair


class TrainingSettings(ModelSettings):
    """How an energy is trained, see ``lit_modules.networks.energy.training``."""

    training: Literal["exact", "metropolis", "persistent", "nce"]
    """Likelihood on a grid; Metropolis-Hastings from the data, or going on from batch to batch; against noise."""
    nodes: Nodes
    """Of a side of the grid of the exact likelihood; as many points are the noise of nce."""
    chains: PositiveInt
    """Metropolis-Hastings chains of each datum."""
    steps: PositiveInt
    """Of each chain in each step of the training."""
    jumps: Share
    """Fraction of proposals that jump anywhere in the box."""


class EBMSettings(TrainingSettings, EncoderSettings):
    """The energy of (distance, age) given the statistics of a map, and its training."""

    training: Literal["exact", "metropolis", "nce"]
    """As for all energies; persistent chains would have to belong to one map each."""
    hidden: PositiveInt
    """Width of the embeddings of (distance, age)."""
    embedding: PositiveInt
    """Dimension in which the two meet."""
    waves: NonNegativeInt
    """Sines and cosines of distance and age."""
    latent_nodes: PositiveInt
    """Nodes of the latent angle on its circle."""
    beta: PositiveFloat
    """Inverse temperature."""
    distance_kpc: Annotated[list[PositiveFloat], AfterValidator(_rising)]
    """The prior's box, kpc."""
    age_gyr: Annotated[list[NonNegativeFloat], AfterValidator(_rising)]
    """The prior's box, Gyr."""


class PlaneSettings(TrainingSettings):
    """The energies of densities on the plane, and their training."""

    hidden: PositiveInt
    """Width of the two hidden layers."""
    waves: NonNegativeInt
    """Sines and cosines of each coordinate."""
    latent_nodes: PositiveInt
    """Nodes of the ellipse's angle on its circle."""
    validation_nodes: Nodes
    """Of a side of the grid of the likelihood in validation and test."""
