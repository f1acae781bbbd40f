"""What `python -m pipeline.predict gnn` is told; imports no torch."""

import argparse

from pipeline.inputs.arguments import add_tables

HELP = "Forecast star systems from their first state, and compare with the rest of the file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tables of star systems."""
    add_tables(parser)
