"""Parameters of the two networks of π-DOC."""

from typing import Literal

from pipeline.settings.base import Fraction, ModelSettings, NonNegativeFloat, PositiveFloat, Share


class PidocSettings(ModelSettings):
    """What both networks have."""

    width: PositiveFloat
    """Multiplies the published channels; 1 is the published graph."""
    uncertainty: bool
    """Outputs for the variances; false is the published graph."""
    statistics: bool
    """Statistics of the whole map give a second estimate; false is the published graph."""
    beta: Share
    """Of the beta-NLL: 0 plain likelihood, 1 the squared error's gradients."""
    statistics_lr: PositiveFloat
    """Peak of the learning rate of the perceptron on the statistics."""


class MassSettings(PidocSettings):
    """The encoder-decoder from flux map to mass map."""

    field_weight: NonNegativeFloat
    """Of the summed mass in the loss, beside 1 for the pixels."""


class AgeDistanceSettings(PidocSettings):
    """The network from flux map to distance and age."""

    dropout: Fraction
    """Before the dense layers; published: 0.1."""
    target_scaling: Literal["separate", "joint"]
    """separate: log10 distance and age, each by its own mean and deviation; joint: both by one, as published."""
