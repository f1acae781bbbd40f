"""Somebody's own simulations, made with REBOUND in pc, Msun and Myr, from one line of params.yaml to a forecast."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from conftest import edit_params, run_stage
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.trajectories import Units, systems_by_stars
from datamodules.trajectory_file import read_tables
from pipeline.errors import InputError
from pipeline.import_nbody import renumbered
from pipeline.inputs.star_tables import StarTable, metadata
from pipeline.inputs.star_units import StarUnits
from pipeline.simulation.nbody.gravity import invariants
from tests.pipeline.own_simulations import own_simulations

CSV = Path("data/nbody/trajectories.csv")


pytestmark = pytest.mark.usefixtures("tiny_folder")


def imported(table: pl.DataFrame, **params: Any) -> pl.DataFrame:
    table.write_csv("mine.csv")
    edit_params(Path(), {"nbody.source": "mine.csv", **{f"nbody.{name}": value for name, value in params.items()}})
    run_stage("import_nbody")
    return pl.concat(read_tables(CSV))


def test_energy_is_conserved_in_our_units(capsys: pytest.CaptureFixture[str]) -> None:
    own = own_simulations([4] * 6).sample(fraction=1, shuffle=True, seed=0)
    [systems] = systems_by_stars(imported(own, units="pc Msun Myr"), "")
    energy = invariants(systems["position"], systems["velocity"], systems["mass"][:, None], 0.0).energy
    assert np.abs(energy / energy[:, :1] - 1).max() < 2e-3  # REBOUND's own constants differ from astropy's
    assert systems["time"][0, 1] == pytest.approx(0.2 / 14.9096, rel=1e-4)
    assert systems["N_sim"].tolist() == [0, 1, 2, 3, 4, 5]
    units = Units.read(CSV.with_name("units.json"))
    assert units is not None and (units.G, units.softening, units.length_unit) == (1.0, 0.0, "pc")
    told = capsys.readouterr()
    assert "columns left out: colour" in told.err and "6 simulations (6 of 4 stars), 11 times" in told.out


def test_wrong_units_are_told_by_the_energy(capsys: pytest.CaptureFixture[str]) -> None:
    imported(own_simulations([4] * 4), units="AU Msun yr")
    assert "check nbody.units" in capsys.readouterr().err
    units = Units.read(CSV.with_name("units.json"))
    assert units is not None and units.gravity is None


def test_times_that_are_numbers_of_frames_are_told_by_the_motion(capsys: pytest.CaptureFixture[str]) -> None:
    table = own_simulations([4, 4])
    imported(table, units="pc Msun Myr")
    assert "velocities" not in capsys.readouterr().err
    imported(table.with_columns(pl.col("Time") / 0.2), units="pc Msun Myr")
    assert "between outputs the stars move 0.2 times as far as their velocities say" in capsys.readouterr().err


def test_equal_masses_become_their_total() -> None:
    table = imported(own_simulations([4] * 4, equal=True), units="pc Msun Myr")
    units = Units.read(CSV.with_name("units.json"))
    assert "mass" not in table.columns and units is not None and units.total_mass == pytest.approx(32.0)
    assert units.gravity == (1.0, 0.0)


def test_from_own_table_to_a_forecast_in_own_units(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for the source and one for its units: the network learns systems of 3, 4 and 5 stars."""
    own = own_simulations([3, 4, 5, 4] * 6)
    imported(own, units="pc Msun Myr")
    run_stage("train", "gnn")
    content = torch.load("models/gnn.ckpt", weights_only=True)
    assert content["hyper_parameters"]["attribute"] == "mass"
    assert content["state_dict"]["stars_range"].tolist() == [3, 5]
    run_stage("evaluate", "gnn")
    report = json.loads(Path("reports/evaluate/gnn.json").read_text())
    leapfrog, straight = (
        report[f"baseline/{name}/one_step_position_mse"] for name in ("leapfrog_10_substeps", "constant_velocity")
    )
    assert leapfrog < 1e-3 * straight, "the law of force is known and right"

    capsys.readouterr()
    few = own.filter(pl.col("Run") < 8)
    few.write_csv("few.csv")
    run_stage("predict", "gnn", "few.csv", "--units", "pc Msun Myr", "--out", "out")
    answer = json.loads(Path("out/few.json").read_text())
    assert (answer["systems"], answer["fewest_stars"], answer["most_stars"]) == (3, 3, 5)
    assert answer["units"] == "pc Msun Myr"
    assert answer["time_step"] == pytest.approx(0.2, rel=1e-5)
    assert answer["warnings"] == ["columns left out: colour"]
    forecast = pl.read_csv("out/few_forecast.csv")
    assert forecast.columns == ["N_sim", "N_star", "time_step", "x", "y", "z", "vx", "vy", "vz", "mass"]
    order = few.sort("Run", "Time", "ID")
    assert forecast["N_sim"].equals(order["Run"], check_dtypes=False)
    for ours, theirs in (("time_step", "Time"), ("mass", "M")):
        np.testing.assert_allclose(forecast[ours], order[theirs], rtol=1e-5)
    start = (forecast["time_step"] == 0).arg_true()
    for axis in "xyz":
        np.testing.assert_allclose(forecast[axis][start], order[f"Pos_{axis.upper()}"][start], rtol=1e-5)
        np.testing.assert_allclose(forecast[f"v{axis}"][start], order[f"Vel_{axis.upper()}"][start], rtol=1e-5)

    run_stage(
        "predict", "gnn", "out/few_forecast.csv", "--units", "pc Msun Myr", "--out", "again"
    )  # an answer is an input

    si = few.with_columns(pl.col("^Pos_.$") * 3.0857e16, pl.col("^Vel_.$") * 977.8, pl.col("M") * 1.98841e30).filter(
        pl.col("Time") == 0
    )
    si.write_csv("si.csv")
    with pytest.raises(InputError, match="no answer"):
        run_stage("predict", "gnn", "si.csv", "--out", "out")
    assert "the network was trained in physical units; state --units" in capsys.readouterr().err
    run_stage("predict", "gnn", "si.csv", "--units", "nbody", "--out", "out")  # it is in metres
    warnings = json.loads(Path("out/si.json").read_text())["warnings"]
    assert [text.split(" from")[0] for text in warnings[1:]] == ["distances of stars", "speeds", "masses"]
    run_stage("predict", "gnn", "si.csv", "--units", "m kg s", "--out", "metres")
    assert json.loads(Path("metres/si.json").read_text())["warnings"] == warnings[:1]


