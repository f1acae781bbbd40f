"""Flux and mass maps of globular clusters with their ages and distances, half precision on disk."""

from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.base import TensorDataModule
from datamodules.loader import EpochSampler, TensorLoader
from datamodules.settings import CLUSTER_SPLITS, MapData
from datamodules.telescope import Looks, Telescope
from pipeline.errors import InputError

MAPS = ("flux", "mass")
LABELS = {"age": "age_gyr", "distance": "distance_kpc", "field": "field_log_mass"}  # columns of the catalogue
MOMENTS = ("flux_mean", "flux_std", "mass_mean", "mass_std")  # further columns
COLUMNS = ("map", "cluster", "split", *LABELS.values(), *MOMENTS)


class MapRows(NamedTuple):
    """Rows of the maps of a batch and the look at each; the same of its statistics and labels."""

    shown: Tensor
    looks: Tensor
    known: Tensor
    known_looks: Tensor


class MapLoader(TensorLoader):
    """Makes the flux maps of a batch from their light as it is drawn; the whole set stays in half precision.

    Each map is seen in one of its looks. Statistics and labels are also those of ``passes - 1`` other batches, which
    differ from epoch to epoch.

    Args:
        tensors: of a split, see :class:`ClusterMapsDataModule`.
        sampler: gives the rows; where it shuffles, each epoch draws a look for each row and pass.
        telescope: makes flux of light.
        passes: batches whose labels come at once.
        device: where flux is made.
        maps: which of flux and mass batches hold beside statistics and labels.
        look: at every map; None for all in turn, by the number of the row, where the sampler does not shuffle.
    """

    def __init__(
        self,
        tensors: dict[str, Tensor],
        sampler: EpochSampler,
        telescope: Telescope,
        passes: int = 1,
        device: torch.device | str = "cpu",
        maps: tuple[str, ...] = MAPS,
        look: int | None = None,
    ) -> None:
        super().__init__(tensors, sampler)
        self.telescope, self.passes, self.device, self.maps, self.look = telescope, passes, device, maps, look

    def plan(self) -> list[MapRows]:
        batches = list(self.sampler)
        generator = torch.Generator().manual_seed(
            2_000_003 * self.sampler.seed + self.sampler.epoch + 1
        )  # not that of the order
        looks = self._looks(generator)
        others = [torch.randperm(len(batches), generator=generator) for _ in range(self.passes - 1)]
        return [self._of_batch(batches, looks, [k, *(int(other[k]) for other in others)]) for k in range(len(batches))]

    @staticmethod
    def _of_batch(batches: list[Tensor], looks: Tensor, known: list[int]) -> MapRows:
        """The batch of the first number, with the labels of all."""
        rows = [batches[k] for k in known]
        seen = [looks[n][each] for n, each in enumerate(rows)]
        return MapRows(rows[0], seen[0], torch.cat(rows), torch.cat(seen))

    def take(self, index: MapRows) -> dict[str, Tensor]:
        shown = {name: self._map(name, index.shown, index.looks) for name in self.maps}
        labels = {name: self._take(name, index.known).float() for name in LABELS}
        return {**shown, "statistics": self._take("statistics", index.known, index.known_looks).float(), **labels}

    def _looks(self, generator: torch.Generator) -> Tensor:
        """Number of the look at each row in each pass, (passes, n)."""
        n, looks = self.tensors["looks"].shape[:2]
        if self.look is not None:
            return torch.full((self.passes, n), self.look)
        if self.sampler.shuffle:
            return torch.randint(looks, (self.passes, n), generator=generator)
        return (torch.arange(n) % looks).expand(self.passes, n)

    def _map(self, name: str, rows: Tensor, looks: Tensor) -> Tensor:
        if name == "mass":
            return self._take(name, rows).float()
        seen = Looks.of(self.tensors["looks"][rows, looks])
        return self.telescope.log_flux(self._take("light", rows), self._take("distance", rows), seen)[:, None]

    def _take(self, name: str, *index: Tensor) -> Tensor:
        return self.tensors[name][index].to(self.device)


