"""Trajectories from the CSV: the right numbers in the right windows, and every mistake named."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from datamodules import trajectory_file
from datamodules.nbody import NBodyDataModule, tensors
from datamodules.trajectories import Units, systems_by_stars
from datamodules.trajectory_file import read_tables
from pipeline.errors import InputError

SYSTEMS, TIMES, STARS = 10, 5, 3


def table() -> pl.DataFrame:
    """Coordinates that tell simulation, time and star: x = 100 sim + 10 step + star."""
    sim, step, star = (grid.ravel() for grid in np.mgrid[:SYSTEMS, :TIMES, :STARS])
    x = 100.0 * sim + 10 * step + star
    columns = {"N_sim": sim, "N_star": star, "time_step": np.round(0.1 * step, 10), "x": x, "y": x + 0.1, "z": x + 0.2}
    return pl.DataFrame({**columns, "vx": -x, "vy": -x - 0.1, "vz": -x - 0.2})


def written(frame: pl.DataFrame, folder: Path) -> Path:
    frame.write_csv(folder / "trajectories.csv")
    return folder / "trajectories.csv"


def read_trajectories(path: Path) -> dict[str, torch.Tensor]:
    [systems] = systems_by_stars(pl.concat(read_tables(path)), str(path))
    return tensors(systems)


def module(path: Path, horizon: int = 2) -> NBodyDataModule:
    return NBodyDataModule(path.parent, batch_size=4, horizon=horizon, val_fraction=0.2, test_fraction=0.3, seed=3)


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    runs = read_trajectories(written(table().sample(fraction=1.0, shuffle=True, seed=0), tmp_path))
    assert runs["position"].shape == runs["velocity"].shape == (SYSTEMS, TIMES, STARS, 3)
    assert runs["position"][7, 2, 1].tolist() == pytest.approx([721, 721.1, 721.2])
    assert runs["velocity"][7, 2, 1].tolist() == pytest.approx([-721, -721.1, -721.2])
    assert runs["time"][4].tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_windows_are_consecutive_and_splits_are_by_simulation(tmp_path: Path) -> None:
    data = module(written(table(), tmp_path))
    data.setup("fit")
    simulations = {}
    for split, systems in (("train", 5), ("val", 2), ("test", 3)):
        x = data.windows(split)[0]["position"][..., 0]
        assert x.shape == (systems * 3, 3, STARS)
        assert (x.diff(dim=1) == 10).all() and (x.diff(dim=2) == 1).all()
        simulation = -data.windows(split)[0]["velocity"][..., 0] // 100
        assert (simulation == simulation[:, :1, :1]).all(), "a window stays within its simulation"
        assert torch.allclose(data.windows(split)[0]["time"].diff(dim=1), torch.tensor(0.1))
        simulations[split] = set(simulation[:, 0, 0].int().tolist())
        assert simulations[split] == set(data.numbers[split])
        assert data.trajectories[split][0]["position"].shape == (systems, TIMES, STARS, 3)
    assert sorted(k for split in simulations.values() for k in split) == list(range(SYSTEMS))
    again = module(data.file)
    again.setup("fit")
    splits = data.trajectories
    assert all(torch.equal(again.windows(s)[0]["position"], data.windows(s)[0]["position"]) for s in splits)


def test_units_are_those_beside_the_trajectories(tmp_path: Path) -> None:
    data = module(written(table(), tmp_path))
    data.setup()
    assert data.units is None
    words = dict.fromkeys(("length_unit", "time_unit", "mass_unit"), "N-body unit")
    (tmp_path / "units.json").write_text(json.dumps({"G": 2.0, "softening": 0.1, "total_mass": None, **words}))
    data = module(data.file)
    data.setup()
    assert data.units == Units(2.0, 0.1, None, *words.values())
    (tmp_path / "units.json").write_text('{"G": 2.0}')
    with pytest.raises(InputError, match=r"units\.json"):
        module(data.file).setup()


@pytest.mark.parametrize("name", ["mass", "charge"])
def test_attributes(tmp_path: Path, name: str) -> None:
    frame = table().with_columns((pl.col("N_sim") + 0.25 * pl.col("N_star") + 1).alias(name))
    data = module(written(frame, tmp_path))
    data.setup("fit")
    found = data.windows("train")[0]
    expected = -found["velocity"][:, 0, :1, 0] // 100 + 1 + 0.25 * torch.arange(3)
    assert torch.equal(found[name], expected)


def test_stars_far_from_the_origin_keep_their_distances(tmp_path: Path) -> None:
    """A thousandth apart at 100 000, where a float32 knows no more than hundredths."""
    near = table().with_columns(x=1e5 + 1e-3 * pl.col("N_star"))
    data = module(written(near, tmp_path))
    data.setup("fit")
    x = data.windows("train")[0]["position"][..., 0]
    assert torch.allclose(x.diff(dim=2), torch.tensor(1e-3), rtol=1e-4, atol=0)


def test_pyg_graphs_hold_the_same(tmp_path: Path) -> None:
    data = module(written(table().with_columns(mass=pl.lit(2.0)), tmp_path))
    data.setup("fit")
    graphs, [found] = data.to_pyg("val"), data.windows("val")
    assert len(graphs) == len(found["time"]) and graphs[0].num_nodes == STARS
    assert graphs[0].is_undirected() and graphs[0].num_edges == STARS * (STARS - 1)
    assert torch.equal(graphs[2].pos, found["position"][2, 0]) and torch.equal(graphs[2].mass, found["mass"][2])
    assert torch.equal(graphs[2].y_vel[:, 1], found["velocity"][2, 2])


def change(column: str, row: int, value: float | str | None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def spoil(frame: pl.DataFrame) -> pl.DataFrame:
        if isinstance(value, str):
            frame = frame.with_columns(pl.col(column).cast(str))
        here = pl.int_range(pl.len()) == row
        return frame.with_columns(pl.when(here).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))

    return spoil


def coincident(frame: pl.DataFrame, apart: float = 0.0) -> pl.DataFrame:
    both = (pl.col("N_sim") == 6) & (pl.col("time_step") == 0.2) & (pl.col("N_star") < 2)
    place = 1.0 + apart * pl.col("N_star")
    return frame.with_columns(pl.when(both).then(place).otherwise(pl.col(name)).alias(name) for name in "xyz")


def only(condition: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.filter(condition)


def having(**columns: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(**columns)


SIM, STAR, TIME = pl.col("N_sim"), pl.col("N_star"), pl.col("time_step")
MISTAKES: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "missing column": (lambda frame: frame.drop("vy"), "column vy is missing"),
    "unknown column": (having(colour=pl.lit(1.0)), "column colour is one too many"),
    "both attributes": (having(mass=pl.lit(1.0), charge=pl.lit(1.0)), "column charge is one too many"),
    "NaN": (change("vz", 20, float("nan")), "line 22 has no number in column vz"),
    "infinity": (change("x", 0, float("inf")), "line 2 has no number in column x"),
    "empty value": (change("y", 5, None), "line 7 has no number in column y"),
    "text": (change("x", 3, "far"), "not a table of numbers"),
    "no rows": (lambda frame: frame.head(0), "the last line is cut or missing"),
    "star missing at one time": (
        only((SIM != 4) | (STAR != 1) | (TIME != 0.3)),
        "simulation 4 has 2 stars at time 0.3",
    ),
    "one star": (only(STAR == 0), "simulations of one star"),
    "short simulation": (only((SIM != 2) | (TIME < 0.3)), "simulation 2 has 3 times, others 5"),
    "star twice": (change("N_star", 4, 0), "column N_star changes"),
    "other times": (having(time_step=TIME * pl.when(SIM == 3).then(2).otherwise(1)), "column time_step changes"),
    "uneven times": (having(time_step=TIME**2), "not evenly spaced"),
    "mass that changes": (having(mass=1 + TIME), "column mass changes"),
    "mass of nothing": (having(mass=pl.lit(0.0)), "line 2: a mass is not positive"),
    "coincident stars": (coincident, "two stars of simulation 6 lie on one point at time 0.2"),
    "stars that single precision cannot tell apart": (
        lambda frame: coincident(frame, 1e-12),
        "two stars of simulation 6 lie on one point at time 0.2",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(tmp_path: Path, mistake: str) -> None:
    spoil, words = MISTAKES[mistake]
    path = written(spoil(table()), tmp_path)
    with pytest.raises(InputError) as error:
        module(path).setup("fit")
    assert words in str(error.value) and str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_cut_last_line(tmp_path: Path) -> None:
    path = written(table(), tmp_path)
    for lost in (1, 3, 20):  # the line end; a number's last digits; whole numbers
        (tmp_path / "cut.csv").write_bytes(path.read_bytes()[:-lost])
        with pytest.raises(InputError, match=r"cut\.csv: the last line is cut"):
            read_trajectories(tmp_path / "cut.csv")


def test_horizon_longer_than_the_run(tmp_path: Path) -> None:
    path = written(table(), tmp_path)
    module(path, horizon=TIMES - 1).setup("fit")
    with pytest.raises(InputError, match=r"runs of 5 outputs are too short for a horizon of 5 steps; lower gnn\.data"):
        module(path, horizon=TIMES).setup("fit")


def test_too_few_simulations(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 simulations leave a split empty"):
        module(written(table().filter(pl.col("N_sim") < 2), tmp_path)).setup("fit")


def test_no_table(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    for name in ("absent.csv", "empty.csv", "binary.csv"):
        with pytest.raises(InputError, match=name):
            read_trajectories(tmp_path / name)


def test_parquet_is_read_as_the_csv(tmp_path: Path) -> None:
    path = written(table(), tmp_path)
    expected = read_trajectories(path)
    table().write_parquet(path.with_suffix(".parquet"))
    path.unlink()
    data = module(path)
    assert data.file.suffix == ".parquet"
    assert all(torch.equal(tensor, expected[name]) for name, tensor in read_trajectories(data.file).items())
    data.setup("fit")


def test_unequal_numbers_of_stars_make_groups(tmp_path: Path) -> None:
    frame = table().filter((SIM % 3 > 0) | (STAR < 2))  # simulations 0, 3, 6 and 9 have two stars
    data = module(written(frame, tmp_path))
    data.setup("fit")
    seen = []
    for split, groups in data.trajectories.items():
        for windows, runs in zip(data.windows(split), groups, strict=True):
            n = windows["position"].shape[2]
            simulations = (-runs["velocity"][:, 0, 0, 0] // 100).int().tolist()
            assert all((2 if k % 3 == 0 else 3) == n for k in simulations)
            seen += simulations
    assert sorted(seen) == list(range(SYSTEMS))
    assert [len(data.trajectories["train"]), data.windows("train")[0]["position"].shape[2]] == [2, 2]
    loader = data.train_dataloader()
    rows = sum(len(batch["time"]) for batch in loader)
    assert rows == sum(len(g["time"]) // min(4, len(g["time"])) * min(4, len(g["time"])) for g in data.windows("train"))
    assert len(loader) == len(list(loader))


def test_batches_are_those_of_the_whole_table_in_memory(tmp_path: Path) -> None:
    """Simulation and time of each window, 100 sim + 10 step, as they came before the file was read in parts."""
    data = module(written(table(), tmp_path))
    data.setup("fit")
    expected = {
        "train": [[200, 100, 400, 420], [410, 120, 520, 110], [920, 210, 510, 220]],
        "val": [[600, 610, 620, 0], [10, 20]],
        "test": [[300, 310, 320, 700], [710, 720, 800, 810], [820]],
    }
    for split, rows in expected.items():
        loader = data._loader(split, shuffle=split == "train")
        loader.sampler.set_epoch(2)
        batches = list(loader)
        assert [(-batch["velocity"][:, 0, 0, 0]).int().tolist() for batch in batches] == rows
        for batch in batches:
            assert (batch["position"].diff(dim=1) == 10).all() and batch["position"].is_contiguous()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("rows", [1, 7, 40])
def test_a_file_read_in_parts_is_that_read_at_once(
    tmp_path: Path, suffix: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = table().filter((SIM % 3 > 0) | (STAR < 2)).with_columns(mass=1 + STAR)
    path = tmp_path / f"trajectories{suffix}"
    frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
    whole = trajectory_file.read_systems(path)
    monkeypatch.setattr(trajectory_file, "BATCH_ROWS", rows)
    monkeypatch.setattr(trajectory_file, "ROW_BYTES", 50)
    assert len(list(trajectory_file.read_tables(path))) > 1
    for found, expected in zip(trajectory_file.read_systems(path), whole, strict=True):
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


LATE = {
    "NaN": "line 107 has no number in column vz",
    "short simulation": "simulation 7 has 3 times, others 5",
    "other times": "column time_step changes",
    "order": "not sorted by N_sim",
}


@pytest.mark.parametrize("mistake", LATE)
def test_mistakes_beyond_the_first_part_are_named(
    tmp_path: Path, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil = {
        "NaN": change("vz", 105, float("nan")),
        "short simulation": only((SIM != 7) | (TIME < 0.3)),
        "other times": having(time_step=TIME * pl.when(SIM == 7).then(2).otherwise(1)),
        "order": lambda frame: frame.reverse(),
    }[mistake]
    path = written(spoil(table()), tmp_path)
    monkeypatch.setattr(trajectory_file, "BATCH_ROWS", 20)
    monkeypatch.setattr(trajectory_file, "ROW_BYTES", 50)
    with pytest.raises(InputError, match=LATE[mistake]) as error:
        module(path).setup("fit")
    assert str(path) in str(error.value) and "\n" not in str(error.value)
