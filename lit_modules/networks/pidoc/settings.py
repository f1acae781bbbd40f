"""Parameters of the two networks of π-DOC."""

from typing import Literal

from lit_modules.networks.maps.settings import EncoderSettings
from pipeline.settings.base import NonNegativeFloat, PositiveFloat, Share


class PidocSettings(EncoderSettings):
    """What both networks have."""

    width: PositiveFloat
    """Multiplies the channels of every convolution; 1 in the published graph."""
    beta: Share
    """Of the beta-NLL: 0 plain likelihood, 1 the squared error's gradients."""


class MassSettings(PidocSettings):
    """From flux map to mass map."""

    network: Literal["folded", "published"]
    """folded: U-Net on folded maps, modulated by statistics; published: the authors' graph, squared error."""
    field_weight: NonNegativeFloat
    """Of the mass in the field in the loss, beside 1 for the pixels."""
    statistics_lr: PositiveFloat
    """Peak of the learning rate of what reads the mass in the field off the statistics."""


class AgeDistanceSettings(PidocSettings):
    """From flux map to distance and age."""

    network: Literal["statistics", "published"]
    """statistics: a perceptron on the statistics of the map; published: the authors' graph, squared error."""
