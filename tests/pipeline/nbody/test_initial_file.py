"""Simulations that start from a file, and what close encounters do to those that are drawn."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import ROOT, edit_params, run_stage

from datamodules.trajectory_file import read_tables
from pipeline.errors import InputError
from pipeline.inputs.star_tables import read_star_table
from tests.pipeline.own_simulations import own_simulations

CSV = Path("data/nbody/trajectories.csv")


pytestmark = pytest.mark.usefixtures("tiny_folder")


def test_simulations_start_from_a_file() -> None:
    own = own_simulations([4, 4, 4])
    own.write_csv("mine.csv")
    values = {"initial_conditions": "file", "initial_file": "mine.csv", "units": "pc Msun Myr", "softening": 0.0}
    values |= {"t_end": 2 / 14.9096, "dt": 0.2 / 14.9096, "tolerance": 1e-8}
    edit_params(Path(), {f"nbody.{name}": value for name, value in values.items()})
    run_stage("generate_nbody")
    run_stage("import_nbody")
    table = pl.concat(read_tables(CSV))
    expected = read_star_table(Path("mine.csv"), "pc Msun Myr").frame
    assert table["N_sim"].n_unique() == 3 and len(table) == len(expected)
    for name in ("x", "y", "z", "mass"):  # the same motion as REBOUND's, whose G differs a little
        np.testing.assert_allclose(table[name], expected[name], rtol=0, atol=2e-4)
    units = json.loads(CSV.with_name("units.json").read_text())
    assert (units["G"], units["total_mass"], units["length_unit"]) == (1.0, None, "pc")


def test_example_is_a_start_with_the_mass_of_the_course(capsys: pytest.CaptureFixture[str]) -> None:
    example = ROOT / "examples/nbody_systems.csv"
    edit_params(Path(), {"nbody.initial_conditions": "file", "nbody.initial_file": str(example)})
    run_stage("generate_nbody")
    run_stage("import_nbody")
    np.testing.assert_allclose(
        pl.concat(read_tables(CSV)).to_numpy(), pl.read_csv(example).to_numpy(), rtol=0, atol=1e-9
    )
    assert "share a mass of 20" in capsys.readouterr().err


def test_starts_of_unequal_systems_are_refused() -> None:
    own_simulations([3, 4]).write_csv("mine.csv")
    edit_params(Path(), {"nbody.initial_conditions": "file", "nbody.initial_file": "mine.csv"})
    with pytest.raises(InputError, match=r"mine\.csv: simulations of 3 and 4 stars"):
        run_stage("generate_nbody")


# --- bad physics, bad sizes ----------------------------------------------------------------------------------------


def test_head_on_collisions_never_reach_the_training() -> None:
    values = {"n_stars": 2, "softening": 0.0, "virial_ratio": 0.0, "n_simulations": 5}
    edit_params(Path(), {f"nbody.{name}": value for name, value in values.items()})
    with pytest.raises(
        InputError, match=r"nbody: simulation \d has a relative energy error of .*raise nbody\.softening"
    ):
        run_stage("generate_nbody")
    assert not Path("data").exists()


def test_close_encounters_are_redone() -> None:
    edit_params(Path(), {"nbody.softening": 0.01, "nbody.integrator": "force_gradient4", "nbody.substeps": 1})
    run_stage("generate_nbody")
    report = json.loads(Path("reports/nbody.json").read_text())
    assert report["redone_with_finer_steps"] > 0 and report["relative_energy_error"]["max"] <= 1e-4
