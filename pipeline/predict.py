"""Asks a trained model about your own picture, map or simulation.

Writes JSON, PNG and (for mass maps) FITS to --out.
Each family has a help of its own: python -m pipeline.predict pidoc --help
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file
from pipeline.training.registry import MODELS

COMMON = ("family", "input", "out", "checkpoint", "device")  # arguments that are not the family's own


def main(argv: Sequence[str] | None = None) -> None:
    """Predict for each input; one set of files an input, named after it. A bad input does not stop the others.

    Raises:
        InputError: no model can be loaded, or all is done but an input was bad.
    """
    args = make_parser().parse_args(argv)
    models = load_models(args.family, args.checkpoint, args.device)
    options = family_options(args)
    names = answer_names(family_inputs(args))
    failed = [path for path, name in names.items() if not answered(args, models, options, path, name)]
    if failed:
        raise InputError(f"{len(failed)} of {len(names)} inputs had no answer; see above")


def make_parser() -> argparse.ArgumentParser:
    """A subcommand for each family of models.yaml that has an ``arguments.py``, with what that adds."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    families = parser.add_subparsers(dest="family", required=True, metavar="FAMILY")
    for family in dict.fromkeys(model.family for model in MODELS.values()):
        if find_spec(f"pipeline.evaluation.{family}.arguments") is None:
            continue  # a family that answers no questions
        declared = import_module(f"pipeline.evaluation.{family}.arguments")
        command = families.add_parser(family, help=declared.HELP, description=f"{declared.HELP}.")
        declared.add_arguments(command)
        command.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the answers")
        command.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights in place of the pipeline's own")
        command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    return parser


def family_inputs(args: argparse.Namespace) -> list[Path]:
    """One path an answer: what the family's ``inputs`` makes of the arguments; all of ``input`` where it has none."""
    declared = import_module(f"pipeline.evaluation.{args.family}.arguments")
    inputs: list[Path] = declared.inputs(args) if hasattr(declared, "inputs") else args.input
    return inputs


def family_options(args: argparse.Namespace) -> dict[str, Any]:
    """Keywords of the family's ``predict``: what its ``options`` makes of the arguments; else each that is its own."""
    declared = import_module(f"pipeline.evaluation.{args.family}.arguments")
    if hasattr(declared, "options"):
        options: dict[str, Any] = declared.options(args)
        return options
    return {name: value for name, value in vars(args).items() if name not in COMMON}


def load_models(family: str, checkpoint: Path | None = None, device: str = "cpu") -> list[Any]:
    """The family's trained models, one of each kind, or the one in ``checkpoint``; in evaluation mode.

    Args:
        family: of models.yaml, such as ``pidoc``.
        checkpoint: None for those of ``dvc repro``, in ``models/``.
        device: ``cpu``, ``cuda`` or ``auto``: a GPU where there is one.

    Raises:
        InputError: a checkpoint is missing or of another family, or there is no such device.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    place = "cuda" if device == "auto" and torch.cuda.is_available() else device.replace("auto", "cpu")
    return [model.to(place) for model in _loaded(family, checkpoint)]


def _loaded(family: str, checkpoint: Path | None) -> list[Any]:
    names = [name for name, model in MODELS.items() if model.family == family]
    kinds = {MODELS[name].module["class"]: name for name in reversed(names)}  # the first of each
    if checkpoint is None:
        return [MODELS[name].load(Path("models") / f"{name}.ckpt") for name in names if name in kinds.values()]
    formats = getattr(import_module(f"pipeline.evaluation.{family}.prediction"), "FORMATS", {})
    if checkpoint.suffix in formats:
        return [formats[checkpoint.suffix](checkpoint)]
    mistakes = []
    for name in kinds.values():
        try:
            return [MODELS[name].load(checkpoint)]
        except InputError as mistake:
            mistakes.append(mistake)
    raise mistakes[0]


def answer_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A name under --out for each input, no two alike: its stem, below as many folders as tell it from the others.

    Two in one folder keep the suffix by which they differ.
    """
    inputs = {Path(os.path.abspath(path)): path for path in paths}  # a file given twice is answered once
    longer = {path: [*tails(path.with_suffix("")), *tails(path)] for path in inputs}
    names = {path: candidates.pop(0) for path, candidates in longer.items()}
    while doubled := [path for path in names if list(names.values()).count(names[path]) > 1]:
        names |= {path: longer[path].pop(0) for path in doubled if longer[path]}
    return {inputs[path]: name for path, name in names.items()}


def tails(path: Path) -> list[str]:
    """The last part of an absolute path, the last two, ..., all."""
    parts = path.parts[1:]
    return ["/".join(parts[-length:]) for length in range(1, len(parts) + 1)]


def answered(args: argparse.Namespace, models: list[Any], options: dict[str, Any], path: Path, name: str) -> bool:
    """Predict for one input and write it, or tell what is wrong with it."""
    prediction = import_module(f"pipeline.evaluation.{args.family}.prediction")
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file; give an existing input")
        result = prediction.predict(models, path, **options)
    except (InputError, OSError) as mistake:
        print(f"error: {' '.join(str(mistake).split())}", file=sys.stderr, flush=True)
        return False
    written = write(result, args.out / name)
    print(f"{path}: {summary(result.metrics)} -> {written}", flush=True)
    return True


def write(result: Any, start: Path) -> Path:
    """Write ``<start>.json``, ``<start>_<picture>.png`` and ``<start>_<map>.fits``; the path of the first."""
    import matplotlib.pyplot as plt

    from pipeline.evaluation.common.result import write_json

    for picture in result.pictures:
        with atomic_file(Path(f"{start}_{picture.name}.png")) as temporary:
            picture.figure.savefig(temporary)
        plt.close(picture.figure)
    for name, hdus in result.hdus.items():
        with atomic_file(Path(f"{start}_{name}.fits")) as temporary:
            hdus.writeto(temporary)
    path = Path(f"{start}.json")
    with atomic_file(path) as temporary:
        write_json(result.metrics, temporary)
    return path


def summary(metrics: dict[str, Any]) -> str:
    """An answer in one line: each quantity with its interval and unit, each number, and how many warnings."""
    from pipeline.evaluation.common.result import short

    parts = []
    for name, value in metrics.items():
        match value:
            case {"value": middle, "low": low, "high": high, "unit": unit}:
                parts.append(f"{name} {short(middle)} ({short(low)} to {short(high)}) {unit}")
            case list() if value:
                parts.append(f"{name}: {len(value)}")
            case list() | str():
                pass
            case _:
                parts.append(f"{name} {float(value):.4g}")
    return ", ".join(parts)


if __name__ == "__main__":
    run(main)
