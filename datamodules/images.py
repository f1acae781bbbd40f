"""Grey pictures of chosen labels, split by patient or object."""

import csv
import io
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.base import TensorDataModule
from datamodules.loader import TensorLoader
from datamodules.settings import OwnLabel, PictureData
from pipeline.errors import InputError


class PictureLoader(TensorLoader):
    """Batches of pictures whose levels are bytes."""

    def take(self, index: Tensor) -> dict[str, Tensor]:
        return {name: in_unit_range(levels) for name, levels in super().take(index).items()}


class ImagesDataModule(TensorDataModule):
    """Batches ``{"image": (rows, 1, height, width)}``, float32 in [0, 1], of ``data/images/<set>-<size>``.

    ``path`` is the folder with ``index.csv`` (file, label, group, split) and ``preprocess.json``. ``levels[split]``
    holds the pictures as bytes; ``splits`` makes float32 of them.
    """

    Settings = PictureData
    settings: PictureData
    levels: dict[str, Tensor]

    @property
    def splits(self) -> dict[str, dict[str, Tensor]]:  # type: ignore[override]
        """``image`` of each split, made when it is asked for."""
        return {split: {"image": in_unit_range(levels)} for split, levels in self.levels.items()}

    @property
    def set_name(self) -> str:
        """Such as lungs of data/images/lungs-50."""
        return self.path.name.rpartition("-")[0]

    @cached_property
    def index(self) -> list[dict[str, str]]:
        """Rows of ``index.csv``: file, label, group, split."""
        return list(csv.DictReader(io.StringIO(self._text("index.csv"), newline="")))

    def _text(self, name: str) -> str:
        try:
            return (self.path / name).read_text("utf-8")
        except OSError as error:
            remedy = f"`python -m pipeline.preprocess_images {self.path.name}` makes it"
            raise InputError(f"{self.path}/{name}: cannot be read; {remedy}") from error

    def _check(self, label: str) -> None:
        if label not in self.known_labels:
            known = ", ".join(self.known_labels)
            raise InputError(f"{self.path}: no label {label}; it has {known}: correct data.labels or add pictures")

    @cached_property
    def known_labels(self) -> list[str]:
        """Every label of the set, by alphabet."""
        return sorted({row["label"] for row in self.index})

    @property
    def labels(self) -> list[str]:
        """Labels to train and test on.

        Raises:
            InputError: the set does not have one of those that ``data.labels`` names.
        """
        match self.settings.labels:
            case OwnLabel(model=model, models=models):
                return [label_of(model, models, self.known_labels)]
            case list() as labels:
                for label in labels:
                    self._check(label)
                return labels
        return self.known_labels

    @property
    def other_labels(self) -> list[str]:
        """Labels of the set that the model is not trained on."""
        return sorted(set(self.known_labels) - set(self.labels))

    @cached_property
    def preprocessing(self) -> dict[str, Any]:
        """What ``preprocess.json`` tells of the pictures."""
        return json.loads(self._text("preprocess.json"))

    @property
    def padded(self) -> bool:
        """Whether the pictures were padded to squares, not cropped."""
        return self.preprocessing["padded"]

    @property
    def white(self) -> int:
        """The level of the files that the import made white."""
        return self.preprocessing["white"]

    @property
    def drawn(self) -> bool:
        """Whether this project drew the pictures, so that they are phantoms or mocks."""
        return self.preprocessing["drawn"]

    def setup(self, stage: str | None = None) -> None:
        """Read the pictures of every split.

        Raises:
            InputError: the index or a picture is missing, a split has no picture of ``labels``, or those of training
                are all the same.
        """
        self.levels = {split: self._levels(self.rows(split)) for split in ("train", "val", "test")}
        train = self.levels["train"]
        if torch.equal(train, train[:1].expand_as(train)):
            what = "one train picture" if len(train) == 1 else f"{len(train)} equal train pictures"
            raise InputError(f"{self.path}: only {what} of {', '.join(self.labels)}, too few to learn from; add others")

    def _loader(self, split: str, *, shuffle: bool = False) -> PictureLoader:
        levels = self.levels[split]
        return PictureLoader(self._placed({"image": levels}), self._sampler(len(levels), shuffle=shuffle))

    def rows(self, split: str | None = None, labels: Sequence[str] | None = None) -> list[dict[str, str]]:
        """Rows of the index of a split (None: of all) and of other labels than the model's own.

        Raises:
            InputError: there is none.
        """
        wanted = self.labels if labels is None else labels
        rows = [row for row in self.index if row["label"] in wanted and split in (None, row["split"])]
        if not rows:
            what = f"no {split or ''} picture of {', '.join(wanted)}"
            raise InputError(f"{self.path}: {what}; add pictures, or change data.labels")
        return rows

    def images(self, split: str | None = None, labels: Sequence[str] | None = None) -> Tensor:
        """Pictures of :meth:`rows`: (n, 1, height, width)."""
        return in_unit_range(self._levels(self.rows(split, labels)))

    def novel_rows(self) -> list[dict[str, str]]:
        """Rows of pictures of the other labels, of nobody whom the training saw."""
        trained = {row["group"] for row in self.index if row["label"] in self.labels and row["split"] == "train"}
        return [row for row in self.index if row["label"] in self.other_labels and row["group"] not in trained]

    def novel(self) -> Tensor | None:
        """Pictures of :meth:`novel_rows`, (n, 1, height, width); None where none is."""
        rows = self.novel_rows()
        return in_unit_range(self._levels(rows)) if rows else None

    def _levels(self, rows: Sequence[dict[str, str]]) -> Tensor:
        """Bytes (n, 1, height, width)."""
        first = self._read(self.path / rows[0]["file"])
        levels = torch.empty((len(rows), *first.shape), dtype=torch.uint8)
        for picture, row in zip(levels, rows, strict=True):
            picture.copy_(self._read(self.path / row["file"]))
        return levels

    @staticmethod
    def _read(file: Path) -> Tensor:
        try:
            with Image.open(file) as image:
                return torch.from_numpy(np.array(image.convert("L")))[None]
        except OSError as error:
            raise InputError(f"{file}: cannot be read; run pipeline.preprocess_images again") from error


def in_unit_range(levels: Tensor) -> Tensor:
    """Float32 in [0, 1] of bytes."""
    return levels.float() / 255


def label_of(model: str, models: Sequence[str], labels: Sequence[str]) -> str:
    """The label that one of several models learns: its own, or one that none of them is named after.

    Args:
        model: the label that it is named after; case does not matter.
        models: those of all models, in their order.
        labels: of the set, by alphabet.
    """
    named = {label.casefold(): label for label in labels}
    if model.casefold() in named:
        return named[model.casefold()]
    without = [each for each in models if each.casefold() not in named]
    free = [label for label in labels if label.casefold() not in {each.casefold() for each in models}] or labels
    return free[without.index(model) % len(free)]
