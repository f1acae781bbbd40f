"""What `python -m pipeline.predict rbm` is told; imports no torch."""

import argparse
from pathlib import Path

from pipeline.errors import InputError
from pipeline.inputs.arguments import add_pictures, whole

HELP = "Recognise a picture, and grow artificial ones from it, from several, or from noise"
SAMPLES, SWEEPS = 1000, 100_000  # at most


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
        help="further originals, of which the artificial pictures of each input inherit too; inputs stand before",
    )
    parser.add_argument("--noise", action="store_true", help="begin as noise: give no input; weights name the answer")
    parser.add_argument(
        "--samples",
        type=whole(SAMPLES),
        default=12,
        metavar="N",
        help=f"artificial pictures of an answer, at most {SAMPLES}; default: %(default)s",
    )
    parser.add_argument(
        "--sweeps",
        type=whole(SWEEPS),
        default=500,
        metavar="N",
        help=f"Gibbs sweeps behind each, at most {SWEEPS}; default: %(default)s",
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
