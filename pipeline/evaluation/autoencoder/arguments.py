"""What `python -m pipeline.predict autoencoder` is told; imports no torch."""

import argparse

from pipeline.inputs.arguments import add_pictures

HELP = "Redraw a picture, and say how large the error is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Pictures."""
    add_pictures(parser)
