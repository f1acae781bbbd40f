"""Graphs of fields of stars against brute force, splits, and bad tables of stars."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from datamodules.star_fields import StarFieldsDataModule, graph
from lit_modules.networks.spectral.laplacian import normalized_laplacian
from pipeline.errors import InputError


def stars(fields: int = 10, n: int = 12) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    rows = fields * n
    return pl.DataFrame(
        {
            "field": np.arange(fields).repeat(n),
            "star": np.tile(np.arange(n), fields),
            "x": rng.normal(size=rows),
            "y": rng.normal(size=rows),
            "v": rng.uniform(10, 20, rows),
            "colour": rng.normal(0.7, 0.2, rows),
            "colour_error": 0.05,
            "member": rng.integers(0, 2, rows),
        }
    )


def data(folder: Path, table: pl.DataFrame, **changes: object) -> StarFieldsDataModule:
    table.write_csv(folder / "stars.csv")
    values = {"batch_size": 2, "neighbours": 4, "val_fraction": 0.2, "test_fraction": 0.3} | changes
    datamodule = StarFieldsDataModule(folder, seed=1, **values)
    datamodule.setup()
    return datamodule


def test_graph_is_that_of_the_nearest_neighbours() -> None:
    position = np.random.default_rng(0).normal(size=(20, 2))
    adjacency, spacing = graph(position, 4)
    distance = np.linalg.norm(position[:, None] - position[None], axis=-1)
    fourth = np.sort(distance, axis=1)[:, 4]
    joined = distance <= fourth[:, None]
    expected = np.where(joined | joined.T, np.exp(-((distance / fourth.mean()) ** 2)), 0)
    np.fill_diagonal(expected, 0)
    assert np.allclose(adjacency.toarray(), expected, atol=1e-12)
    assert np.allclose(spacing, fourth / fourth.mean())


def test_no_star_counts_itself_among_its_neighbours() -> None:
    """Far from the origin distances by brute force, which scikit-learn takes for many neighbours, lose digits."""
    adjacency, _ = graph(1e7 + np.random.default_rng(0).normal(size=(12, 2)), 6)
    assert not adjacency.diagonal().any()
    assert ((adjacency > 0).sum(1) >= 6).all()


def test_basis_is_that_of_the_normalised_laplacian(tmp_path: Path) -> None:
    train = data(tmp_path, stars()).splits["train"]
    for position, eigenvalues, basis in zip(train["position"], train["eigenvalues"], train["basis"], strict=True):
        weights = torch.from_numpy(graph(position.double().numpy(), 4)[0].toarray())
        rebuilt = basis.double() @ torch.diag(eigenvalues.double()) @ basis.double().T
        assert torch.allclose(rebuilt, normalized_laplacian(weights), atol=1e-5)


def test_batches_hold_the_table(tmp_path: Path) -> None:
    table = stars()
    datamodule = data(tmp_path, table.sample(fraction=1.0, shuffle=True, seed=1))  # rows in any order
    assert {split: len(numbers) for split, numbers in datamodule.numbers.items()} == {"val": 2, "test": 3, "train": 5}
    assert sorted(np.concatenate(list(datamodule.numbers.values()))) == list(range(10))
    shapes = {"position": (12, 2), "signal": (12, 3), "member": (12,), "eigenvalues": (12,), "basis": (12, 12)}
    for batch in datamodule.train_dataloader():
        assert {name: tensor.shape[1:] for name, tensor in batch.items()} == shapes
        assert all(tensor.dtype == torch.float32 for tensor in batch.values())
    field = table.filter(pl.col("field") == datamodule.numbers["test"][0])
    test = {name: tensor[0].numpy() for name, tensor in datamodule.splits["test"].items()}
    assert np.allclose(test["position"], field.select("x", "y"), atol=1e-6)
    assert np.allclose(test["signal"][:, 0], field["v"] - field["v"].max(), atol=1e-5)
    assert np.allclose(test["signal"][:, 1], field["colour"], atol=1e-6)
    assert np.array_equal(test["member"], field["member"])
    assert datamodule.distinct_eigenvalues == 12


def moved(table: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """The table with other entries of the star 2 of the field 3."""
    there = (pl.col("field") == 3) & (pl.col("star") == 2)
    return table.with_columns(
        pl.when(there).then(value).otherwise(pl.col(name)).alias(name) for name, value in columns.items()
    )


SECOND = {name: pl.col(name).filter((pl.col("field") == 3) & (pl.col("star") == 1)).first() for name in ("x", "y")}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (moved(stars(), **SECOND), "field 3 has two stars of one place, star 1; remove one"),
        (moved(stars(), star=pl.lit(1)), "field 3 has two stars of one number, star 1; remove one"),
        (moved(stars(), v=pl.lit(float("nan"))), "column v has an entry that is no number"),
        (moved(stars(), colour=pl.lit(None)), "column colour has an entry that is no number"),
        (moved(stars(), member=pl.lit(2)), "column member has other values than 0 and 1"),
        (stars().drop("colour"), "column colour is missing"),
        (stars()[:-1], "field 9 has 11 stars, field 0 has 12; give each field as many"),
        (stars(n=4), "4 stars in a field are too few for 4 neighbours; lower spectral.data.neighbours"),
        (stars(2), "2 fields leave a split empty"),
        (stars().clear(), "no star in it"),
        (
            stars().with_columns(pl.col("x") + pl.when(pl.col("star") < 6).then(0).otherwise(1000)),
            "the graph of field 0 falls into 2 parts; raise spectral.data.neighbours",
        ),
        (stars().with_columns(member=pl.lit(0)), r"field \d, held out for the test, has no member; remove it"),
        (stars().with_columns(member=pl.lit(1)), r"field \d, held out for the test, has members alone; remove it"),
    ],
)  # fmt: skip
def test_bad_tables_are_named_in_one_line(tmp_path: Path, table: pl.DataFrame, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        data(tmp_path, table)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    datamodule = StarFieldsDataModule(tmp_path, seed=1, batch_size=2, neighbours=4, val_fraction=0.2, test_fraction=0.3)
    with pytest.raises(InputError, match=r"stars\.csv: cannot read it"):
        datamodule.setup()
