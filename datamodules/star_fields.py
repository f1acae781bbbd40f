"""Fields of stars as graphs: each star joined to its nearest, with the Fourier functions of the graph."""

from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, laplacian
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from datamodules.base import TensorDataModule
from datamodules.settings import StarFieldsData
from pipeline.errors import InputError

Array = NDArray[np.float64]

FILE = "stars.csv"
EQUAL = 1e-9  # two eigenvalues that differ by less
COLUMNS = ("field", "star", "x", "y", "v", "colour", "member")


class StarFieldsDataModule(TensorDataModule):
    """Batches of fields of n stars each, all float32.

    ``position`` (B, n, 2) is x and y in arcmin, ``member`` (B, n) 1 of a star of the cluster, else 0, ``signal``
    (B, n, 3) its V magnitude above that of the faintest star of the field, its colour B - V, and its spacing: log10 of
    the distance to its k-th neighbour over the mean of the field. ``eigenvalues`` (B, n) and ``basis`` (B, n, n), Φ in
    columns, are those of the normalised Laplacian of the graph of the field, see :func:`graph`.

    ``path`` is the folder of stars.csv. Splits are by field, ``numbers[split]`` are those of the fields;
    ``distinct_eigenvalues`` is the number of them in the graph that has the fewest, that of the field ``fewest``.
    """

    Settings = StarFieldsData
    settings: StarFieldsData
    numbers: dict[str, NDArray[np.int64]]
    distinct_eigenvalues: int
    fewest: int

    @property
    def file(self) -> Path:
        """The table of stars."""
        return self.path / FILE

    def setup(self, stage: str | None = None) -> None:
        """Read the stars once, build the graphs and split the fields.

        Raises:
            InputError: the file is no good, a graph cannot be built, a split is empty, or a field of the test has stars
                of one kind alone, so that there is nothing to tell apart.
        """
        if hasattr(self, "splits"):
            return
        numbers, stars = self._stars()
        fields = self._tensors(numbers, stars)
        rows = self._dealt(len(numbers), "fields", self.file, "spectral")
        self.numbers = {split: numbers[part] for split, part in rows.items()}
        self.splits = {split: {name: fields[name][part] for name in fields} for split, part in rows.items()}
        self._check_both_kinds()

    def _check_both_kinds(self) -> None:
        share = self.splits["test"]["member"].mean(1).numpy()
        for what, those in (("no member", share == 0), ("members alone", share == 1)):
            if those.any():
                raise InputError(
                    f"{self.file}: field {self.numbers['test'][those][0]}, held out for the test, has {what}; remove "
                    "it, or change star_fields.share"
                )

    def _stars(self) -> tuple[NDArray[np.int64], dict[str, Array]]:
        """Numbers of the fields, and each column of the table, (fields, n)."""
        table = self._table()
        counts = table.group_by("field", maintain_order=True).len()
        n, k = int(counts["len"][0]), self.settings.neighbours
        odd = counts.filter(pl.col("len") != n)
        if len(odd):
            raise InputError(
                f"{self.file}: field {odd['field'][0]} has {odd['len'][0]} stars, field {counts['field'][0]} has {n}; "
                "give each field as many"
            )
        if n <= k:
            raise InputError(
                f"{self.file}: {n} stars in a field are too few for {k} neighbours; lower spectral.data.neighbours"
            )
        columns = {name: table[name].to_numpy().astype(float).reshape(-1, n) for name in COLUMNS}
        return counts["field"].to_numpy(), columns

    def _table(self) -> pl.DataFrame:
        """The rows of the file, by field and star.

        Raises:
            InputError: it cannot be read, a column, number or all are missing, a star is there twice or on another one.
        """
        try:
            table = pl.read_csv(self.file, infer_schema_length=None)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{self.file}: cannot read it ({error}); `dvc repro draw_star_fields` makes it") from error
        if missing := [column for column in COLUMNS if column not in table.columns]:
            raise InputError(f"{self.file}: column {missing[0]} is missing; add it")
        if table.is_empty():
            raise InputError(f"{self.file}: no star in it; give at least three fields")
        table = table.select(COLUMNS)
        for name, column in zip(COLUMNS, table, strict=True):
            if not column.dtype.is_numeric() or not column.is_finite().fill_null(False).all():
                raise InputError(f"{self.file}: column {name} has an entry that is no number; mend or remove the star")
        if not table["member"].is_in([0, 1]).all():
            raise InputError(f"{self.file}: column member has other values than 0 and 1; mend it")
        for key, what in ((["field", "star"], "number"), (["field", "x", "y"], "place")):
            twice = table.filter(table.select(key).is_duplicated())
            if len(twice):
                field, star = twice.select("field", "star").row(0)
                raise InputError(f"{self.file}: field {field} has two stars of one {what}, star {star}; remove one")
        return table.sort("field", "star")

    def _tensors(self, numbers: NDArray[np.int64], stars: dict[str, Array]) -> dict[str, Tensor]:
        position = np.stack([stars["x"], stars["y"]], -1)
        laplacians, spacing = np.empty((*stars["x"].shape, stars["x"].shape[1])), np.empty_like(stars["x"])
        for k, (number, place) in enumerate(zip(numbers, position, strict=True)):
            adjacency, spacing[k] = graph(place, self.settings.neighbours)
            parts = connected_components(adjacency, directed=False)[0]
            if parts > 1:
                raise InputError(
                    f"{self.file}: the graph of field {number} falls into {parts} parts; raise "
                    "spectral.data.neighbours or remove stars that are far from all others"
                )
            laplacians[k] = laplacian(adjacency.toarray(), normed=True)
        eigenvalues, basis = np.linalg.eigh(laplacians)
        distinct = 1 + (np.diff(eigenvalues) > EQUAL).sum(1)
        self.distinct_eigenvalues, self.fewest = int(distinct.min()), int(numbers[distinct.argmin()])
        brightness = stars["v"] - stars["v"].max(1, keepdims=True)
        signal = np.stack([brightness, stars["colour"], np.log10(spacing)], -1)
        arrays = {
            "position": position,
            "signal": signal,
            "member": stars["member"],
            "eigenvalues": eigenvalues,
            "basis": basis,
        }
        return {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}


def graph(position: Array, neighbours: int) -> tuple[csr_array, Array]:
    """The graph of stars at places (n, 2), and the distance of each to its k-th neighbour over the mean of them.

    Two stars are joined if either counts the other among its k nearest, with the weight exp(-d²/σ²), where σ is that
    mean (Defferrard et al. 2016, sec. 5.1).

    Returns:
        Adjacency (n, n), symmetric, and spacing (n,).
    """
    n = len(position)
    distance, index = NearestNeighbors(n_neighbors=neighbours).fit(position).kneighbors()  # none counts itself
    sigma = distance[:, -1].mean()
    weights = np.exp(-((distance / sigma) ** 2)).ravel()
    star = np.arange(n).repeat(neighbours)
    one_way = csr_array((weights, (star, index.ravel())), shape=(n, n))
    return one_way.maximum(one_way.T), distance[:, -1] / sigma
