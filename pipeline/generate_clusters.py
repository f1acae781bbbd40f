"""Draws mock globular clusters: reads ``clusters`` of params.yaml, writes data/synthetic/cluster_maps/.

light.npy, V luminosity per pixel before any telescope, float16 (maps, pixels + 2 margin, same), in units of 16 Lsun,V;
mass.npy, log10 M/Msun per pixel, smoothed, float16 (maps, pixels, pixels); catalogue.csv with a row for each map.
King-model mocks, not N-body runs. Done blocks of clusters wait in runs/generate_clusters/, so that a killed run goes on
where it was.
"""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file, atomic_folder, fingerprint, link, reserve
from pipeline.parallel import in_parallel
from pipeline.settings.clusters import Clusters
from pipeline.settings.load import load_params
from pipeline.settings.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np

    from pipeline.simulation.clusters.star_cluster import StarCluster

OUT = Path("data/synthetic/cluster_maps")
MAPS = ("light.npy", "mass.npy")
OF_THE_IMPORT = (
    "source",
    "val_fraction",
    "calibration_fraction",
    "test_fraction",
)  # parameters of import_clusters alone
BLOCK = 10  # clusters done at once
LEAST_LIGHT = 0.1  # Lsun,V in the field: what shows less is no picture of a cluster, and is drawn again
TRIES = 100  # of it
CODE = (
    "generate_clusters.py",
    "simulation/clusters/star_cluster.py",
    "simulation/clusters/stars.py",
    "simulation/clusters/telescope.py",
    "simulation/clusters/data/stars.npz",
    "simulation/clusters/data/king_profiles.npz",
    "simulation/clusters/mass_function.py",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.generate_clusters", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    params = load_params(arguments.params)
    generate(params.clusters, params.runtime)


def generate(clusters: Clusters, runtime: Runtime) -> None:
    """Draw every cluster that no earlier run has left behind, then put the maps in their place."""
    import polars as pl

    scratch = scratch_folder(clusters)
    _make_maps(scratch, clusters)
    blocks = [range(first, min(first + BLOCK, clusters.n)) for first in range(0, clusters.n, BLOCK)]
    files = [scratch / f"{block.start:09d}.csv" for block in blocks]
    todo = [(clusters, block, file) for block, file in zip(blocks, files, strict=True) if not file.exists()]
    for _ in in_parallel(draw_block, todo, runtime, "drawing clusters"):
        pass
    with atomic_folder(OUT) as folder:
        pl.concat([pl.read_csv(file) for file in files]).write_csv(folder / "catalogue.csv")
        for name in MAPS:
            link(scratch / name, folder / name)
    shutil.rmtree(scratch)


def scratch_folder(clusters: Clusters) -> Path:
    """Where the blocks wait that are done."""
    code = (Path(__file__).parent / name for name in CODE)
    drawn = clusters.model_dump_json(exclude=set(OF_THE_IMPORT))
    return Path("runs/generate_clusters").resolve() / fingerprint(drawn, code)


def _make_maps(scratch: Path, clusters: Clusters) -> None:
    """Make room on disk for all maps, unless an earlier run has begun to fill it."""
    import numpy as np

    if all((scratch / name).exists() for name in MAPS):
        return
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name, side in zip(MAPS, (clusters.pixels + 2 * clusters.margin, clusters.pixels), strict=True):
        with atomic_file(scratch / name) as path:
            maps = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(clusters.n_maps, side, side))
            reserve(path, maps.offset + maps.nbytes)


