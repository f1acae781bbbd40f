"""Parameters of what reads the statistics of a map."""

from pipeline.settings.base import Fraction, ModelSettings, PositiveInt


class EncoderSettings(ModelSettings):
    """A perceptron on the statistics of the map."""

    units: PositiveInt
    """Width of its hidden layer."""
    features: PositiveInt
    """Length of what it hands on."""
    dropout: Fraction
    """Of its hidden layer."""