def test_numbers_of_stars_outside_the_training() -> None:
    imported(own_simulations([4] * 12, equal=True), units="pc Msun Myr")
    run_stage("train", "gnn")
    own_simulations([2], equal=True).write_csv("two.csv")
    run_stage("predict", "gnn", "two.csv", "--units", "pc Msun Myr", "--out", "out")
    warnings = json.loads(Path("out/two.json").read_text())["warnings"]
    assert any(text.startswith("numbers of stars from 2 to 2 lie outside the training, 4 to 4") for text in warnings)
    assert not any("masses" in text for text in warnings), "they are those of the training"


def test_parquet_carries_its_physics_through() -> None:
    edit_params(Path(), {"nbody.format": "parquet", "nbody.n_simulations": 20, "nbody.softening": 0.2})
    run_stage("generate_nbody")
    run_stage("import_nbody")
    parquet = CSV.with_suffix(".parquet")
    assert not CSV.exists() and metadata(parquet) == Units.read(CSV.with_name("units.json"))
    run_stage("train", "gnn")
    Path("mine.parquet").write_bytes(parquet.read_bytes())  # as the source of somebody else
    edit_params(Path(), {"nbody.source": "mine.parquet"})
    run_stage("import_nbody")
    assert Units.read(CSV.with_name("units.json")) == metadata(Path("mine.parquet"))
    assert pl.concat(read_tables(parquet)).equals(pl.concat(read_tables(Path("mine.parquet"))))
    edit_params(Path(), {"nbody.units": "pc Msun Myr"})
    with pytest.raises(InputError, match=r"mine\.parquet: its metadata say N-body unit, not pc Msun Myr"):
        run_stage("import_nbody")


