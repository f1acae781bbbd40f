"""Sections radiographs and images of params.yaml: phantoms and pictures."""

from pipeline.settings.base import Fraction, PositiveInt, Section, Seed


class Radiographs(Section):
    n_healthy: PositiveInt
    n_covid: PositiveInt
    size: PositiveInt
    seed: Seed


class ImageSource(Section):
    source: str


class Images(Section):
    lungs: ImageSource
    globular_clusters: ImageSource
    val_fraction: Fraction
    test_fraction: Fraction
    seed: Seed
