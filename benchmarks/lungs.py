"""The lungs' network beside principal components: real X-rays held out by patient, digits, folders of your own.

X-rays are those of the folders covid and healthy in the folder lungs of STAR_CLUSTER_DATA, which come from different
hospitals: no error here is a diagnosis. Errors are mean squares of a pixel, grey levels from 0 to 1. Run it on a quiet
machine: python -m benchmarks.lungs
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks import lungs_anomaly, lungs_mnist, lungs_xrays
from benchmarks.results import Row, print_table, write_results
from pipeline.errors import InputError, run

PARTS: dict[str, Callable[[bool], list[Row]]] = {
    "xrays": lungs_xrays.xrays,
    "codes": lungs_xrays.codes,
    "cross": lungs_xrays.both_ways,
    "time": lungs_xrays.seconds,
    "mnist": lungs_mnist.mnist,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the parts, or folders of your own, and write their rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lungs", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--part", choices=PARTS, help="measure this one alone; the file keeps the rows of the others")
    what.add_argument("--train", type=Path, metavar="DIR", help="folder of pictures to learn; only prints")
    parser.add_argument("--test", type=Path, metavar="DIR", help="folder of pictures to redraw; only prints")
    what.add_argument("--anomaly", type=Path, metavar="DIR", help="data set as MedIAnomaly lays it out; only prints")
    parser.add_argument("--quick", action="store_true", help="few epochs: does it run? writes no file")
    args = parser.parse_args(argv)
    if (args.train is None) != (args.test is None):
        raise InputError("--train and --test: one folder each; name both")
    if args.train:
        print_table("lungs", lungs_xrays.cross(args.train, args.test, args.quick))
        return
    if args.anomaly:
        print_table("lungs", lungs_anomaly.anomaly(args.anomaly, args.quick))
        return
    for part in (args.part,) if args.part else PARTS:
        torch.set_num_threads(1)
        write_results("lungs", PARTS[part](args.quick), args.quick, part=part)


if __name__ == "__main__":
    run(main)
