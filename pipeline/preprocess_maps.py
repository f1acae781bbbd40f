"""Puts the telescope before the raw maps: reads data/synthetic/cluster_maps/ and ``maps`` of params.yaml.

Writes data/clusters/flux.npy, log10 F/(Lsun kpc⁻²), mass.npy, log10 M/Msun per pixel, float16 (maps, pixels, pixels),
statistics.npy, those of each flux map, float32 (maps, statistics), and catalogue.csv with a row for each map, its split
and field_log_mass, log10 of the mass in the field.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_folder
from pipeline.settings.clusters import Maps
from pipeline.settings.load import load_params

if TYPE_CHECKING:
    import numpy as np

RAW = Path("data/synthetic/cluster_maps")
OUT = Path("data/clusters")
BLOCK = 100  # maps done at once


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.preprocess_maps", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    params = load_params(arguments.params)

    import numpy as np
    import polars as pl
    from joblib import Parallel, delayed, parallel_config

    from lit_modules.networks.pidoc.statistics import LENGTH

    maps = params.maps
    try:
        catalogue = pl.read_csv(RAW / "catalogue.csv")
        distance = catalogue["distance_kpc"].to_numpy()
        raw = np.load(RAW / "light.npy", mmap_mode="r")
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{RAW}: no raw maps to read ({error}); run generate_clusters") from error
    needed = maps.pixels + 2 * int(np.ceil(4 * maps.psf_sigma))
    if raw.shape[1] < needed:
        raise InputError(
            f"clusters.pixels is {raw.shape[1]}, but maps.pixels and maps.psf_sigma need {needed}; raise it"
        )
    shape = (len(distance), maps.pixels, maps.pixels)
    blocks = [range(first, min(first + BLOCK, len(distance))) for first in range(0, len(distance), BLOCK)]
    with atomic_folder(OUT) as folder:
        for name in ("flux.npy", "mass.npy"):
            np.lib.format.open_memmap(folder / name, mode="w+", dtype=np.float16, shape=shape)
        statistics = folder / "statistics.npy"
        np.lib.format.open_memmap(statistics, mode="w+", dtype=np.float32, shape=(len(distance), LENGTH))
        with parallel_config(backend=params.runtime.parallel_backend, n_jobs=params.runtime.workers):
            field = Parallel()(
                delayed(observe_block)(maps, RAW.resolve(), folder.resolve(), block, distance) for block in blocks
            )
        catalogue = catalogue.with_columns(pl.Series("field_log_mass", np.concatenate(field)).round(6))
        catalogue.write_csv(folder / "catalogue.csv")


def observe_block(maps: Maps, raw: Path, out: Path, block: range, distance: "np.ndarray") -> "np.ndarray":
    """Write the maps numbered ``block`` to ``out``; the noise of each depends on the seed and its number alone.

    Returns:
        log10 of the mass in the field of each, Msun.
    """
    import numpy as np
    import torch

    from lit_modules.networks.pidoc.statistics import map_statistics
    from pipeline.simulation.clusters.telescope import Detector, blur, gaussian_psf, log_map

    torch.set_num_threads(1)
    detector = Detector(maps.psf_sigma, maps.sky, maps.one_electron, maps.read_noise, maps.foreground)
    light, raw_mass = (np.load(raw / name, mmap_mode="r") for name in ("light.npy", "mass.npy"))
    flux, mass, statistics = (
        np.load(out / name, mmap_mode="r+") for name in ("flux.npy", "mass.npy", "statistics.npy")
    )
    for k in block:
        rng = np.random.default_rng(np.random.SeedSequence(maps.seed, spawn_key=(k,)))
        flux[k] = log_map(detector.observe(rng, light[k], distance[k], maps.pixels), maps.flux_floor)
        mass[k] = log_map(blur(raw_mass[k], gaussian_psf(maps.psf_sigma), maps.pixels), maps.mass_floor)
    rows = slice(block.start, block.stop)
    statistics[rows] = map_statistics(torch.from_numpy(flux[rows].astype(np.float32))).numpy()
    return np.log10((10.0 ** mass[rows].astype(np.float64)).sum((1, 2)))


if __name__ == "__main__":
    run(main)
