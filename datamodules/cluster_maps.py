"""Flux and mass maps of globular clusters with their ages and distances, half precision on disk."""

from collections.abc import Iterator

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.base import TensorDataModule
from datamodules.loader import EpochSampler, TensorLoader
from datamodules.settings import MapData
from pipeline.errors import InputError

SPLITS = ("train", "val", "test")
MAPS = ("flux", "mass")
LABELS = {"age": "age_gyr", "distance": "distance_kpc", "field": "field_log_mass"}  # columns of the catalogue
COLUMNS = ("map", "split", *LABELS.values())


class MapLoader(TensorLoader):
    """Widens a batch to float32 as it is drawn; the whole set stays in half precision.

    Statistics and labels are also those of ``passes - 1`` other batches, which differ from epoch to epoch.
    """

    def __init__(self, tensors: dict[str, Tensor], sampler: EpochSampler, passes: int) -> None:
        super().__init__(tensors, sampler)
        self.passes = passes

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        batches = list(self.sampler)
        generator = torch.Generator().manual_seed(self.sampler.epoch)
        others = [torch.randperm(len(batches), generator=generator) for _ in range(self.passes - 1)]
        for k, rows in enumerate(batches):
            known = torch.cat([rows, *(batches[other[k]] for other in others)])
            yield {name: x[rows if name in MAPS else known].float() for name, x in self.tensors.items()}


class ClusterMapsDataModule(TensorDataModule):
    """Batches ``{"flux", "mass": (B, 1, H, W), "statistics": (P, N), "age", "distance", "field": (P,)}``, all float32.

    Flux is log10 F/(Lsun kpc⁻²) and mass log10 M/Msun per pixel, statistics are those of the flux
    map, age is in Gyr, distance in kpc and field log10 of the mass in the field, Msun. Statistics
    and labels cost next to nothing: in training those of further maps follow those of the maps
    shown, P = ``statistics_passes`` x B; else P = B. The maps are memory-mapped and never loaded as a whole
    where the maps of a split follow one another in the file; a split whose maps are scattered is
    copied, in half precision.

    ``path`` is a folder with ``flux.npy``, ``mass.npy`` (maps, H, W), ``statistics.npy`` (maps, N) and
    ``catalogue.csv``, whose columns ``map`` (row of the arrays), ``split``, ``age_gyr``, ``distance_kpc`` and
    ``field_log_mass`` are read. All maps of a cluster are in the same split.
    """

    Settings = MapData
    settings: MapData
    on_device = False

    def setup(self, stage: str | None = None) -> None:
        """Map the files into memory and deal the maps to their splits.

        Raises:
            InputError: a file or column is missing, the files disagree, or a split is empty.
        """
        flux, mass = self._array("flux.npy", 3), self._array("mass.npy", 3)
        statistics, catalogue = self._array("statistics.npy", 2), self._catalogue()
        if not len(flux) == len(mass) == len(statistics) == len(catalogue):
            raise InputError(
                f"{self.path}: {len(flux)} flux maps, {len(mass)} mass maps, {len(statistics)} rows of statistics.npy "
                f"and {len(catalogue)} of catalogue.csv should be equal; run preprocess_maps again"
            )
        self.splits = {}
        for split in SPLITS:
            part = catalogue.filter(pl.col("split") == split).sort("map")
            if part.is_empty():
                raise InputError(f"{self.path / 'catalogue.csv'}: no map in split {split}; make more clusters")
            rows = part["map"].to_numpy()
            self.splits[split] = {
                "flux": _rows(flux, rows)[:, None],
                "mass": _rows(mass, rows)[:, None],
                "statistics": _rows(statistics, rows),
                **{name: torch.tensor(part[column].to_numpy(), dtype=torch.float32) for name, column in LABELS.items()},
            }

    def _array(self, name: str, dimensions: int) -> Tensor:
        try:
            array = np.load(self.path / name, mmap_mode="c")
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path / name}: cannot read it ({error}); run preprocess_maps") from error
        if array.ndim != dimensions:
            raise InputError(
                f"{self.path / name}: {array.ndim} dimensions should be {dimensions}; run preprocess_maps again"
            )
        return torch.from_numpy(array)

    def _catalogue(self) -> pl.DataFrame:
        file = self.path / "catalogue.csv"
        try:
            catalogue = pl.read_csv(file)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{file}: cannot read it ({error}); run preprocess_maps") from error
        missing = [column for column in COLUMNS if column not in catalogue.columns]
        if missing:
            raise InputError(f"{file}: column {missing[0]} is missing; run preprocess_maps")
        if sorted(catalogue["map"]) != list(range(len(catalogue))):
            raise InputError(f"{file}: column map does not number the maps 0, 1, 2, ...; run preprocess_maps")
        return catalogue

    def _loader(self, split: str, *, shuffle: bool = False) -> MapLoader:
        loader = super()._loader(split, shuffle=shuffle)
        return MapLoader(loader.tensors, loader.sampler, self.settings.statistics_passes if shuffle else 1)


def _rows(maps: Tensor, rows: NDArray[np.int64]) -> Tensor:
    if rows[-1] - rows[0] + 1 == len(rows):
        return maps[rows[0] : rows[-1] + 1]
    return maps[torch.tensor(rows)]
