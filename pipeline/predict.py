"""Asks a trained model about your own picture, map or simulation.

Reads pictures, FITS or NPY maps, or a CSV; writes JSON, PNG and (for maps) FITS to --out.
"""

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file
from pipeline.training.registry import MODELS

FAMILIES = {
    "gnn": ("gnn",),
    "autoencoder": ("autoencoder-healthy",),
    "boltzmann": ("boltzmann",),
    "rbm": ("rbm",),
    "ebm": ("ebm",),
    "pidoc": ("pidoc-mass", "pidoc-age-distance"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Predict for each input; one set of files an input, named after it."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.predict", description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument(
        "input", nargs="+", type=Path, help="picture, .fits or .npy map, or .csv of the N-body contract"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the answers")
    parser.add_argument("--checkpoint", type=Path, help="weights to use instead of the pipeline's own")
    parser.add_argument(
        "--band", choices=("V", "g", "r"), help="filter of a FITS picture without a card FILTER (pidoc)"
    )
    args = parser.parse_args(argv)
    if args.band and args.family != "pidoc":
        raise InputError(f"--band goes with pidoc, not with {args.family}; leave it out")
    missing = [path for path in args.input if not path.is_file()]
    if missing:
        raise InputError(f"{missing[0]}: no such file; give an existing input")
    models = load_family(args.family, args.checkpoint)
    prediction = import_module(f"pipeline.evaluation.{args.family}.prediction")
    options = {"band": args.band} if args.band else {}
    for path in args.input:
        write(prediction.predict(models, path, **options), args.out, path.stem)


def load_family(family: str, checkpoint: Path | None) -> list[Any]:
    """The family's trained models, or the one in ``checkpoint``.

    Raises:
        InputError: a checkpoint is missing or of another family.
    """
    names = FAMILIES[family]
    if checkpoint is None:
        return [MODELS[name].load(Path("models") / f"{name}.ckpt") for name in names]
    if checkpoint.suffix == ".h5" and family == "pidoc":
        from lit_modules.pidoc import load_published

        return [load_published(checkpoint)]
    mistakes = []
    for name in names:
        try:
            return [MODELS[name].load(checkpoint)]
        except InputError as mistake:
            mistakes.append(mistake)
    raise mistakes[-1]


def write(result: Any, folder: Path, stem: str) -> None:
    """Write ``<stem>.json``, ``<stem>_<picture>.png`` and ``<stem>_<map>.fits``."""
    from pipeline.evaluation.common.result import write_json

    for picture in result.pictures:
        with atomic_file(folder / f"{stem}_{picture.name}.png") as temporary:
            picture.figure.savefig(temporary)
    for name, hdus in result.hdus.items():
        with atomic_file(folder / f"{stem}_{name}.fits") as temporary:
            hdus.writeto(temporary)
    with atomic_file(folder / f"{stem}.json") as temporary:
        write_json(result.metrics, temporary)
    print(f"{folder / stem}.json")


if __name__ == "__main__":
    run(main)
