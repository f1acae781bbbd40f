"""Asks a trained model about your own pictures, maps or simulations: files, or folders of them.

Writes JSON, PNG and (for mass maps) FITS to --out, and a row for each input into <out>/summary.ecsv.
Each family has a help of its own: python -m pipeline.predict pidoc --help
In a browser, where files are dropped: python -m pipeline.predict --serve
From Python: load_models and predict of this module.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, one_line, readable, run, warn
from pipeline.prediction.answers import Summary, answer_names, in_one_line, write
from pipeline.prediction.provenance import provenance, stamp
from pipeline.prediction.trained import Trained, load_models
from pipeline.progress import track
from pipeline.training.registry import MODELS

if TYPE_CHECKING:
    from pipeline.evaluation.common.result import Result

COMMON = ("family", "input", "out", "checkpoint", "weights", "device", "suffixes")  # none is the family's own
TRIAL = "tiny"  # scale
TRIED = f"the weights were trained at scale {TRIAL}, which only tries the pipeline out: the answers mean nothing"
LONGEST = 240  # letters of a warning on the terminal; the JSON has all of it


def main(argv: Sequence[str] | None = None) -> None:
    """Predict for each input; one set of files an input, named after it. A bad input does not stop the others.

    Raises:
        InputError: no model can be loaded, or all is done but an input was bad.
    """
    argv = sys.argv[1:] if argv is None else argv
    if "--serve" in argv:
        from pipeline.serving.server import main as serve

        return serve(argv)
    args = make_parser().parse_args(argv)
    args.input, empty = every_file(args)
    names = answer_names(family_inputs(args))
    summary = Summary(args.out / "summary.ecsv")
    models = load_models(args.family, args.checkpoint, args.device, weights=args.weights)
    if models.scale == TRIAL:
        warn(TRIED)
    told: set[str] = set()
    inputs = track(names.items(), "predicting", len(names)) if len(names) > 1 else names.items()
    failed = empty
    try:
        for path, name in inputs:
            failed += not answered(args, models, path, name, summary, told)
            summary.write_if_due()
    finally:
        summary.write()
    if failed:
        raise InputError(f"{failed} of {len(names) + empty} inputs had no answer; see above")


# --- the command line ---------------------------------------------------------------------------


def make_parser() -> argparse.ArgumentParser:
    """A subcommand for each family of models.yaml that has an ``arguments.py``, with what that adds."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(  # only told of here: main looks for it first
        "--serve", action="store_true", default=argparse.SUPPRESS, help="answer in a browser; see --serve --help"
    )
    commands = parser.add_subparsers(dest="family", required=True, metavar="FAMILY")
    for family in families():
        declared = declaration(family)
        command = commands.add_parser(family, help=declared.HELP, description=f"{declared.HELP}.")
        command.set_defaults(suffixes=("",))  # of the files that are taken from a folder; families narrow it
        declared.add_arguments(command)
        command.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the answers")
        source = command.add_mutually_exclusive_group()
        source.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights in place of the pipeline's own")
        source.add_argument("--weights", type=Path, metavar="FILE", help="archive of make weights; needs no training")
        command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    return parser


def families() -> list[str]:
    """Those of models.yaml that answer questions."""
    names = dict.fromkeys(model.family for model in MODELS.values())
    return [name for name in names if find_spec(f"pipeline.evaluation.{name}.arguments")]


def declaration(family: str) -> Any:
    """The family's ``arguments.py``: ``HELP``, ``add_arguments(parser)`` and, if it needs them, two hooks.

    ``inputs(args) -> list[Path]`` gives one path an answer, ``options(args) -> dict`` the keywords of its ``predict``.
    """
    return import_module(f"pipeline.evaluation.{family}.arguments")


def every_file(args: argparse.Namespace) -> tuple[list[Path], int]:
    """The files of all inputs, and the number of folders that hold none: they do not stop the others.

    Raises:
        InputError: there are folders and no file.
    """
    found: list[Path] = []
    mistakes: list[InputError] = []
    for path in args.input:
        try:
            found += files(path, args.suffixes, args.out)
        except InputError as mistake:
            mistakes.append(mistake)
    if mistakes and not found:
        raise mistakes[0]
    for each in mistakes:
        print(f"error: {one_line(each)}", file=sys.stderr, flush=True)
    return found, len(mistakes)


