"""Checkpoints out of models/ or an archive, a zip that holds them, params.yaml, and weights.json.

weights.json states the scale, the project's version and the SHA-256 of every file.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.outputs import atomic_file
from pipeline.prediction.provenance import sha256, version
from pipeline.scale import scale_of
from pipeline.training.registry import read_checkpoint

MODELS_FOLDER, PARAMS, CONTENTS = Path("models"), "params.yaml", "weights.json"
FORMAT = 1  # of the archive
NO_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest of a zip: the same weights give the same bytes


@dataclass(frozen=True)
class Weights:
    """Checkpoints, and the scale that they were trained at.

    Attributes:
        checkpoints: their bytes by the model's name.
        scale: see ``pipeline.scale.scale_of``.
        archive: that they come from; None for ``models/``.
    """

    checkpoints: dict[str, bytes]
    scale: str
    archive: Path | None = None

    def place(self, name: str) -> Path:
        """Where a checkpoint lies, for messages."""
        return (self.archive or Path()) / MODELS_FOLDER / f"{name}.ckpt"


def folder_weights(names: Sequence[str]) -> Weights:
    """The checkpoints in ``models/``.

    Raises:
        InputError: one is missing.
    """
    checkpoints = {name: read_checkpoint(MODELS_FOLDER / f"{name}.ckpt") for name in names}
    return Weights(checkpoints, scale_of(Path(PARAMS)) if Path(PARAMS).is_file() else "unknown")


def write_weights(path: Path, weights: Weights, params: bytes) -> None:
    """Write the archive, the same bytes for the same weights."""
    files = {f"{MODELS_FOLDER}/{name}.ckpt": content for name, content in weights.checkpoints.items()}
    files[PARAMS] = params
    contents = {
        "format": FORMAT,
        "scale": weights.scale,
        "version": version(),
        "sha256": {name: sha256(content) for name, content in files.items()},
    }
    files = {CONTENTS: (json.dumps(contents, indent=2) + "\n").encode()} | files
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, NO_DATE), content)


def read_weights(path: Path, names: Sequence[str]) -> Weights:
    """Some checkpoints of an archive, their hashes checked.

    Raises:
        InputError: there is no such archive, it is another kind of file, cut or changed, or lacks a model.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such archive; make one with python -m pipeline.weights")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > path.stat().st_size:
                raise InputError(f"{path}: a packed archive; fetch it again, or pack it by python -m pipeline.weights")
            contents = json.loads(archive.read(CONTENTS))
            hashes, scale = dict(contents["sha256"]), str(contents["scale"])
            if contents["format"] != FORMAT:
                raise InputError(f"{path}: an archive of format {contents['format']}, not {FORMAT}; pack it again")
            if missing := [name for name in names if f"{MODELS_FOLDER}/{name}.ckpt" not in hashes]:
                raise InputError(f"{path}: has no {missing[0]}; train it, then pack it again")
            checkpoints = {name: archive.read(f"{MODELS_FOLDER}/{name}.ckpt") for name in names}
    except InputError:
        raise
    except Exception as error:  # on broken bytes zipfile raises nearly anything
        raise InputError(f"{path}: no whole archive of weights ({error}); fetch or pack it again") from error
    for name, content in checkpoints.items():
        if sha256(content) != hashes[f"{MODELS_FOLDER}/{name}.ckpt"]:
            raise InputError(f"{path}: {name} is not as it was packed (SHA-256 differs); fetch or pack it again")
    return Weights(checkpoints, scale, path)
