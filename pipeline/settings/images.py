"""Sections radiographs and images of params.yaml: phantoms and pictures."""

import re
from typing import Literal

from pydantic import field_validator

from pipeline.settings.base import Fraction, PositiveInt, Section, Seed


class Radiographs(Section):
    n_healthy: PositiveInt
    n_covid: PositiveInt
    size: PositiveInt
    seed: Seed


class ImageSource(Section):
    source: str
    """Folder, archive, manifest or table of metadata."""
    square: Literal["crop", "pad"]
    """The middle square of a picture, or the whole of it between black borders."""
    patient: str | None
    """Regular expression whose first group, in a file's name, is the patient; None: known patterns."""

    @field_validator("patient")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        try:
            if pattern is None or re.compile(pattern).groups:
                return pattern
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression ({error}); mend it") from error
        raise ValueError(f"{pattern!r} has no group; put the patient in brackets, such as (\\d+)_")


class Images(Section):
    lungs: ImageSource
    globular_clusters: ImageSource
    val_fraction: Fraction
    test_fraction: Fraction
    seed: Seed
