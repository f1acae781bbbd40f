"""What `python -m pipeline.predict rbm` is told; imports no torch."""

import argparse
from pathlib import Path

from pipeline.errors import InputError
from pipeline.inputs.arguments import add_pictures, whole

HELP = "Recognise a picture, and grow artificial ones from it, from several, or from noise"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Pictures; how many artificial ones are to grow, from what and for how long."""
    add_pictures(parser, nargs="*")
    parser.add_argument(
        "--with",
        dest="parents",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="further originals: the artificial pictures of each input inherit from all of them as well",
    )
    parser.add_argument("--noise", action="store_true", help="begin as noise, with no original: give no input")
    parser.add_argument(
        "--samples", type=whole, default=12, metavar="N", help="artificial pictures of an answer; default: %(default)s"
    )
    parser.add_argument(
        "--sweeps", type=whole, default=500, metavar="N", help="Gibbs sweeps behind each; default: %(default)s"
    )


def inputs(args: argparse.Namespace) -> list[Path]:
    """The pictures named; of --noise the weights, for nothing else stands behind its answer.

    Raises:
        InputError: none is named, or both ways are mixed.
    """
    if args.noise and (args.input or args.parents):
        raise InputError(f"{[*args.input, *args.parents][0]} beside --noise, which needs no picture; leave out either")
    if args.noise:
        return [args.checkpoint or args.weights or Path("models/rbm.ckpt")]
    if not args.input:
        raise InputError("no input; give a picture, or --noise")
    return args.input