def draw_block(clusters: Clusters, block: range, file: Path) -> None:
    """Draw the clusters numbered ``block``: fill their rows of the maps, then write their rows of the catalogue.

    Raises:
        InputError: a pixel is brighter than the files can hold.
    """
    import numpy as np
    import polars as pl

    from pipeline.simulation.clusters.telescope import BRIGHTEST, gaussian_psf, stored

    light, mass = (np.load(file.parent / name, mmap_mode="r+") for name in MAPS)
    psf = gaussian_psf(clusters.mass_psf_sigma)
    rows = []
    for number in block:
        for row, (stars_light, stars_mass) in draw(clusters, number):
            k = row["map"]
            if stars_light.max() > BRIGHTEST:
                raise InputError(
                    f"clusters: cluster {number} has {stars_light.max():.3g} Lsun in a pixel, more than can be stored; "
                    "lower initial_stars or raise half_mass_radius_pc"
                )
            light[k], mass[k] = stored(stars_light, stars_mass, psf, clusters.pixels, clusters.mass_floor)
            rows.append({name: float(f"{v:.7g}") if isinstance(v, float) else v for name, v in row.items()})
    with atomic_file(file) as path:
        pl.DataFrame(rows).write_csv(path)


def draw(clusters: Clusters, number: int) -> "Iterator[tuple[dict[str, object], np.ndarray]]":
    """Rows of the catalogue, and the light (Lsun,V) and mass (Msun) per pixel (2, H, H) with margins, of one cluster.

    They depend on the seed and the cluster's number alone. Each map has its own direction of view, shift and distance;
    a test cluster is seen once from each of the test distances. A near and loose cluster may have no star in the field.

    Raises:
        InputError: it has none in any of many fields.
    """
    import numpy as np

    from pipeline.simulation.clusters.star_cluster import draw_cluster, draw_parameters

    rng = np.random.default_rng(np.random.SeedSequence(clusters.seed, spawn_key=(clusters.stream(number),)))
    parameters = draw_parameters(rng, **clusters.chosen.intervals())
    cluster = draw_cluster(rng, parameters)
    mass, light = float(cluster.mass.sum()), float(cluster.luminosity_v.sum())
    split, first, maps = clusters.place(number)
    for k in range(maps):
        fixed = clusters.test_distances[k] if split == "test" else None
        distance, shift, image = view(rng, clusters, cluster, fixed)
        if image is None:
            raise InputError(
                f"clusters: no star of cluster {number} is seen in {TRIES} fields; raise distance_kpc or initial_stars"
            )
        row = {
            "map": first + k,
            "cluster": number,
            "split": split,
            "projection": k,
            "distance_kpc": distance,
            "stars": len(cluster.mass),
            "mass_msun": mass,
            "luminosity_v": light,
            "mass_to_light": mass / light,
            "mass_lost": parameters.mass_lost,
            "segregation": float(cluster.segregation),
            "shift_x_arcsec": float(shift[0]),
            "shift_y_arcsec": float(shift[1]),
        }
        yield row | asdict(parameters), image


def view(
    rng: "np.random.Generator", clusters: Clusters, cluster: "StarCluster", fixed_distance: float | None
) -> "tuple[float, np.ndarray, np.ndarray | None]":
    """Distance (kpc), shift (2,) in arcsec, and light and mass per pixel (2, H, H) of a cluster seen at random.

    The image is None where many fields in turn show less than ``LEAST_LIGHT``.
    """
    import numpy as np

    from pipeline.simulation.clusters.star_cluster import log_uniform
    from pipeline.simulation.clusters.telescope import bin_stars, random_shift, random_view, sky_position

    priors = clusters.chosen
    spread = rng.uniform if priors.distance_spread == "uniform" else partial(log_uniform, rng)
    weight = np.stack([cluster.luminosity_v, cluster.mass])
    field = slice(clusters.margin, clusters.margin + clusters.pixels)
    for _ in range(TRIES):
        distance = spread(priors.distance_kpc.low, priors.distance_kpc.high)
        if fixed_distance is not None:
            distance = fixed_distance
        shift = random_shift(rng, priors.shift_arcsec)
        offset = sky_position(cluster.position, random_view(rng), distance, shift)
        image = bin_stars(offset, weight, clusters.pixels + 2 * clusters.margin)
        if image[0, field, field].sum() >= LEAST_LIGHT:
            return distance, shift, image
    return distance, shift, None


if __name__ == "__main__":
    run(main)
