"""Pictures of one kind that no training saw, and what the network and its rivals make of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from pipeline.evaluation.autoencoder.quality import errors
from pipeline.evaluation.autoencoder.rivals import Methods
from pipeline.evaluation.autoencoder.scores import Kind, trivial_scores
from pipeline.evaluation.common.bootstrap import interval
from pipeline.evaluation.common.pictures import item_table, pairs
from pipeline.evaluation.common.result import THUMBNAILS


@dataclass(frozen=True)
class Judged:
    """Pictures of one kind, redrawn.

    Attributes:
        rows: of the index, (n,).
        images: the pictures, (n, 1, H, W).
        redrawn: what ``model`` and each rival make of them, (n, 1, H, W) each.
    """

    rows: list[dict[str, str]]
    images: Tensor
    redrawn: dict[str, Tensor]

    @classmethod
    def by(cls, methods: Methods, rows: list[dict[str, str]], images: Tensor) -> Self:
        """Redrawn by each of the methods."""
        return cls(rows, images, {who: method(images) for who, method in methods.items()})

    @property
    def patients(self) -> list[str]:
        """Whose each picture is, (n,)."""
        return [row["group"] for row in self.rows]

    def errors(self) -> dict[str, Tensor]:
        """Mean square error of each method on each picture, (n,)."""
        return {who: errors(pictures, self.images) for who, pictures in self.redrawn.items()}

    def mean_errors(self) -> dict[str, tuple[float, float, float]]:
        """Mean square error of each method and the ends of its interval over patients."""
        patients = self.patients
        return {who: (float(e.mean()), *interval(e, groups=patients)) for who, e in self.errors().items()}

    def kinds(self) -> dict[str, Kind]:
        """Errors, and scores that need no network, of each picture."""
        scores, patients = self.errors() | trivial_scores(self.images), self.patients
        return {who: Kind(values.double().numpy(), patients) for who, values in scores.items()}

    def squares(self, methods: Sequence[str]) -> dict[str, Tensor]:
        """Squared error of each pixel of some methods, (n, 1, H, W) each."""
        return {who: (self.redrawn[who] - self.images).square() for who in methods}

    def items(self) -> pl.DataFrame:
        """A row for each picture, with the network's error and the scores that need no network."""
        error = errors(self.redrawn["model"], self.images)
        return item_table(self.rows, mean_square_error=error, **trivial_scores(self.images))

    def thumbnails(self) -> list[NDArray[np.uint8]]:
        """The first pictures above what the network makes of them."""
        first, redrawn = (pictures[:THUMBNAILS].flatten(1) for pictures in (self.images, self.redrawn["model"]))
        return pairs(first, redrawn, self.images.shape[-1])
