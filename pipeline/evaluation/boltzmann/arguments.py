"""What `python -m pipeline.predict boltzmann` is told; imports no torch."""

import argparse

from pipeline.inputs.arguments import add_pictures

HELP = "Recall the right half of a picture from its left"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Pictures."""
    add_pictures(parser)
