"""What `python -m pipeline.predict boltzmann` is told; imports no torch."""

import argparse

from pipeline.inputs.arguments import add_pictures, share

HELP = "Recall the right half of a picture from its left, or clean a noisy picture"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Pictures, and whether they are noisy."""
    add_pictures(parser)
    parser.add_argument(
        "--clean",
        type=share,
        metavar="SHARE",
        help="clean the picture instead: this share of its pixels, such as 0.2, shows any grey",
    )