def files(path: Path, suffixes: tuple[str, ...], out: Path) -> list[Path]:
    """A file itself; of a folder all files at any depth that end in a suffix of the family.

    Hidden ones, and the answers of earlier runs in ``out``, are left out; so are others, of which a warning tells.

    Raises:
        InputError: the folder has none.
    """
    if not path.is_dir():
        return [path]
    inside = [file for file in sorted(path.rglob("*")) if file.is_file()]
    shown = [file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    outside = [file for file in shown if out.absolute() not in file.absolute().parents]
    found = [file for file in outside if file.name.lower().endswith(suffixes)]
    if not found:
        raise InputError(f"{path}: no input in this folder outside --out; give files that end in {', '.join(suffixes)}")
    if others := sorted(set(outside) - set(found)):
        warn(f"{path}: left out for their suffix: {len(others)}, such as {others[0].name}; name those that you mean")
    return found


def family_inputs(args: argparse.Namespace) -> list[Path]:
    """One path an answer: what the family's ``inputs`` makes of the arguments; all of ``input`` where it has none."""
    declared = declaration(args.family)
    inputs: list[Path] = declared.inputs(args) if hasattr(declared, "inputs") else args.input
    return inputs


def family_options(family: str, args: argparse.Namespace) -> dict[str, Any]:
    """Keywords of the family's ``predict``: what its ``options`` makes of the arguments; else each that is its own."""
    declared = declaration(family)
    if hasattr(declared, "options"):
        options: dict[str, Any] = declared.options(args)
        return options
    return own(args)


def own(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments that not every family has."""
    return {name: value for name, value in vars(args).items() if name not in COMMON}


# --- answers ------------------------------------------------------------------------------------


def predict(models: Trained, path: Path | str, **options: Any) -> "Result":
    """What the models say of one input, with where the answer comes from in ``metrics["provenance"]`` and each FITS.

    Args:
        models: of :func:`load_models`.
        path: the input.
        options: those of the command line, as keywords: ``fwhm=1.2`` for ``--fwhm 1.2``.

    Raises:
        InputError: the input cannot be used.
        TypeError: the family has no such option.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give an existing input")
    parser = argparse.ArgumentParser()
    declaration(models.family).add_arguments(parser)
    args = parser.parse_args(["--", os.fspath(path)])
    defaults = own(args)
    if unknown := set(options) - set(defaults):
        raise TypeError(f"{models.family} has no option {', '.join(sorted(unknown))}; it has {', '.join(defaults)}")
    vars(args).update(options)
    prediction = import_module(f"pipeline.evaluation.{models.family}.prediction")
    result: Result = prediction.predict(models.modules, path, **family_options(models.family, args))
    given = {name: value for name, value in options.items() if value != defaults[name]}
    result.metrics["provenance"] = provenance(path, models, given)
    stamp(result)
    return result


def answered(
    args: argparse.Namespace, models: Trained, path: Path, name: str, summary: Summary, told: set[str]
) -> bool:
    """Predict for one input and write it, or tell what is wrong with it; each warning is told once in a run."""
    import matplotlib.pyplot as plt

    try:
        result = predict(models, path, **own(args))
        written = write(result, args.out / name, path)
    except (InputError, OSError) as mistake:
        message = one_line(mistake)
        print(f"error: {message}", file=sys.stderr, flush=True)
        summary.add_failure(path, message)
        return False
    finally:
        plt.close("all")
    for text in result.metrics.get("warnings", []):
        if text not in told:
            warn(f"{readable(path.name)}: {text if len(text) <= LONGEST else text[: LONGEST - 4] + ' ...'}")
            told.add(text)
    summary.add(path, written, result.metrics)
    print(f"{readable(path)}: {in_one_line(result.metrics)} -> {readable(written)}", flush=True)
    return True


if __name__ == "__main__":
    run(main)
