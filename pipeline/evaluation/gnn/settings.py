"""Section gnn of params.yaml."""

from datamodules.settings import NBodyData
from lit_modules.networks.graph.settings import NBodySettings
from pipeline.settings.base import ModelSection, PositiveInt, Section


class Evaluate(Section):
    """What its evaluation needs."""

    rollout_steps: PositiveInt
    """Outputs of a rollout."""


class Gnn(ModelSection):
    """Graph network of N-body dynamics."""

    model: NBodySettings
    data: NBodyData
    evaluate: Evaluate
