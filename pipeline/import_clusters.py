"""Checks and copies maps of clusters: reads ``clusters.source``, a folder; writes data/clusters/maps/.

The folder holds a catalogue.csv and, as that says, finished maps, an image of light and one of mass for each map, or
tables of stars, which are then seen from random directions and binned: docs/data.md. Mock clusters of this project are
linked, not copied.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, run, warn
from pipeline.inputs.generated import link_or_copy
from pipeline.outputs import atomic_folder, reserve
from pipeline.parallel import in_parallel
from pipeline.settings.clusters import Clusters
from pipeline.settings.load import load_params
from pipeline.settings.runtime import Runtime

if TYPE_CHECKING:
    import polars as pl

    from pipeline.inputs.cluster_catalogue import Source

OUT = Path("data/clusters/maps")
MAPS, CATALOGUE = ("light.npy", "mass.npy"), "catalogue.csv"
BLOCK = 20  # maps done at once


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.import_clusters",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    params = load_params(arguments.params)
    import_maps(Path(params.clusters.source), params.clusters, params.runtime)


def import_maps(folder: Path, clusters: Clusters, runtime: Runtime) -> None:
    """Check every map of ``folder``, then let data/clusters/maps/ appear whole.

    Raises:
        InputError: a map or the catalogue cannot be used.
    """
    from pipeline.inputs.cluster_catalogue import read_source

    if not folder.is_dir():
        raise InputError(f"clusters.source: {folder} is no folder; name one, or run generate_clusters")
    source = read_source(folder.absolute(), clusters)
    n = len(source.catalogue)
    blocks = [range(first, min(first + BLOCK, n)) for first in range(0, n, BLOCK)]
    with atomic_folder(OUT) as out:
        work = convert if make_room(source, clusters, out) else check
        jobs = [(source.folder, source.layout, source.rows(block), clusters, out) for block in blocks]
        for _ in in_parallel(work, jobs, runtime, "importing clusters"):
            pass
        if source.complete:
            link_or_copy(source.folder / CATALOGUE, out / CATALOGUE)
        else:
            with_shifts(source, clusters).write_csv(out / CATALOGUE)
    for column in ("age_gyr", "distance_kpc"):
        if source.catalogue[column].n_unique() == 1:
            warn(f"{folder}: {column} is the same for all maps, so that no model can learn it from them")


def make_room(source: "Source", clusters: Clusters, out: Path) -> bool:
    """Put maps that are stored as they should be in their place, or make room; whether they are still to be written.

    Raises:
        InputError: an array of all maps is of another shape.
    """
    import numpy as np

    from pipeline.inputs.cluster_maps import read_array

    n, side = len(source.catalogue), clusters.pixels + 2 * clusters.margin
    shapes = [(n, side, side), (n, clusters.pixels, clusters.pixels)]
    if source.layout == "arrays":
        arrays = [read_array(source.folder / name) for name in MAPS]
        if arrays[0].ndim == 3 and arrays[0].shape[1] >= side and arrays[0].shape[1] % 2 == side % 2:
            shapes[0] = (n, arrays[0].shape[1], arrays[0].shape[1])  # a wider margin does no harm
        for name, array, shape in zip(MAPS, arrays, shapes, strict=True):
            if array.shape != shape:
                raise InputError(
                    f"{source.folder / name}: {array.shape} should be {shape}: maps of the catalogue, and pixels of "
                    f"params.yaml: clusters.pixels{' and twice clusters.margin' if name == MAPS[0] else ''}"
                )
        if all(array.dtype == np.float16 for array in arrays):
            for name in MAPS:
                link_or_copy(source.folder / name, out / name)
            return False
    for name, shape in zip(MAPS, shapes, strict=True):
        maps = np.lib.format.open_memmap(out / name, mode="w+", dtype=np.float16, shape=shape)
        reserve(out / name, maps.offset + maps.nbytes)
    return True


def check(folder: Path, layout: str, rows: list[dict[str, Any]], clusters: Clusters, out: Path) -> None:
    """Check maps that lie in their place already.

    Raises:
        InputError: one of them cannot be what it should be.
    """
    from pipeline.inputs.cluster_maps import check_map, light_and_mass

    for row in rows:
        check_map(map_name(folder, row), *light_and_mass(folder, layout, row, clusters))


def convert(folder: Path, layout: str, rows: list[dict[str, Any]], clusters: Clusters, out: Path) -> None:
    """Check maps, and write them as generate_clusters does.

    Raises:
        InputError: one of them cannot be what it should be.
    """
    import numpy as np

    from pipeline.inputs.cluster_maps import check_map, light_and_mass
    from pipeline.simulation.clusters.telescope import LIGHT_UNIT, gaussian_psf, log_map, stored

    psf = gaussian_psf(clusters.mass_psf_sigma)
    light_maps, mass_maps = (np.load(out / name, mmap_mode="r+") for name in MAPS)
    for row in rows:
        light, mass = light_and_mass(folder, layout, row, clusters)
        check_map(map_name(folder, row), light, mass)
        k = row["map"]
        if layout == "arrays":
            light_maps[k], mass_maps[k] = light / LIGHT_UNIT, log_map(mass, clusters.mass_floor)
        else:
            light_maps[k], mass_maps[k] = stored(light, mass, psf, clusters.pixels, clusters.mass_floor)


def map_name(folder: Path, row: dict[str, Any]) -> str:
    """What messages call a map: its number, and its files as the catalogue names them."""
    columns = [f"{name} {row[name]}" for name in ("star_file", "light_file", "flux_file", "mass_file") if name in row]
    return f"{folder}: map {row['map']} ({', '.join(columns or MAPS)})"


def with_shifts(source: "Source", clusters: Clusters) -> "pl.DataFrame":
    """The catalogue, with the shifts of clusters whose stars were binned here."""
    import polars as pl

    from pipeline.inputs.cluster_maps import view_of

    if source.layout != "stars":
        return source.catalogue
    shifts = [view_of(row, clusters)[0] for row in source.catalogue.iter_rows(named=True)]
    columns = zip(("shift_x_arcsec", "shift_y_arcsec"), zip(*shifts, strict=True), strict=True)
    return source.catalogue.with_columns(pl.Series(name, [float(f"{x:.7g}") for x in xs]) for name, xs in columns)


if __name__ == "__main__":
    run(main)
