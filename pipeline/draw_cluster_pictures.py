"""Draws colour pictures of mock globular clusters: reads ``cluster_pictures`` of params.yaml.

Writes data/synthetic/globular_clusters/*.png, RGB. King-model mocks, not N-body runs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import run
from pipeline.outputs import atomic_folder
from pipeline.parallel import in_parallel
from pipeline.settings.clusters import ClusterPictures, Range
from pipeline.settings.load import load_params

if TYPE_CHECKING:
    import numpy as np

    from pipeline.simulation.clusters.star_cluster import StarCluster

OUT = Path("data/synthetic/globular_clusters")
BANDS = (640.0, 551.0, 445.0)  # nm: R, V and B stand for red, green and blue
EDGE = 40  # pixels beyond the picture whose stars still glow into it


def main(argv: Sequence[str] | None = None) -> None:
    """Draw every picture; the k-th depends on the seed and on k alone."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.draw_cluster_pictures", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    params = load_params(arguments.params)

    wanted = params.cluster_pictures
    with atomic_folder(OUT) as folder:
        jobs = [(wanted, folder, k) for k in range(wanted.n_pictures)]
        for _ in in_parallel(draw, jobs, params.runtime, "drawing pictures"):
            pass


def draw(wanted: ClusterPictures, folder: Path, k: int) -> None:
    """Write one picture as ``mock_<k>.png``."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(np.random.SeedSequence(wanted.seed, spawn_key=(k,)))
    Image.fromarray(picture(rng, wanted)).save(folder / f"mock_{k:03d}.png")


def picture(rng: "np.random.Generator", wanted: ClusterPictures) -> "np.ndarray":
    """An RGB picture (size, size, 3) of a new cluster with its own distance, sky, camera and exposure."""
    import numpy as np
    from scipy.signal import fftconvolve

    from pipeline.simulation.clusters.star_cluster import draw_cluster, draw_parameters
    from pipeline.simulation.clusters.stars import flux, flux_of_magnitude
    from pipeline.simulation.clusters.telescope import bin_stars, lupton, moffat_psf, random_view, sky_position

    def uniform(interval: Range) -> float:
        return rng.uniform(interval.low, interval.high)

    cluster = draw_cluster(rng, draw_parameters(rng, **wanted.cluster.intervals()))
    distance = uniform(wanted.distance_kpc)
    offset = sky_position(cluster.position, random_view(rng), distance, np.zeros(2))
    pixel = 2 * uniform(wanted.half_width) * float(np.median(np.hypot(*offset))) / wanted.size
    pixels = wanted.size + 2 * EDGE
    image = bin_stars(offset, flux(light(rng, cluster, uniform(wanted.blue_branch)), distance), pixels, pixel)
    image += field_stars(rng, uniform(wanted.field_stars), pixels, pixel)
    psf = moffat_psf(uniform(wanted.seeing_pixels), 3.0, EDGE)
    image = np.stack([fftconvolve(band, psf, mode="valid") for band in image])

    unit = flux_of_magnitude(uniform(wanted.one_electron))
    sky = flux_of_magnitude(uniform(wanted.sky)) * pixel**2
    noise = float(np.sqrt(sky * unit))
    exposed = rng.poisson(np.maximum(image + sky, 0) / unit) * unit - sky
    white = float(np.quantile(image.mean(0), uniform(wanted.white)))
    balance = 1 + uniform(wanted.tint) * rng.standard_normal((3, 1, 1))
    return lupton(balance * exposed + 0.5 * noise, soft=uniform(wanted.soft) * noise, white=white)


def light(rng: "np.random.Generator", cluster: "StarCluster", blue_branch: float) -> "np.ndarray":
    """Luminosity of each star in the three bands, (3, stars), in suns.

    On the horizontal branch the table's stars have one temperature; real ones spread to the blue by how much of their
    envelope they have lost, here by up to ``blue_branch`` dex.
    """
    import numpy as np

    from pipeline.simulation.clusters.stars import HELIUM_CORE, band_ratio, v_luminosity

    stars = cluster.isochrone
    temperature = np.interp(cluster.initial_mass, stars.initial_mass, stars.temperature)
    luminosity = np.interp(cluster.initial_mass, stars.initial_mass, stars.luminosity)
    branch = stars.kind_of(cluster.initial_mass) == HELIUM_CORE
    temperature[branch] *= 10 ** rng.uniform(0, blue_branch, branch.sum())
    return v_luminosity(luminosity, temperature) * np.stack([band_ratio(temperature, band) for band in BANDS])


def field_stars(rng: "np.random.Generator", density: float, pixels: int, pixel: float) -> "np.ndarray":
    """Flux of stars of the Milky Way, (3, pixels, pixels), ``density`` of them in a square arcmin down to V = 18."""
    import numpy as np

    from pipeline.simulation.clusters.stars import band_ratio, flux_of_magnitude
    from pipeline.simulation.clusters.telescope import bin_stars

    side = pixels * pixel
    n = rng.poisson(density * (side / 60) ** 2)
    magnitude = np.maximum(18 + np.log10(rng.random(n)) / 0.3, 8)
    temperature = 10 ** rng.normal(3.72, 0.07, n)
    flux = flux_of_magnitude(magnitude) * np.stack([band_ratio(temperature, band) for band in BANDS])
    return bin_stars(rng.uniform(-side / 2, side / 2, (2, n)), flux, pixels, pixel)


if __name__ == "__main__":
    run(main)
