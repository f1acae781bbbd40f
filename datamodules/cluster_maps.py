"""Flux and mass maps of globular clusters with their ages and distances, half precision on disk."""

from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.base import TensorDataModule
from datamodules.loader import EpochSampler, TensorLoader
from datamodules.prefetch import to_device
from datamodules.settings import CLUSTER_SPLITS, MapData
from datamodules.telescope import Looks, Telescope
from pipeline.errors import InputError

MAPS = ("flux", "mass")
LABELS = {"age": "age_gyr", "distance": "distance_kpc", "field": "field_log_mass"}  # columns of the catalogue
MOMENTS = ("flux_mean", "flux_std", "mass_mean", "mass_std")  # further columns
COLUMNS = ("map", "cluster", "split", *LABELS.values(), *MOMENTS)


class MapBatch(NamedTuple):
    """A batch of an epoch, and those whose statistics and labels follow its own.

    Attributes:
        batches: rows of all batches of the epoch.
        looks: at each row in each pass, (passes, n).
        numbers: of the batches, one a pass; the maps of the first are shown.
    """

    batches: list[Tensor]
    looks: Tensor
    numbers: list[int]


class MapLoader(TensorLoader):
    """Makes the flux maps of a batch from their light as it is drawn; the whole set stays on disk, in half precision.

    Each map is seen in one of its looks. Statistics and labels are also those of ``passes - 1`` other batches, which
    differ from epoch to epoch.

    Args:
        tensors: of a split, see :class:`ClusterMapsDataModule`.
        files: light and mass of all maps.
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
        files: dict[str, Tensor],
        sampler: EpochSampler,
        telescope: Telescope,
        passes: int = 1,
        device: torch.device | str = "cpu",
        maps: tuple[str, ...] = MAPS,
        look: int | None = None,
    ) -> None:
        super().__init__(tensors, sampler)
        self.files, self.telescope, self.passes, self.maps, self.look = files, telescope, passes, maps, look
        self.device = torch.device(device)

    def plan(self) -> list[MapBatch]:
        """Draw the looks of the epoch, and which batches' labels come together."""
        batches = list(self.sampler)
        generator = torch.Generator().manual_seed(
            2_000_003 * self.sampler.seed + self.sampler.epoch + 1
        )  # not that of the order
        looks = self._looks(generator)
        others = [torch.randperm(len(batches), generator=generator) for _ in range(self.passes - 1)]
        order = torch.stack([torch.arange(len(batches)), *others], 1)
        return [MapBatch(batches, looks, numbers) for numbers in order.tolist()]

    def take(self, index: MapBatch) -> dict[str, Tensor]:
        """Read a batch."""
        rows = [index.batches[number] for number in index.numbers]
        looks = [look[each] for look, each in zip(index.looks, rows, strict=True)]
        known, seen = torch.cat(rows), torch.cat(looks)
        shown = {name: self._map(name, rows[0], looks[0]) for name in self.maps}
        labels = {name: self._of(self.tensors[name], known).float() for name in LABELS}
        return {**shown, "statistics": self._of(self.tensors["statistics"], known, seen).float(), **labels}

    def _map(self, name: str, rows: Tensor, looks: Tensor) -> Tensor:
        place = self.tensors["map"][rows]
        if name == "mass":
            return self._of(self.files["mass"], place)[:, None].float()
        seen, distance = Looks.of(self.tensors["looks"][rows, looks]), self._of(self.tensors["distance"], rows)
        return self.telescope.log_flux(self._of(self.files["light"], place), distance, seen)[:, None]

    def _of(self, tensor: Tensor, *index: Tensor) -> Tensor:
        return to_device(tensor[index], self.device)

    def _looks(self, generator: torch.Generator) -> Tensor:
        """Number of the look at each row in each pass, (passes, n)."""
        n, looks = self.tensors["looks"].shape[:2]
        if self.look is not None:
            return torch.full((self.passes, n), self.look)
        if self.sampler.shuffle:
            return torch.randint(looks, (self.passes, n), generator=generator)
        return (torch.arange(n) % looks).expand(self.passes, n)


class ClusterMapsDataModule(TensorDataModule):
    """Batches ``{"flux", "mass": (B, 1, H, W), "statistics": (P, N), "age", "distance", "field": (P,)}``, all float32.

    Flux is log10 F/(Lsun kpc⁻²), in steps of half precision, and mass log10 M/Msun per pixel, statistics are those of
    the flux map, age is in Gyr, distance in kpc and field log10 of the mass in the field, Msun. Each map is seen in one
    of its looks: training draws it anew each epoch, validation and test take all in turn. Statistics and labels cost
    next to nothing: in training those of further maps follow those of the maps shown, P = ``statistics_passes`` x B;
    else P = B.

    ``files`` holds ``light`` (maps, H', W') and ``mass`` (maps, H, W) of all splits, memory-mapped, half precision, and
    never loaded as a whole. ``splits[split]`` holds ``map`` (n,), the rows of its maps there, ``looks``
    (n, 1 + looks, 5), each a row of ``datamodules.telescope.Looks``, the first clean, ``statistics``
    (n, 1 + looks, N), ``age``, ``distance``, ``field``, ``cluster``, a number for each, and ``flux_mean``,
    ``flux_std``, ``mass_mean``, ``mass_std`` (n,) over the pixels of each map, seen clean. Flux comes through batches
    only, made from the light by ``telescope``. Where no map is in split calibration, that is split val.

    ``path`` is the folder data/clusters, with ``maps/`` of import_clusters and ``seen/`` of preprocess_maps. All
    maps of a cluster are in the same split. A model that reads but some of flux and mass in its training sets ``maps``
    in its ``fit_statistics``, and the loaders draw no others.
    """

    Settings = MapData
    settings: MapData
    telescope: Telescope
    files: dict[str, Tensor]
    maps: tuple[str, ...] = MAPS
    on_device = False

    def setup(self, stage: str | None = None) -> None:
        """Map the files into memory and deal the maps to their splits.

        Raises:
            InputError: a file or column is missing, the files disagree, or a split is empty.
        """
        catalogue = self._catalogue()
        self.telescope = Telescope.read(self.path / "seen/telescope.json")
        self.files = {name: self._array(f"maps/{name}.npy", 3) for name in ("light", "mass")}
        arrays = {name: self._array(f"seen/{name}.npy", 3) for name in ("looks", "statistics")}
        for name, array in (self.files | arrays).items():
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
        return MapLoader(tensors, self.files, sampler, self.telescope, look=look)

    def _split(self, catalogue: pl.DataFrame, split: str, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
        part = catalogue.filter(pl.col("split") == split).sort("map")
        if part.is_empty():
            raise InputError(f"{self.path / 'seen/catalogue.csv'}: no map in split {split}; make more clusters")
        maps = {name: _rows(array, part["map"].to_numpy()) for name, array in arrays.items()}
        maps["map"] = torch.tensor(part["map"].to_numpy().astype(np.int64))
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
        tensors = self.splits[split]
        sampler = self._sampler(len(tensors["map"]), shuffle=shuffle)
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        passes = self.settings.statistics_passes if shuffle else 1
        return MapLoader(tensors, self.files, sampler, self.telescope, passes, device, self.maps)


def _rows(table: Tensor, rows: NDArray[np.int64]) -> Tensor:
    if rows[-1] - rows[0] + 1 == len(rows):
        return table[rows[0] : rows[-1] + 1]
    return table[torch.tensor(rows)]
