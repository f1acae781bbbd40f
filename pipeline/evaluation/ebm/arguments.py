"""What `python -m pipeline.predict ebm` is told; imports no torch."""

import argparse

from pipeline.inputs.arguments import add_maps, map_inputs, map_options

HELP = "Posterior of distance and age of a cluster, from its flux map"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Maps, and what their headers may leave open."""
    add_maps(parser)


inputs, options = map_inputs, map_options  # how pipeline.predict reads them
