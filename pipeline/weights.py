"""Packs trained models for people who do not train: models/*.ckpt and params.yaml into one archive, a zip.

`python -m pipeline.predict FAMILY --weights weights.zip ...` reads it in any folder. It holds the checkpoints,
params.yaml, and weights.json: the scale, the project's version and the SHA-256 of every file.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import InputError, run, warn
from pipeline.prediction.weights_archive import MODELS_FOLDER, PARAMS, folder_weights, write_weights
from pipeline.training.registry import MODELS


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


if __name__ == "__main__":
    run(main)
