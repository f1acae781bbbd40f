"""What `python -m pipeline.predict rbm` is told; imports no torch."""

import argparse

from pipeline.inputs.arguments import add_pictures

HELP = "Recognise a picture, and grow artificial ones from it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Pictures."""
    add_pictures(parser)