@pytest.mark.parametrize("masses", ["none", "equal", "of each star"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_read_in_parts_is_that_read_at_once(
    suffix: str, masses: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty simulations of 3 stars (and, where masses differ, 4), numbered 5, 6, ..., in parts of a few."""
    rng, rows = np.random.default_rng(0), []
    for number in range(5, 25):
        n = 4 if masses == "of each star" and number % 2 else 3
        x, v = rng.normal(size=(2, n, 3))
        rows += [
            (number, k, t, *(x[k] + t * v[k] / 10), *v[k] / 10, 0.5 + k) for t in (0.0, 0.5, 1.0) for k in range(n)
        ]
    frame = pl.DataFrame(rows, ["N_sim", "N_star", "time_step", "x", "y", "z", "vx", "vy", "vz", "mass"], orient="row")
    if masses != "of each star":
        frame = frame.drop("mass") if masses == "none" else frame.with_columns(mass=pl.lit(0.25))
    source = Path(f"mine.{suffix}")
    frame.write_csv(source) if suffix == "csv" else frame.write_parquet(source)
    edit_params(Path(), {"nbody.source": str(source), "nbody.format": suffix})
    results = []
    for large in (10**9, 1):
        monkeypatch.setattr("pipeline.import_nbody.LARGE", large)
        monkeypatch.setattr("datamodules.trajectory_file.BATCH_ROWS", 10**6 if large > 1 else 25)
        monkeypatch.setattr("datamodules.trajectory_file.ROW_BYTES", 60)
        run_stage("import_nbody")
        written = CSV.with_suffix(f".{suffix}")
        content = written.read_bytes() if suffix == "csv" else pl.read_parquet(written)
        results.append((content, CSV.with_name("units.json").read_text(), capsys.readouterr()))
    (whole, *told), (parts, *told_of_parts) = results
    assert (parts == whole if suffix == "csv" else parts.equals(whole)) and told_of_parts == told
    assert ("mass" in pl.scan_csv(CSV).collect_schema() if suffix == "csv" else "mass" in whole.columns) == (
        masses == "of each star"
    )


def test_what_is_generated_is_linked() -> None:
    run_stage("generate_nbody")
    run_stage("import_nbody")
    made = Path("data/synthetic/nbody")
    assert sorted(path.name for path in CSV.parent.iterdir()) == ["trajectories.csv", "units.json"]
    assert CSV.samefile(made / "trajectories.csv")


def test_a_cluster_on_its_way_through_the_galaxy_is_the_same_cluster() -> None:
    own = own_simulations([3, 4] * 6)
    here = imported(own, units="pc Msun Myr")
    run_stage("train", "gnn")
    moved = own.with_columns(pl.col("Pos_X") + 8000 + 220 * pl.col("Time"), pl.col("Vel_X") + 220)
    far = imported(moved, units="pc Msun Myr")
    np.testing.assert_allclose(far.to_numpy(), here.to_numpy(), rtol=0, atol=1e-8)
    answers = {}
    for name, table in (("own", own), ("moved", moved)):
        table.filter(pl.col("Run") < 7).write_csv(f"{name}.csv")
        run_stage("predict", "gnn", f"{name}.csv", "--units", "pc Msun Myr", "--out", "out")
        answers[name] = pl.read_csv(f"out/{name}_forecast.csv"), json.loads(Path(f"out/{name}.json").read_text())
    (own_rows, own_answer), (moved_rows, moved_answer) = answers.values()
    expected = own_rows.with_columns(pl.col("x") + 8000 + 220 * pl.col("time_step"), pl.col("vx") + 220)
    np.testing.assert_allclose(moved_rows.to_numpy(), expected.to_numpy(), rtol=0, atol=1e-4)
    assert moved_answer["warnings"] == own_answer["warnings"]
    assert moved_answer["position_error_median"] == pytest.approx(own_answer["position_error_median"], rel=1e-4)


def test_a_folder_of_tables_is_one_set(tiny_folder: Path) -> None:
    (tiny_folder / "runs of mine").mkdir()
    own = own_simulations([3, 3, 3])
    for (number,), table in own.group_by("Run", maintain_order=True):
        table.drop("Run").write_csv(f"runs of mine/{number}.csv")
    edit_params(tiny_folder, {"nbody.source": "runs of mine", "nbody.units": "pc Msun Myr"})
    run_stage("import_nbody")
    together = pl.concat(read_tables(CSV))
    assert together.equals(imported(own, units="pc Msun Myr"))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
@settings(max_examples=20, deadline=None)
def test_simulations_are_numbered_on(sizes: list[int]) -> None:
    def table(simulations: int) -> StarTable:
        columns = dict.fromkeys(("time_step", "x", "y", "z", "vx", "vy", "vz"), 0.0)
        frame = pl.DataFrame({"N_sim": 3.0 * np.arange(simulations), "N_star": np.zeros(simulations)})
        return StarTable(frame.with_columns(**{name: pl.lit(value) for name, value in columns.items()}), StarUnits())

    found = renumbered([table(size) for size in sizes])
    assert found["N_sim"].to_list() == list(range(sum(sizes)))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda table: table.filter((pl.col("Run") > 5) | (pl.col("Time") < 1)), "simulation 0 has 5 times, others 11"),
        (lambda table: table.filter((pl.col("ID") > 0) | (pl.col("Time") != 0.4)), "has 2 stars at time"),
        (lambda table: table.with_columns(pl.col("Time") ** 2), "not evenly spaced"),
        (lambda table: table.with_columns(M=pl.col("M") + pl.col("Time")), "column mass changes"),
        (lambda table: table.drop("Vel_Y"), "column vy is missing"),
    ],
)
def test_mistakes_are_named(spoil: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        imported(spoil(own_simulations([3, 3, 3])))
    assert "mine.csv" in str(error.value) and not Path("data").exists()


def test_no_source() -> None:
    edit_params(Path(), {"nbody.source": "nowhere.csv"})
    with pytest.raises(InputError, match=r"nowhere\.csv: no such table or folder; set nbody\.source"):
        run_stage("import_nbody")


# --- starts from a file --------------------------------------------------------------------------------------------
