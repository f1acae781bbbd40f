"""Section boltzmann of params.yaml."""

from datamodules.settings import PictureData
from lit_modules.networks.boltzmann.settings import BoltzmannSettings
from pipeline.settings.base import ModelSection, PositiveInt, Section


class Evaluate(Section):
    """What its evaluation needs."""

    n_pictures: PositiveInt
    """Held-out pictures shown."""
    chains: PositiveInt
    """Samples of the machine."""
    sweeps: PositiveInt
    """Of the annealing that draws them."""


class Boltzmann(ModelSection):
    """General Boltzmann machine of cluster pictures."""

    model: BoltzmannSettings
    data: PictureData
    evaluate: Evaluate