class ClusterMapsDataModule(TensorDataModule):
    """Batches ``{"flux", "mass": (B, 1, H, W), "statistics": (P, N), "age", "distance", "field": (P,)}``, all float32.

    Flux is log10 F/(Lsun kpc⁻²), in steps of half precision, and mass log10 M/Msun per pixel, statistics are those of
    the flux map, age is in Gyr, distance in kpc and field log10 of the mass in the field, Msun. Each map is seen in one
    of its looks: training draws it anew each epoch, validation and test take all in turn. Statistics and labels cost
    next to nothing: in training those of further maps follow those of the maps shown, P = ``statistics_passes`` x B;
    else P = B.

    ``splits[split]`` holds ``light`` (n, H', W'), ``mass`` (n, 1, H, W), ``looks`` (n, 1 + looks, 5), each a row of
    ``datamodules.telescope.Looks``, the first clean, ``statistics`` (n, 1 + looks, N), ``age``, ``distance``,
    ``field``, ``cluster``, a number for each, and ``flux_mean``, ``flux_std``, ``mass_mean``, ``mass_std`` (n,) over
    the pixels of each map, seen clean. Flux comes through batches only, made from the light by ``telescope``. Maps are
    memory-mapped, half precision, and never loaded as a whole where those of a split follow one another in the file; a
    split whose maps are scattered is copied. Where no map is in split calibration, that is split val.

    ``path`` is the folder data/clusters, with ``maps/`` of import_clusters and ``seen/`` of preprocess_maps. All
    maps of a cluster are in the same split. A model that reads but some of flux and mass in its training sets ``maps``
    in its ``fit_statistics``, and the loaders draw no others.
    """

    Settings = MapData
    settings: MapData
    telescope: Telescope
    maps: tuple[str, ...] = MAPS
    on_device = False

    def setup(self, stage: str | None = None) -> None:
        """Map the files into memory and deal the maps to their splits.

        Raises:
            InputError: a file or column is missing, the files disagree, or a split is empty.
        """
        catalogue = self._catalogue()
        self.telescope = Telescope.read(self.path / "seen/telescope.json")
        arrays = {
            "light": self._array("maps/light.npy", 3),
            "mass": self._array("maps/mass.npy", 3)[:, None],
            "looks": self._array("seen/looks.npy", 3),
            "statistics": self._array("seen/statistics.npy", 3),
        }
        for name, array in arrays.items():
            if len(array) != len(catalogue):
                raise InputError(
                    f"{self.path}: {len(array)} rows of {name}.npy and {len(catalogue)} of seen/catalogue.csv "
                    "should be equal; run preprocess_maps again"
                )
        if arrays["looks"].shape != (*arrays["statistics"].shape[:2], len(Looks._fields)):
            raise InputError(f"{self.path}/seen: looks.npy and statistics.npy disagree; run preprocess_maps again")
        there = [split for split in CLUSTER_SPLITS if split != "calibration" or split in catalogue["split"]]
        self.splits = {split: self._split(catalogue, split, arrays) for split in there}
        self.splits.setdefault("calibration", self.splits["val"])

    def observed(self, split: str, look: int | None = 0, every: int = 1) -> MapLoader:
        """All batches of a split in the order of the file, on the CPU.

        Args:
            split: its name.
            look: at each map, 0 the clean one; None for all in turn, by the number of the row.
            every: of so many maps, the first.
        """
        tensors = {name: tensor[::every] for name, tensor in self.splits[split].items()}
        sampler = EpochSampler(len(tensors["age"]), self.settings.batch_size, shuffle=False, seed=self.seed)
        return MapLoader(tensors, sampler, self.telescope, look=look)

    def _split(self, catalogue: pl.DataFrame, split: str, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
        part = catalogue.filter(pl.col("split") == split).sort("map")
        if part.is_empty():
            raise InputError(f"{self.path / 'seen/catalogue.csv'}: no map in split {split}; make more clusters")
        maps = {name: _rows(array, part["map"].to_numpy()) for name, array in arrays.items()}
        columns = LABELS | {name: name for name in MOMENTS}
        maps["cluster"] = torch.tensor(part["cluster"].rank("dense").to_numpy().astype(np.int64))
        return maps | {name: torch.tensor(part[c].to_numpy(), dtype=torch.float32) for name, c in columns.items()}

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
        file = self.path / "seen/catalogue.csv"
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
        loader = self._batches(self.splits[split], shuffle=shuffle)
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        passes = self.settings.statistics_passes if shuffle else 1
        return MapLoader(loader.tensors, loader.sampler, self.telescope, passes, device, self.maps)


def _rows(maps: Tensor, rows: NDArray[np.int64]) -> Tensor:
    if rows[-1] - rows[0] + 1 == len(rows):
        return maps[rows[0] : rows[-1] + 1]
    return maps[torch.tensor(rows)]
