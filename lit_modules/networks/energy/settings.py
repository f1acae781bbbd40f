"""Parameters of the energy-based model of distance and age."""

from typing import Annotated

from pydantic import AfterValidator, Field

from lit_modules.networks.pidoc.settings import StatisticsSettings
from pipeline.settings.base import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
)


def _rising(pair: list[float]) -> list[float]:
    if len(pair) != 2 or pair[0] >= pair[1]:
        raise ValueError("give two numbers, the lower first")
    return pair


class EBMSettings(StatisticsSettings):
    """The energy of (distance, age) given the statistics of a map, and the chains of its training."""

    hidden: PositiveInt
    """Width of the embeddings of map and (distance, age)."""
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
    chains: PositiveInt
    """Metropolis-Hastings chains of each map."""
    steps: PositiveInt
    """Of each chain, from the true (distance, age)."""
    jumps: Share
    """Fraction of proposals that jump anywhere in the box."""
    nodes: Annotated[int, Field(ge=2)]
    """Of a side of the grid of the exact likelihood."""
