"""The trained models of a family, out of models/, an archive, or a checkpoint that the user names."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.prediction.provenance import sha256
from pipeline.prediction.weights_archive import folder_weights, read_weights
from pipeline.training.registry import MODELS


@dataclass(frozen=True)
class Trained:
    """The models of a family, ready to be asked.

    Attributes:
        family: of models.yaml.
        modules: LightningModules in evaluation mode.
        hashes: SHA-256 of the checkpoint of each, by name.
        scale: of params.yaml when they were trained, see ``pipeline.scale.scale_of``.
    """

    family: str
    modules: list[Any]
    hashes: dict[str, str]
    scale: str


def load_models(
    family: str,
    checkpoint: Path | None = None,
    device: str = "cpu",
    *,
    weights: Path | str | None = None,
    names: Sequence[str] | None = None,
) -> Trained:
    """The family's trained models, one of each kind; or the one in ``checkpoint``, or those of an archive.

    Args:
        family: of models.yaml, such as ``pidoc``.
        checkpoint: None for those of ``dvc repro``, in ``models/``.
        device: ``cpu``, ``cuda`` or ``auto``: a GPU where there is one.
        weights: an archive of ``python -m pipeline.weights``; None for none.
        names: of the models, see :func:`sets`; None for the first of each kind.

    Raises:
        InputError: a checkpoint or archive is missing, spoilt or of another family, or there is no such device.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if checkpoint is not None:
        trained = one_checkpoint(family, checkpoint)
    else:
        trained = named(family, names or kinds(family), None if weights is None else Path(weights))
    return Trained(family, [model.to(device) for model in trained.modules], trained.hashes, trained.scale)


def kinds(family: str) -> list[str]:
    """Names of the family's models, the first of each kind."""
    first: dict[str, str] = {}
    for name, model in MODELS.items():
        if model.family == family:
            first.setdefault(model.module["class"], name)
    return list(first.values())


def sets(family: str) -> list[list[str]]:
    """Names of the family's models that answer together: the first of each kind, then each other one by itself."""
    first = kinds(family)
    others = [name for name, model in MODELS.items() if model.family == family and name not in first]
    return [first, *([name] for name in others)]


def named(family: str, names: Sequence[str], archive: Path | None) -> Trained:
    """Models of an archive or of ``models/``."""
    weights = folder_weights(names) if archive is None else read_weights(archive, names)
    modules = [MODELS[name].load(weights.place(name), weights.checkpoints[name]) for name in names]
    return Trained(family, modules, {name: sha256(weights.checkpoints[name]) for name in names}, weights.scale)


def one_checkpoint(family: str, checkpoint: Path) -> Trained:
    """The model in a file that the user names, whichever of the family's kinds it is; nobody knows its scale."""
    formats = getattr(import_module(f"pipeline.evaluation.{family}.prediction"), "FORMATS", {})
    mistakes = []
    for name in [checkpoint.stem] if checkpoint.suffix in formats else kinds(family):
        try:
            read = formats.get(checkpoint.suffix) or MODELS[name].load
            return Trained(family, [read(checkpoint)], {name: sha256(checkpoint.read_bytes())}, "unknown")
        except InputError as mistake:
            mistakes.append(mistake)
    raise mistakes[0]
