"""Boltzmann machines beside published tables and other packages: exact where the sum over states can be made.

Log-likelihoods are in nats a picture. MNIST (mnist.npz, pixels of at least half the light lit) is read from the folder
mnist of STAR_CLUSTER_DATA. Run after `dvc repro`, on one thread; speed also times `rbms` where it is installed
(`pip install rbms==0.5.0`): python -m benchmarks.boltzmann
"""

import argparse
from importlib import import_module

import torch

from benchmarks.results import write_results
from pipeline.errors import run

PARTS = {  # function that returns the rows
    "mnist16": "boltzmann_mnist.mnist16",
    "mnist500": "boltzmann_mnist.mnist500",
    "digits": "boltzmann_mnist.digits",
    "bars": "boltzmann_bars.bars",
    "ais": "boltzmann_chains.bounds",
    "mixing": "boltzmann_chains.mixing",
    "speed": "boltzmann_speed.speed",
    "large": "boltzmann_speed.large",
    "pictures": "boltzmann_pictures.pictures",
    "two_sample": "boltzmann_pictures.two_sample",
}


def main() -> None:
    """Measure the parts and write their rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.boltzmann", description=__doc__)
    parser.add_argument("--part", choices=PARTS, help="measure this one alone; the file keeps the rows of the others")
    parser.add_argument("--quick", action="store_true", help="little training: does it run? writes no file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for part in (args.part,) if args.part else PARTS:
        file, function = PARTS[part].split(".")
        rows = getattr(import_module(f"benchmarks.{file}"), function)(args.quick)
        write_results("boltzmann", rows, args.quick, part=part)


if __name__ == "__main__":
    run(main)
