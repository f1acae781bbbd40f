"""Section spectral of params.yaml."""

from datamodules.settings import StarFieldsData
from lit_modules.networks.spectral.settings import SpectralSettings
from pipeline.settings.base import ModelSection, PositiveInt, Section


class Evaluate(Section):
    """What its evaluation needs."""

    n_fields: PositiveInt
    """Held-out fields shown, from an easy one to a hard one."""


class Spectral(ModelSection):
    """Spectral network of the membership of stars in clusters."""

    model: SpectralSettings
    data: StarFieldsData
    evaluate: Evaluate
