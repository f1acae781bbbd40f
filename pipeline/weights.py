"""Packs trained models for people who do not train: models/*.ckpt and params.yaml into one archive, a zip.

`python -m pipeline.predict FAMILY --weights weights.zip ...` reads it in any folder. It holds the checkpoints,
params.yaml, and weights.json: the scale, the project's version and the SHA-256 of every file.
"""

import argparse
import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError, run, warn
from pipeline.outputs import atomic_file
from pipeline.scale import scale_of
from pipeline.training.registry import MODELS, read_checkpoint

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


def main(argv: Sequence[str] | None = None) -> None:
    """Pack all models that are trained.

    Raises:
        InputError: none is.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.weights", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="weights.zip", type=Path, metavar="FILE", help="default: %(default)s")
    args = parser.parse_args(argv)
    trained = [name for name in MODELS if (MODELS_FOLDER / f"{name}.ckpt").is_file()]
    if not trained:
        raise InputError(f"{MODELS_FOLDER}: no trained model; train first (dvc repro)")
    if missing := [name for name in MODELS if name not in trained]:
        warn(f"not trained, so not packed: {', '.join(missing)}")
    weights = folder_weights(trained)
    write_weights(args.out, weights, Path(PARAMS).read_bytes())
    size = args.out.stat().st_size / 1e6
    print(f"{args.out}: {len(trained)} models of scale {weights.scale}, {size:.0f} MB", flush=True)


def folder_weights(names: Sequence[str]) -> Weights:
    """The checkpoints in ``models/``.

    Raises:
        InputError: one is missing.
    """
    checkpoints = {name: read_checkpoint(MODELS_FOLDER / f"{name}.ckpt") for name in names}
    return Weights(checkpoints, scale_of(Path(PARAMS)) if Path(PARAMS).is_file() else "unknown")


def write_weights(path: Path, weights: Weights, params: bytes) -> None:
    """Write the archive, the same bytes for the same weights."""
    from pipeline.predict import version

    files = {f"{MODELS_FOLDER}/{name}.ckpt": content for name, content in weights.checkpoints.items()}
    files[PARAMS] = params
    contents = {
        "format": FORMAT,
        "scale": weights.scale,
        "version": version(),
        "sha256": {name: _sha256(content) for name, content in files.items()},
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
            contents = json.loads(archive.read(CONTENTS))
            hashes, scale = contents["sha256"], str(contents["scale"])
            if contents["format"] != FORMAT:
                raise InputError(f"{path}: an archive of format {contents['format']}, not {FORMAT}; pack it again")
            if missing := [name for name in names if f"{MODELS_FOLDER}/{name}.ckpt" not in hashes]:
                raise InputError(f"{path}: has no {missing[0]}; train it, then pack it again")
            checkpoints = {name: archive.read(f"{MODELS_FOLDER}/{name}.ckpt") for name in names}
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: no whole archive of weights ({error}); fetch or pack it again") from error
    for name, content in checkpoints.items():
        if _sha256(content) != hashes[f"{MODELS_FOLDER}/{name}.ckpt"]:
            raise InputError(f"{path}: {name} is not as it was packed (SHA-256 differs); fetch or pack it again")
    return Weights(checkpoints, scale, path)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    run(main)
