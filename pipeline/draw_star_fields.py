"""Draws fields of stars with a mock cluster in each: reads ``star_fields`` of params.yaml.

Writes data/synthetic/star_fields/stars.csv, a row for each star: field, star, x and y (arcmin), v, colour B - V and
colour_error (mag), and member, 1 of the cluster, else 0. King-model mocks, not N-body runs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import run
from pipeline.outputs import atomic_folder
from pipeline.progress import track
from pipeline.settings.clusters import StarFields
from pipeline.settings.load import load_params

if TYPE_CHECKING:
    import polars as pl

OUT = Path("data/synthetic/star_fields")
DECIMALS = 6


def main(argv: Sequence[str] | None = None) -> None:
    """Draw every field; the k-th depends on the seed and on k alone."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.draw_star_fields", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    import polars as pl

    wanted = load_params(args.params).star_fields
    fields = track((table(wanted, k) for k in range(wanted.n_fields)), "drawing fields of stars", wanted.n_fields)
    with atomic_folder(OUT) as folder:
        pl.concat(list(fields)).write_csv(folder / "stars.csv", float_precision=DECIMALS)


def table(wanted: StarFields, k: int) -> "pl.DataFrame":
    """The stars of one field, brightest first."""
    import numpy as np
    import polars as pl

    from pipeline.simulation.clusters.star_cluster import draw_cluster, draw_parameters, log_uniform
    from pipeline.simulation.star_field import draw_star_field

    rng = np.random.default_rng(np.random.SeedSequence(wanted.seed, spawn_key=(k,)))
    field = draw_star_field(
        rng,
        wanted.n_stars,
        draw_cluster(rng, draw_parameters(rng, **wanted.cluster.intervals())),
        distance=log_uniform(rng, wanted.distance_kpc.low, wanted.distance_kpc.high),
        share=rng.uniform(wanted.share.low, wanted.share.high),
        half_width=log_uniform(rng, wanted.half_width.low, wanted.half_width.high),
        off_centre=wanted.off_centre,
        reddening=rng.uniform(wanted.reddening.low, wanted.reddening.high),
        colour_error=wanted.colour_error,
    )
    columns = {
        "field": np.full(wanted.n_stars, k),
        "star": np.arange(wanted.n_stars),
        "x": field.position[0],
        "y": field.position[1],
        "v": field.v,
        "colour": field.colour,
        "colour_error": field.colour_error,
        "member": field.member.astype(int),
    }
    return pl.DataFrame(columns)


if __name__ == "__main__":
    run(main)
