"""The readers that are fuzzed: what they read, and changes that keep a file's form."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import fuzz_seeds as seeds
from benchmarks.fuzz_mutations import Mutation, of_bytes, of_fits, of_npy, of_png, of_zip
from pipeline.errors import InputError


@dataclass(frozen=True)
class Reader:
    """A reader of files from outside.

    Attributes:
        share: of a thousand inputs.
        file: its name.
        read: raises InputError on what is wrong with it.
        good: whole files.
        changed: a file made worse, its form kept.
    """

    share: int
    file: str
    read: Callable[[Path], object]
    good: Callable[[], list[bytes]]
    changed: Mutation


def refused(reader: Reader, content: bytes, folder: Path) -> str | None:
    """What the reader says no with, in one line; None where it takes the file.

    Raises:
        Exception: what no reader may raise.
    """
    path = folder / reader.file
    path.write_bytes(content)
    try:
        reader.read(path)
    except InputError as error:
        return str(error)
    return None


def read_params(path: Path) -> object:
    """As every stage does."""
    from pipeline.settings.load import load_params

    return load_params(path)


def read_stars(path: Path) -> object:
    """As ``import_nbody`` and ``predict gnn`` do."""
    from pipeline.inputs.star_tables import read_star_table

    return read_star_table(path)


def read_catalogue(path: Path) -> object:
    """As ``import_clusters`` does."""
    from pipeline.inputs.cluster_catalogue import read_source

    return read_source(path.parent, cluster_params())


@cache
def cluster_params() -> Any:
    """Of the project's own params.yaml."""
    from pipeline.settings.load import load_params

    return load_params(seeds.ROOT / "params.yaml").clusters


def read_picture(path: Path) -> object:
    """As ``predict autoencoder`` does, and with the borders of ``preprocess_images``."""
    from pipeline.inputs.own_picture import read_grey

    read_grey(path, 16)
    return read_grey(path, 16, padded=True)


def training_maps() -> Any:
    """Of the networks."""
    from pipeline.inputs.training_maps import TrainingMaps

    return TrainingMaps(4.0, 0.25, -8.0, psf_range=(2.4, 6.0), noise_range=(-7.5, -5.0))


def read_map(path: Path) -> object:
    """As ``predict pidoc`` does."""
    from pipeline.inputs.observation import read_observation

    return read_observation(path, training_maps())


def read_arrays(path: Path) -> object:
    """The same, and as ``import_clusters`` reads all maps."""
    from pipeline.inputs.cluster_maps import read_array

    read_map(path)
    return read_array(path)


def read_manifest(path: Path) -> object:
    """As ``import_images`` does, but for the network."""
    from pipeline.inputs.manifests import is_manifest, rows_of
    from pipeline.inputs.metadata import describes_pictures, read_table

    table = read_table(path.read_bytes(), str(path))
    return rows_of(table, "lungs") if is_manifest(table) else describes_pictures(table)


def read_archive(path: Path) -> object:
    """As ``import_images`` does: all pictures of an archive."""
    from pipeline.inputs.picture_sources import open_source

    with open_source("lungs", path, None) as found:
        return [len(entry.read()) for entry in found.entries]


def read_checkpoint(path: Path) -> object:
    """As every evaluation does."""
    from pipeline.training.registry import MODELS

    return MODELS["spectral"].load(path)


def read_weights_archive(path: Path) -> object:
    """As ``predict --weights`` does."""
    from pipeline.prediction.weights_archive import read_weights

    return read_weights(path, ["spectral"])


YAML_WORDS = (
    b"&a ", b"*a", b"<<: ", b"!!python/object:os.system ", b"!!binary ", b"2021-99-99", b"? ", b"- ", b": ", b"~",
)  # fmt: skip
CSV_WORDS = (b",", b";", b"\t", b"#", b"\n\n", b"N_sim", b"mass", b"charge", b"(", b"[", b"1D5", b"1,5")
READERS = {
    "params": Reader(4, "params.yaml", read_params, seeds.params, of_bytes(YAML_WORDS)),
    "csv": Reader(110, "stars.csv", read_stars, seeds.tables, of_bytes(CSV_WORDS)),
    "parquet": Reader(5, "stars.parquet", read_stars, seeds.parquet_tables, of_bytes()),
    "hdf5": Reader(
        15, "stars.hdf5", read_stars, seeds.amuse_sets, of_bytes((b"attributes", b"keys", b"**", b"base('"))
    ),
    "catalogue": Reader(95, "catalogue.csv", read_catalogue, seeds.catalogues, of_bytes(CSV_WORDS)),
    "png": Reader(150, "picture.png", read_picture, seeds.png_pictures, of_png),
    "pictures": Reader(110, "picture.jpg", read_picture, seeds.pictures, of_bytes()),
    "dicom": Reader(40, "picture.dcm", read_picture, seeds.dicom_pictures, of_bytes()),
    "fits": Reader(12, "map.fits", read_map, seeds.fits_maps, of_fits),
    "npy": Reader(150, "map.npy", read_arrays, seeds.arrays, of_npy),
    "manifest": Reader(
        179, "pictures.csv", read_manifest, seeds.manifests, of_bytes((b",", b";", b"set", b"https://", b'""'))
    ),
    "zip": Reader(40, "pictures.zip", read_archive, seeds.zips, of_zip(of_bytes(), zipfile.ZIP_DEFLATED)),
    "tar": Reader(40, "pictures.tar", read_archive, seeds.tars, of_bytes()),
    "checkpoint": Reader(
        15, "spectral.ckpt", read_checkpoint, seeds.checkpoints, of_zip(of_bytes(), zipfile.ZIP_STORED)
    ),
    "weights": Reader(
        35, "weights.zip", read_weights_archive, seeds.weights_archives, of_zip(of_bytes(), zipfile.ZIP_STORED)
    ),
}
