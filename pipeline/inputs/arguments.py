"""What each kind of input is told on the command line; imports nothing heavy."""

import argparse
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from pipeline.errors import InputError
from pipeline.inputs.calibration import CARDS
from pipeline.inputs.filters import TAKEN
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.pictures import SUFFIXES

MAPS = (".fits", ".fit", ".fts", ".fz", ".fits.gz", ".fits.bz2", ".npy")  # files taken from a folder


def add_pictures(parser: argparse.ArgumentParser, nargs: str = "+") -> None:
    """One or more pictures; with ``*`` as ``nargs``, or none."""
    parser.set_defaults(suffixes=SUFFIXES)
    parser.add_argument(
        "input",
        nargs=nargs,
        type=Path,
        help=f"picture or folder of them ({', '.join(SUFFIXES)}), colour or grey, any size",
    )


def add_maps(parser: argparse.ArgumentParser) -> None:
    """Maps of clusters, and what the header of a FITS file leaves open."""
    parser.set_defaults(suffixes=MAPS)
    parser.add_argument(
        "input",
        nargs="*",
        type=Path,
        help=".fits (also .gz, .fz), or .npy of log10 F/(Lsun kpc-2) in the pixels of the training maps, the cluster "
        "in the middle; or a folder of them",
    )
    fits = parser.add_argument_group("of FITS pictures", "each stands above what the header says")
    fits.add_argument("--g", type=Path, metavar="FILE", help="picture in g; with --r, in place of one file of both")
    fits.add_argument("--r", type=Path, metavar="FILE", help="picture in r of the same sky; brought to the pixels of g")
    fits.add_argument("--ext", metavar="NAME", help="name or number (0: primary) of the extension with the picture")
    fits.add_argument("--band", metavar="FILTER", help=f"filter: {TAKEN}")
    fits.add_argument(
        "--zeropoint",
        type=finite,
        metavar="MAG",
        help="magnitude of one count (of one a second where the unit is that), AB or Vega as the filter is used",
    )
    fits.add_argument(
        "--ebv",
        type=not_negative,
        metavar="MAG",
        help="reddening E(B-V) as the dust maps of Schlegel et al. (1998) give it; 0: none, or corrected already",
    )
    fits.add_argument("--fwhm", type=positive, metavar="ARCSEC", help="full width of a star at half of its height")
    fits.add_argument(
        "--center",
        type=position,
        metavar="'RA DEC'",
        help="of the cluster, in degrees or as 16:41:41.6 +36:27:37; default: the middle of the picture",
    )
    fits.add_argument(
        "--sky",
        choices=("keep", "subtract"),
        default="keep",
        help="what to do with an even light that lies beyond the field; default: %(default)s, and say so",
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = CARDS


def map_inputs(args: argparse.Namespace) -> list[Path]:
    """The maps named; of --g and --r one, named after the first.

    Raises:
        InputError: none is named, or both ways are mixed.
    """
    bands = [path for path in (args.g, args.r) if path is not None]
    if len(bands) == 1:
        raise InputError(f"{'--g' if args.g is None else '--r'} is missing: two pictures give a colour; give both")
    if bands and args.input:
        raise InputError(f"{args.input[0]} beside --g and --r: one answer at a time; leave out either")
    if bands and args.band:
        raise InputError(f"--band {args.band} beside --g and --r, which name the filters; leave it out")
    if bands and args.g == args.r:
        raise InputError(f"{args.g}: given as --g and as --r; give one file of both without them, or two files")
    if bands and not args.r.is_file():
        raise InputError(f"{args.r}: no such file; give an existing picture in r")
    if not bands and not args.input:
        raise InputError("no input; give a .fits or .npy, or --g and --r")
    return [args.g] if bands else args.input


def map_options(args: argparse.Namespace) -> dict[str, FitsOptions]:
    """What ``predict`` of the families of maps is given."""
    told = {each.name: getattr(args, each.name) for each in fields(FitsOptions)}
    files = {band: Path(told[band]) for band in ("g", "r") if told[band] is not None}
    return {"options": FitsOptions(**told | files)}


def finite(text: str) -> float:
    """A finite number.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return number(text, "no number", math.isfinite)


def not_negative(text: str) -> float:
    """A finite number, zero or above.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return number(text, "no number of at least zero", lambda value: 0 <= value < math.inf)


def positive(text: str) -> float:
    """A finite number above zero.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return number(text, "no number above zero", lambda value: 0 < value < math.inf)


def whole(most: int) -> Callable[[str], int]:
    """Reads whole numbers from 1 to ``most``; of others it raises argparse.ArgumentTypeError."""

    def read(text: str) -> int:
        return int(number(text, f"no whole number, 1 to {most}", lambda value: 1 <= value <= most and value % 1 == 0))

    return read


def share(text: str) -> float:
    """A number above 0 and below 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return number(text, "no number above 0 and below 1", lambda value: 0 < value < 1)


def number(text: str, complaint: str, good: Callable[[float], bool]) -> float:
    """A number that is good.

    Raises:
        argparse.ArgumentTypeError: it is not, with the complaint.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not good(value):
        raise argparse.ArgumentTypeError(f"{text!r} is {complaint}")
    return value


def port(text: str) -> int:
    """A number of a TCP port.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return int(number(text, "no port, 0 to 65535", lambda value: value in range(65536)))


def position(text: str) -> str:
    """A position on the sky, left as text.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    from pipeline.inputs.sky_grid import sky_position

    try:
        sky_position(text)
    except InputError as mistake:
        raise argparse.ArgumentTypeError(str(mistake)) from mistake
    return text
