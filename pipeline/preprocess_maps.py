"""Looks at the light of the clusters through telescopes: reads data/clusters/maps/ and ``maps`` of params.yaml.

Writes data/clusters/seen/: telescope.json; looks.npy, the telescope and night of each look at each map, float64 (maps,
1 + looks, 5), the first clean, see ``datamodules.telescope.Looks``; statistics.npy, those of the flux map of each look,
float32 (maps, 1 + looks, statistics); and catalogue.csv, that of the maps with field_log_mass, log10 of the mass in the
field, and the mean and standard deviation over the pixels of log10 flux, seen clean, and log10 mass. A flux map is made
from the light and its look whenever it is needed. Parts that are done wait in runs/preprocess_maps/, so that a killed
run goes on where it was.
"""

import argparse
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file, atomic_folder, fingerprint
from pipeline.parallel import in_parallel
from pipeline.settings.clusters import Maps
from pipeline.settings.load import load_params
from pipeline.settings.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from datamodules.telescope import Telescope

RAW = Path("data/clusters/maps")
OUT = Path("data/clusters/seen")
BLOCK = 10  # maps done at once: their memory is used again and stays in the cache
PART = 2000  # maps that are kept together in runs/
LOOKS = 1  # what this draw is for, in the key of its random numbers
DECIMALS = 5  # of a statistic: more than it means, fewer than processors differ in
CODE = (
    "datamodules/telescope.py",
    "lit_modules/networks/maps/statistics.py",
    "pipeline/preprocess_maps.py",
    "pipeline/simulation/clusters/stars.py",
    "pipeline/simulation/clusters/telescope.py",
)
COLUMNS = ("field_log_mass", "flux_mean", "flux_std", "mass_mean", "mass_std")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.preprocess_maps", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    params = load_params(arguments.params)

    import numpy as np
    import polars as pl

    catalogue, telescope = read_catalogue(), telescope_of(params.maps)
    distance = catalogue["distance_kpc"].to_numpy()
    looks = np.stack([draw_looks(params.maps, number) for number in range(len(distance))])
    scratch = scratch_folder(params.maps)
    parts = look_at_all(scratch, telescope, distance, looks, params.runtime)
    with atomic_folder(OUT) as folder:
        np.save(folder / "looks.npy", looks)
        np.save(folder / "statistics.npy", np.concatenate([np.load(part)["statistics"] for part in parts]))
        columns = np.concatenate([np.load(part)["columns"] for part in parts]).round(6)
        catalogue = catalogue.with_columns(pl.Series(*column) for column in zip(COLUMNS, columns.T, strict=True))
        catalogue.write_csv(folder / "catalogue.csv")
        (folder / "telescope.json").write_text(json.dumps(asdict(telescope), indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(scratch)


def scratch_folder(maps: Maps) -> Path:
    """Where the parts wait that are done; the time of the maps stands for their bytes, which are long to read."""
    code = (Path(__file__).parents[1] / name for name in CODE)
    arrays = [(RAW / f"{name}.npy").stat() for name in ("light", "mass")]
    of = [maps.model_dump_json(), *((array.st_size, array.st_mtime_ns) for array in arrays)]
    return Path("runs/preprocess_maps").resolve() / fingerprint(str(of), [*code, RAW / "catalogue.csv"])


def look_at_all(
    scratch: Path, telescope: "Telescope", distance: "np.ndarray", looks: "np.ndarray", runtime: Runtime
) -> list[Path]:
    """Files of the statistics and further columns of all maps, those made here that no earlier run has left behind."""
    import numpy as np

    n = len(distance)
    parts = {scratch / f"{first:09d}.npz": range(first, min(first + PART, n), BLOCK) for first in range(0, n, PART)}
    todo = {part: blocks for part, blocks in parts.items() if not part.exists()}
    rows = [slice(first, first + BLOCK) for blocks in todo.values() for first in blocks]
    jobs = [(telescope, RAW.resolve(), block, distance[block], looks[block]) for block in rows]
    done = in_parallel(look, jobs, runtime, "looking at clusters")
    for part, blocks in todo.items():
        statistics, columns = zip(*islice(done, len(blocks)), strict=True)
        with atomic_file(part) as path:
            np.savez(path, statistics=np.concatenate(statistics), columns=np.concatenate(columns))
    for _ in done:  # ends the progress bar
        pass
    return list(parts)


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

    from datamodules.telescope import Telescope
    from pipeline.simulation.clusters.telescope import LIGHT_UNIT, PIXEL

    try:
        (_, width, _), (_, pixels, _) = (np.load(RAW / f"{n}.npy", mmap_mode="r").shape for n in ("light", "mass"))
    except (OSError, ValueError) as error:
        raise InputError(f"{RAW}: no maps to read ({error}); run import_clusters") from error
    margin, needed = (width - pixels) // 2, math.ceil(4 * maps.widest_psf)
    if margin < needed:
        raise InputError(
            f"{RAW}/light.npy: its margin is {margin} pixels, but a psf_sigma of {maps.widest_psf:g} in section maps "
            f"needs {needed}; lower that, or raise clusters.margin and make the maps again"
        )
    return Telescope(maps.psf_sigma, PIXEL, pixels, maps.flux_floor, LIGHT_UNIT, maps.sky_error)


def draw_looks(maps: Maps, number: int) -> "np.ndarray":
    """Looks (1 + looks, 5) at a map, the first clean; they depend on the seed and the map's number alone."""
    import numpy as np

    from pipeline.simulation.clusters.stars import flux_of_magnitude
    from pipeline.simulation.clusters.telescope import PIXEL

    key = (number, LOOKS)  # (number,) alone would give the random numbers that the cluster itself was drawn from
    rng = np.random.default_rng(np.random.SeedSequence(maps.seed, spawn_key=key))
    looks = [[maps.psf_sigma, 0.0, 0.0, 0.0, 0.0]]
    for _ in range(maps.looks):
        ranges = (maps.look_psf_sigma, maps.log_noise, maps.sky, maps.foreground)
        psf_sigma, log_noise, magnitude, foreground = (rng.uniform(each.low, each.high) for each in ranges)
        drawn = (psf_sigma, 10**log_noise, float(flux_of_magnitude(magnitude)) * PIXEL**2, foreground)
        rounded = [float(f"{x:.7g}") for x in drawn]  # the last bit of a power is not the same on all processors
        looks.append([*rounded, float(rng.integers(2**53))])
    return np.array(looks)


def look(
    telescope: "Telescope", raw: Path, rows: slice, distance: "np.ndarray", looks: "np.ndarray"
) -> "tuple[np.ndarray, np.ndarray]":
    """Statistics (B, 1 + looks, N) of the flux maps in ``rows``, and the further columns (B, 5) of the catalogue."""
    import numpy as np
    import torch

    from datamodules.telescope import Looks
    from lit_modules.networks.maps.statistics import map_statistics

    torch.set_num_threads(1)
    light, mass = (torch.from_numpy(np.load(raw / f"{n}.npy", mmap_mode="r")[rows].copy()) for n in ("light", "mass"))
    mass, kpc = mass.double(), torch.tensor(distance)
    every = [Looks.of(torch.tensor(each)) for each in looks.swapaxes(0, 1)]
    flux = [telescope.flux(light, kpc, each) for each in every]
    statistics = [map_statistics(image, each.psf_sigma, each.noise) for image, each in zip(flux, every, strict=True)]
    log_flux = telescope.log(flux[0], every[0])
    field = torch.pow(10.0, mass).sum((1, 2)).log10()
    flux_std, flux_mean = torch.std_mean(log_flux, (1, 2), correction=0)
    mass_std, mass_mean = torch.std_mean(mass, (1, 2), correction=0)
    rounded = torch.stack(statistics, 1).numpy().round(DECIMALS).astype(np.float32)
    return rounded, torch.stack([field, flux_mean, flux_std, mass_mean, mass_std], 1).numpy()


if __name__ == "__main__":
    run(main)
