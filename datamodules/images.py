"""Grey pictures of chosen labels, split by patient or object."""

import csv
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.base import TensorDataModule
from datamodules.settings import PictureData
from pipeline.errors import InputError


class ImagesDataModule(TensorDataModule):
    """Batches ``{"image": (rows, 1, height, width)}``, float32 in [0, 1], of ``data/images/<set>-<size>``.

    ``path`` is the folder with ``index.csv`` (file, label, group, split).
    """

    Settings = PictureData
    settings: PictureData

    @property
    def labels(self) -> Sequence[str] | None:
        """Labels to train and test on; None for all."""
        return None if isinstance(self.settings.labels, str) else self.settings.labels

    @cached_property
    def index(self) -> list[dict[str, str]]:
        """Rows of ``index.csv``: file, label, group, split."""
        try:
            with (self.path / "index.csv").open(newline="") as file:
                return list(csv.DictReader(file))
        except OSError as error:
            remedy = f"`python -m pipeline.preprocess_images {self.path.name}` makes it"
            raise InputError(f"{self.path}/index.csv: cannot be read; {remedy}") from error

    @property
    def other_labels(self) -> list[str]:
        """Labels of the set that the model is not trained on."""
        return sorted({row["label"] for row in self.index} - set(self.labels or [row["label"] for row in self.index]))

    def setup(self, stage: str | None = None) -> None:
        """Read the pictures of every split.

        Raises:
            InputError: the index or a picture is missing, or a split has no picture of ``labels``.
        """
        self.splits = {split: {"image": self.images(split)} for split in ("train", "val", "test")}

    def images(self, split: str | None = None, labels: Sequence[str] | None = None) -> Tensor:
        """Pictures of a split (None: of all) and of other labels than the model's own: (n, 1, height, width)."""
        wanted = self.labels if labels is None else labels
        files = [
            self.path / row["file"]
            for row in self.index
            if (split is None or row["split"] == split) and (wanted is None or row["label"] in wanted)
        ]
        if not files:
            known = ", ".join(sorted({row["label"] for row in self.index}))
            what = f"no {split or ''} picture of {', '.join(wanted or ['any label'])}"
            raise InputError(f"{self.path}: {what}; it has {known}: correct data.labels or add pictures")
        return torch.stack([self._read(file) for file in files])

    @staticmethod
    def _read(file: Path) -> Tensor:
        try:
            with Image.open(file) as image:
                grey = np.asarray(image.convert("L"), dtype=np.float32)
        except OSError as error:
            raise InputError(f"{file}: cannot be read; run pipeline.preprocess_images again") from error
        return torch.from_numpy(grey / 255)[None]
