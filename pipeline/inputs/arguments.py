"""What each kind of input is told on the command line; imports nothing heavy."""

import argparse
import math
from pathlib import Path

from pipeline.inputs.header import BANDS, CARDS
from pipeline.inputs.pictures import SUFFIXES

MAPS = (".fits", ".fit", ".fts", ".fz", ".fits.gz", ".fits.bz2", ".npy")  # files taken from a folder
TABLES = (".csv",)


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """One or more pictures."""
    parser.set_defaults(suffixes=SUFFIXES)
    parser.add_argument(
        "input",
        nargs="+",
        type=Path,
        help=f"picture or folder of them ({', '.join(SUFFIXES)}), colour or grey, any size",
    )


def add_tables(parser: argparse.ArgumentParser) -> None:
    """One or more tables of star systems."""
    parser.set_defaults(suffixes=TABLES)
    columns = "N_sim,N_star,time_step,x,y,z,vx,vy,vz and mass or charge where stars differ"
    parser.add_argument(
        "input", nargs="+", type=Path, help=f".csv with the columns {columns}, or folder of them; one output is enough"
    )


def add_maps(parser: argparse.ArgumentParser) -> None:
    """One or more maps of a cluster, and what the header of a FITS file may leave open."""
    parser.set_defaults(suffixes=MAPS)
    parser.add_argument(
        "input",
        nargs="+",
        type=Path,
        help=".fits, or .npy of log10 F/(Lsun kpc-2) in the pixels of the training maps, or folder of them; "
        "the cluster in the middle",
    )
    parser.add_argument("--band", choices=BANDS, help="filter of a FITS picture without a card FILTER")
    parser.add_argument(
        "--psf-fwhm", type=positive, metavar="ARCSEC", help="width of a star in a FITS picture without a card PSFFWHM"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = CARDS


def positive(text: str) -> float:
    """A number above zero.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")
    return value
