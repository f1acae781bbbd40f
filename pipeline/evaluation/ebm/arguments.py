"""What `python -m pipeline.predict ebm` is told; imports no torch."""

import argparse
from pathlib import Path
from typing import Any

from pipeline.evaluation.ebm.known import UNITS, Measurements
from pipeline.inputs.arguments import add_maps, finite, map_inputs, map_options

HELP = "Posterior of distance, age and mass of a cluster, from its flux map"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Maps, what their headers may leave open, and what is known of the cluster."""
    add_maps(parser)
    known = parser.add_argument_group("known from elsewhere", "a value and its standard deviation; either or both")
    for name, unit in UNITS.items():
        known.add_argument(f"--{name}", type=finite, metavar=unit.upper(), help=f"of the cluster, {unit}")
        known.add_argument(f"--{name}-error", type=finite, metavar=unit.upper(), help=f"of --{name}, {unit}")


def inputs(args: argparse.Namespace) -> list[Path]:
    """The maps named.

    Raises:
        InputError: none is named, or half of what is known.
    """
    known(args)
    return map_inputs(args)


def options(args: argparse.Namespace) -> dict[str, Any]:
    """What ``predict`` is given."""
    return {**map_options(args), "known": known(args)}


def known(args: argparse.Namespace) -> Measurements:
    """Distance and age from elsewhere."""
    return Measurements(args.distance, args.distance_error, args.age, args.age_error)
