"""Looks at the light of the clusters through a telescope: reads data/clusters/maps/ and ``maps`` of params.yaml.

Writes data/clusters/seen/: telescope.json; statistics.npy, those of each flux map, float32 (maps, statistics); and
catalogue.csv, that of the maps with field_log_mass, log10 of the mass in the field, and the mean and standard deviation
over the pixels of log10 flux and log10 mass. A flux map is made from the light whenever it is needed; only one with
noise, sky or foreground is kept, in flux.npy, log10 F/(Lsun kpc⁻²), float16 (maps, pixels, pixels).
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_folder
from pipeline.parallel import in_parallel
from pipeline.settings.clusters import Maps
from pipeline.settings.load import load_params

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from torch import Tensor

    from datamodules.telescope import Telescope

RAW = Path("data/clusters/maps")
OUT = Path("data/clusters/seen")
BLOCK = 10  # maps done at once: their memory is used again and stays in the cache
DECIMALS = 5  # of a statistic: more than it means, fewer than processors differ in
COLUMNS = ("field_log_mass", "flux_mean", "flux_std", "mass_mean", "mass_std")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.preprocess_maps", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    params = load_params(arguments.params)

    import numpy as np
    import polars as pl

    maps = params.maps
    catalogue, telescope = read_catalogue(), telescope_of(maps)
    distance = catalogue["distance_kpc"].to_numpy()
    blocks = [range(first, min(first + BLOCK, len(distance))) for first in range(0, len(distance), BLOCK)]
    with atomic_folder(OUT) as folder:
        if noisy(maps):
            shape = (len(distance), telescope.pixels, telescope.pixels)
            np.lib.format.open_memmap(folder / "flux.npy", mode="w+", dtype=np.float16, shape=shape)
        jobs = [(maps, telescope, RAW.resolve(), folder.resolve(), block, distance[block]) for block in blocks]
        seen = list(in_parallel(look, jobs, params.runtime, "looking at clusters"))
        np.save(folder / "statistics.npy", np.concatenate([statistics for statistics, _ in seen]))
        columns = np.concatenate([moments for _, moments in seen]).round(6)
        catalogue = catalogue.with_columns(pl.Series(*column) for column in zip(COLUMNS, columns.T, strict=True))
        catalogue.write_csv(folder / "catalogue.csv")
        (folder / "telescope.json").write_text(json.dumps(asdict(telescope), indent=2) + "\n")


def read_catalogue() -> "pl.DataFrame":
    """The catalogue of the maps.

    Raises:
        InputError: it is not there.
    """
    import polars as pl

    try:
        return pl.read_csv(RAW / "catalogue.csv")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{RAW}: no maps to read ({error}); run import_clusters") from error


def telescope_of(maps: Maps) -> "Telescope":
    """The telescope of params.yaml, for the maps at hand.

    Raises:
        InputError: there are none, or their margin is too narrow.
    """
    import numpy as np

    from datamodules.telescope import Telescope, psf_radius
    from pipeline.simulation.clusters.telescope import LIGHT_UNIT, PIXEL

    try:
        (_, width, _), (_, pixels, _) = (np.load(RAW / f"{n}.npy", mmap_mode="r").shape for n in ("light", "mass"))
    except (OSError, ValueError) as error:
        raise InputError(f"{RAW}: no maps to read ({error}); run import_clusters") from error
    margin, needed = (width - pixels) // 2, psf_radius(maps.psf_sigma)
    if margin < needed:
        raise InputError(f"clusters.margin is {margin}, but maps.psf_sigma {maps.psf_sigma} needs {needed}; raise it")
    return Telescope(maps.psf_sigma, PIXEL, pixels, maps.flux_floor, LIGHT_UNIT)


def noisy(maps: Maps) -> bool:
    """Whether a flux map holds more than the light of its cluster."""
    return maps.one_electron is not None or maps.foreground > 0


def look(
    maps: Maps, telescope: "Telescope", raw: Path, out: Path, block: range, distance: "np.ndarray"
) -> "tuple[np.ndarray, np.ndarray]":
    """Statistics (B, N) of the flux maps numbered ``block``, and the further columns (B, 5) of the catalogue."""
    import numpy as np
    import torch

    from lit_modules.networks.pidoc.statistics import map_statistics

    torch.set_num_threads(1)
    rows = slice(block.start, block.stop)
    light, mass = (torch.from_numpy(np.load(raw / f"{n}.npy", mmap_mode="r")[rows].copy()) for n in ("light", "mass"))
    mass, kpc = mass.double(), torch.from_numpy(distance)
    if noisy(maps):
        log_flux = telescope.log(torch.from_numpy(noisy_flux(maps, telescope, block, light, kpc)))
        np.load(out / "flux.npy", mmap_mode="r+")[rows] = log_flux.half().numpy()
    else:
        log_flux = telescope.log_flux(light, kpc)
    field = torch.pow(10.0, mass).sum((1, 2)).log10()
    flux_std, flux_mean = torch.std_mean(log_flux, (1, 2), correction=0)
    mass_std, mass_mean = torch.std_mean(mass, (1, 2), correction=0)
    statistics = map_statistics(log_flux, maps.psf_sigma).numpy().round(DECIMALS).astype(np.float32)
    return statistics, torch.stack([field, flux_mean, flux_std, mass_mean, mass_std], 1).numpy()


def noisy_flux(maps: Maps, telescope: "Telescope", block: range, light: "Tensor", distance: "Tensor") -> "np.ndarray":
    """Flux maps (B, pixels, pixels) with sky and noise; those of a map depend on the seed and its number alone."""
    import numpy as np
    import torch

    from pipeline.simulation.clusters.telescope import Camera, foreground_stars

    camera = Camera(maps.sky, maps.one_electron, maps.read_noise)
    seeds = [np.random.SeedSequence(maps.seed, spawn_key=(number,)) for number in block]
    generators = [np.random.default_rng(seed) for seed in seeds]
    stars = np.stack([foreground_stars(rng, light.shape[-1], maps.foreground) for rng in generators])
    flux = telescope.flux(light, distance) + telescope.blurred(torch.from_numpy(stars))
    return np.stack([camera.expose(rng, image) for rng, image in zip(generators, flux.numpy(), strict=True)])


if __name__ == "__main__":
    run(main)
