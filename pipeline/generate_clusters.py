"""Draws mock globular clusters: reads ``clusters`` of params.yaml, writes data/synthetic/cluster_maps/.

The raw maps light.npy (Lsun,V) and mass.npy (Msun), float32 (maps, pixels, pixels), are sums per pixel before any
instrument; catalogue.csv has a row for each. King-model mocks, not N-body runs. Done clusters wait in
runs/generate_clusters/, so that a killed run goes on where it was.
"""

import argparse
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import run
from pipeline.outputs import atomic_file, atomic_folder
from pipeline.params import Clusters, Range, Runtime, load_params

if TYPE_CHECKING:
    import numpy as np

    from pipeline.simulation.star_cluster import ClusterParameters

OUT = Path("data/synthetic/cluster_maps")
MAPS = ("light.npy", "mass.npy")
BLOCK = 10  # clusters done at once
CODE = (
    "generate_clusters.py", "simulation/star_cluster.py", "simulation/stars.py", "simulation/telescope.py",
    "simulation/data/stars.npz", "simulation/data/king_profiles.npz",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.generate_clusters", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    params = load_params(arguments.params)
    generate(params.clusters, params.runtime)


def generate(clusters: Clusters, runtime: Runtime) -> None:
    """Draw every cluster that no earlier run has left behind, then put the maps in their place."""
    import joblib
    import numpy as np
    from rich.console import Console
    from rich.progress import track

    scratch = Path("runs/generate_clusters") / _fingerprint(clusters)
    arrays = [scratch / name for name in MAPS]
    if not all(array.exists() for array in arrays):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        shape = (clusters.n_maps, clusters.pixels, clusters.pixels)
        for array in arrays:
            np.lib.format.open_memmap(array, mode="w+", dtype=np.float32, shape=shape)
    blocks = [range(first, min(first + BLOCK, clusters.n)) for first in range(0, clusters.n, BLOCK)]
    rows = [scratch / f"{block.start:09d}.csv" for block in blocks]
    todo = [(block, file) for block, file in zip(blocks, rows, strict=True) if not file.exists()]
    with joblib.parallel_config(backend=runtime.parallel_backend, n_jobs=min(runtime.workers, max(1, len(todo)))):
        jobs = (joblib.delayed(draw_block)(clusters, block, file) for block, file in todo)
        done = joblib.Parallel(return_as="generator_unordered")(jobs)
        for _ in track(done, "drawing clusters", total=len(todo), console=Console(stderr=True), disable=len(todo) < 2):
            pass
    with atomic_folder(OUT) as folder:
        with (folder / "catalogue.csv").open("w") as catalogue:
            catalogue.write(",".join(COLUMNS) + "\n")
            catalogue.writelines(file.read_text() for file in rows)
        for array in arrays:
            os.replace(array, folder / array.name)
    shutil.rmtree(scratch)


def draw_block(clusters: Clusters, block: range, file: Path) -> None:
    """Draw the clusters numbered ``block``: fill their rows of the maps, then write their rows of the catalogue."""
    import numpy as np

    light, mass = (np.load(file.parent / name, mmap_mode="r+") for name in MAPS)
    with atomic_file(file) as path, path.open("w") as catalogue:
        for number in block:
            for row, image in draw(clusters, number):
                light[row["map"]], mass[row["map"]] = image
                catalogue.write(",".join(f"{v:.7g}" if isinstance(v, float) else str(v) for v in row.values()) + "\n")


COLUMNS = (
    "map", "cluster", "split", "projection", "distance_kpc", "age_gyr", "metallicity", "initial_stars", "stars",
    "mass_msun", "luminosity_v", "mass_to_light", "mass_lost", "orbit_kpc", "half_mass_radius_pc", "w0", "truncation",
    "segregation", "neutron_stars", "black_holes", "shift_x_arcsec", "shift_y_arcsec",
)  # fmt: skip


def draw(clusters: Clusters, number: int) -> "Iterator[tuple[dict[str, object], np.ndarray]]":
    """Rows of the catalogue and raw maps (2, pixels, pixels) of a cluster; they depend on the seed and its number."""
    import numpy as np

    from pipeline.simulation.star_cluster import draw_cluster
    from pipeline.simulation.telescope import bin_stars, random_view, sky_position

    priors = clusters.prior
    rng = np.random.default_rng(np.random.SeedSequence(clusters.seed, spawn_key=(number,)))
    split, first, maps = clusters.place(number)
    drawn = draw_parameters(rng, clusters)
    cluster = draw_cluster(rng, drawn)
    mass, luminosity = float(cluster.mass.sum()), float(cluster.luminosity_v.sum())
    weight = np.stack([cluster.luminosity_v, cluster.mass])
    for k in range(maps):
        distance = clusters.test_distances[k] if split == "test" else float(rng.uniform(priors.distance_kpc.low, priors.distance_kpc.high))
        radius, angle = priors.shift_arcsec * np.sqrt(rng.random()), 2 * np.pi * rng.random()
        shift = radius * np.array([np.cos(angle), np.sin(angle)])
        offset = sky_position(cluster.position, random_view(rng), distance, shift)
        values = (
            first + k, number, split, k, distance, drawn.age, drawn.metallicity, drawn.stars, len(cluster.mass),
            mass, luminosity, mass / luminosity, drawn.lost, drawn.orbit, drawn.half_mass_radius, drawn.w0,
            drawn.truncation, float(cluster.segregation), drawn.neutron_stars, drawn.black_holes, *map(float, shift),
        )  # fmt: skip
        yield dict(zip(COLUMNS, values, strict=True)), bin_stars(offset, weight, clusters.pixels)


def draw_parameters(rng: "np.random.Generator", clusters: Clusters) -> "ClusterParameters":
    """Parameters of a cluster that has not dissolved: its orbit is wide enough for its age."""
    import numpy as np

    from pipeline.simulation.star_cluster import ClusterParameters, dissolution_time

    priors = clusters.prior

    def uniform(interval: Range) -> float:
        return float(rng.uniform(interval.low, interval.high))

    def log_uniform(interval: Range) -> float:
        return float(np.exp(rng.uniform(np.log(interval.low), np.log(interval.high))))

    age, stars = uniform(priors.age_gyr), round(log_uniform(priors.stars))
    narrowest = age / (priors.most_lost * dissolution_time(stars, 1.0))
    orbit = Range(low=max(priors.orbit_kpc.low, narrowest), high=max(priors.orbit_kpc.high, narrowest))
    return ClusterParameters(
        stars=stars,
        age=age,
        metallicity=log_uniform(priors.metallicity),
        orbit=log_uniform(orbit),
        half_mass_radius=log_uniform(priors.half_mass_radius_pc),
        w0=uniform(priors.w0),
        truncation=uniform(priors.truncation),
        neutron_stars=uniform(priors.neutron_stars),
        black_holes=uniform(priors.black_holes),
    )


def _fingerprint(clusters: Clusters) -> str:
    """Hash of everything that the bytes depend on."""
    digest = hashlib.sha256(clusters.model_dump_json().encode())
    for name in CODE:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    run(main)
