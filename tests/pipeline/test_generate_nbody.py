"""The stage: its file, its resume, the same bytes whoever computes them, its films."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
import pytest
from conftest import ROOT, edit_params, run_stage
from PIL import Image

from datamodules.trajectories import Units
from pipeline import generate_nbody, parallel
from pipeline.errors import InputError
from pipeline.inputs.star_tables import metadata
from pipeline.nbody import trajectories, trajectory_csv
from pipeline.reporting.numbers import accuracy
from pipeline.settings.load import load_params
from pipeline.settings.nbody import NBody
from pipeline.simulation.nbody import animation, tolerance

CSV = Path("data/synthetic/nbody/trajectories.csv")
REPORT = Path("reports/nbody.json")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with parameters of 60 simulations, in blocks of 20."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    edit_params(tmp_path, {"nbody.n_simulations": 60, "runtime.workers": 1})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(generate_nbody, "BLOCK_ROWS", 20 * 55)
    monkeypatch.setattr(parallel, "FEW_JOBS", 2)
    return tmp_path


def generate(values: dict[str, object] | None = None) -> bytes:
    edit_params(Path(), values or {})
    run_stage("generate_nbody")
    return CSV.read_bytes()


def test_file_keeps_the_contract() -> None:
    content = generate()
    assert content.startswith(b"N_sim,N_star,time_step,x,y,z,vx,vy,vz\n0,0,0.0,")
    assert b"\n7,2,0.3," in content
    table = pl.read_csv(CSV)
    assert table.shape == (60 * 11 * 5, 9)
    assert table.equals(table.sort("N_sim", "time_step", "N_star"))
    assert table["time_step"].unique().sort().to_list() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    paths, _ = trajectories.simulate(load_params("params.yaml").nbody, range(60))
    for c, name in enumerate("xyz"):
        np.testing.assert_allclose(table[name].to_numpy(), paths.x[..., c].ravel(), rtol=0, atol=6e-13)
        np.testing.assert_allclose(table[f"v{name}"].to_numpy(), paths.v[..., c].ravel(), rtol=0, atol=6e-13)
    assert not any(Path("runs/generate_nbody").iterdir())


def test_report_tells_what_is_conserved(capsys: pytest.CaptureFixture[str]) -> None:
    generate()
    report = json.loads(REPORT.read_text())
    assert report["simulations"] == 60
    for name in ("relative_energy_error", "momentum_error", "angular_momentum_error"):
        assert 0 <= report[name]["median"] <= report[name]["p99"] <= report[name]["max"]
    assert report["relative_energy_error"]["median"] < 1e-4
    assert report["momentum_error"]["max"] < 1e-12
    assert report["closest_approach"] > 0
    generate({"nbody.integrator": "leapfrog", "nbody.substeps": 1, "nbody.tolerance": None})  # the course's own run
    assert json.loads(REPORT.read_text())["relative_energy_error"]["median"] > 0.3
    assert "kept by nbody.tolerance: null" in capsys.readouterr().err


def test_units_are_those_of_the_run() -> None:
    generate({"nbody.G": 2.0, "nbody.softening": 0.25})
    units = json.loads(Path("data/synthetic/nbody/units.json").read_text())
    assert (units["G"], units["softening"], units["total_mass"]) == (2.0, 0.25, 20.0)
    generate({"nbody.initial_conditions": "plummer"})
    assert json.loads(Path("data/synthetic/nbody/units.json").read_text())["total_mass"] == 1.0
    generate({"nbody.mass_function": "salpeter"})
    assert json.loads(Path("data/synthetic/nbody/units.json").read_text())["total_mass"] is None


def test_tolerance_is_met_or_reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    generate({"nbody.tolerance": 1e-6})
    report = json.loads(REPORT.read_text())
    assert report["relative_energy_error"]["max"] <= 1e-6
    assert report["redone_with_finer_steps"] > 0
    assert report["tolerance_missed"] == 0
    monkeypatch.setattr(tolerance, "LEAST_STEP_ERROR", 5e-5)
    generate({"nbody.tolerance": 1e-7})
    report = json.loads(REPORT.read_text())
    assert report["tolerance_missed"] == len(report["simulations_that_missed_it"]) > 0
    assert f"{report['tolerance_missed']} simulations miss nbody.tolerance" in capsys.readouterr().err
    assert accuracy(report)["scalars"]["tolerance missed"] == str(report["tolerance_missed"]), "the page shows it"


def test_simulation_k_is_the_same_in_a_longer_run() -> None:
    short = generate()
    assert generate({"nbody.n_simulations": 75}).startswith(short)
    assert not generate({"nbody.seed": 2}).startswith(short)


def test_masses_get_a_column_where_they_differ() -> None:
    generate({"nbody.initial_conditions": "plummer", "nbody.mass_function": "kroupa", "nbody.mass_segregation": 0.5})
    table = pl.read_csv(CSV)
    assert table.columns[-1] == "mass"
    masses = (
        table.filter(pl.col("time_step") == 0.5)
        .group_by("N_sim")
        .agg(pl.col("mass").sum(), n=pl.col("mass").n_unique())
    )
    np.testing.assert_allclose(masses["mass"], 1, rtol=1e-11)
    assert (masses["n"] == 5).all()


def test_parquet_holds_the_same_rows_and_its_physics() -> None:
    generate({"nbody.softening": 0.2})
    table = pl.read_csv(CSV)
    edit_params(Path(), {"nbody.format": "parquet"})
    run_stage("generate_nbody")
    assert [path.name for path in sorted(CSV.parent.iterdir())] == ["trajectories.parquet", "units.json"]
    assert pl.read_parquet(CSV.with_suffix(".parquet")).equals(table)
    assert metadata(CSV.with_suffix(".parquet")) == Units.read(CSV.with_name("units.json"))
    assert metadata(CSV.with_suffix(".parquet")).softening == 0.2  # type: ignore[union-attr]


def test_one_large_system_is_written_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    values: dict[str, object] = {"nbody.n_simulations": 2, "nbody.n_stars": 100, "nbody.initial_conditions": "king"}
    whole = generate(values)
    monkeypatch.setattr(trajectory_csv, "PIECE_ROWS", 300)
    assert generate() == whole


# --- resume, backends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["between blocks", "while appending", "after moving the rows"])
def test_what_is_done_is_not_done_again(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, report = generate(), REPORT.read_bytes()
    CSV.unlink()
    REPORT.unlink()
    done: list[int] = []
    simulate_block, append, summary = generate_nbody.simulate_block, generate_nbody.append, generate_nbody.summary

    def simulating(nbody: NBody, block: range, part: Path) -> Path:
        if moment == "between blocks" and len(done) == 2:
            raise KeyboardInterrupt
        done.append(block.start)
        return simulate_block(nbody, block, part)

    def appending(part: Path, rows: BinaryIO, appended: int) -> None:
        if moment == "while appending" and appended == 2:
            rows.write(part.read_bytes()[:1000])
            raise KeyboardInterrupt
        append(part, rows, appended)

    def summarising(nbody: NBody, parts: list[Path]) -> dict[str, object]:
        if moment == "after moving the rows":
            raise KeyboardInterrupt
        return summary(nbody, parts)

    with monkeypatch.context() as patch:
        patch.setattr(generate_nbody, "simulate_block", simulating)
        patch.setattr(generate_nbody, "append", appending)
        patch.setattr(generate_nbody, "summary", summarising)
        with pytest.raises(KeyboardInterrupt):
            generate()
    assert not REPORT.exists()
    first = len(done)
    monkeypatch.setattr(generate_nbody, "simulate_block", simulating)
    moment = "over"
    assert generate() == whole
    assert REPORT.read_bytes() == report
    if first < 3:
        assert sorted(done) == [0, 20, 40]


def start_run(folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.generate_nbody"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_first_compilation_says_so_and_is_cached(folder: Path) -> None:
    for said in (True, False):
        run = start_run(folder, NUMBA_CACHE_DIR=str(folder / "cache"))
        assert ("compiling the N-body kernels" in run.communicate()[1]) is said
        assert run.returncode == 0


@pytest.mark.slow
def test_killed_run_resumes_to_the_same_bytes(folder: Path) -> None:
    """As a user sees it: real processes, kill -9, the same command again."""
    edit_params(folder, {"nbody.n_simulations": 30_000, "runtime.workers": 2})
    killed = start_run(folder)
    while not list(Path("runs").rglob("*.csv")):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not CSV.exists()
    assert list(Path("runs").rglob("*.csv"))
    assert start_run(folder).wait() == 0
    resumed = CSV.read_bytes()
    CSV.unlink()
    assert start_run(folder).wait() == 0
    assert CSV.read_bytes() == resumed


def test_two_processes_write_the_same_bytes() -> None:
    alone = generate(), REPORT.read_bytes()
    assert (generate({"runtime.workers": 2}), REPORT.read_bytes()) == alone


@pytest.mark.slow
def test_dask_cluster_of_two_workers_writes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two worker processes on loopback, found by DASK_SCHEDULER_ADDRESS as on a real cluster."""
    distributed = pytest.importorskip("distributed")
    import dask

    alone = generate(), REPORT.read_bytes()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with dask.config.set({"scheduler-address": cluster.scheduler_address}):
            assert (generate({"runtime.parallel_backend": "dask"}), REPORT.read_bytes()) == alone
    assert (generate(), REPORT.read_bytes()) == alone  # without an address: its own workers


# --- mistakes, films -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"nbody.dt": 0.3}, "nbody.dt: t_end = 1.0"),
        ({"nbody.dt": 2.0}, "nbody.dt: t_end = 1.0"),
        ({"nbody.tolerance": 0.0}, "nbody.tolerance"),
        ({"nbody.fractal_dimension": 3.5}, "nbody.fractal_dimension"),
        ({"nbody.mass_segregation": 2.0}, "nbody.mass_segregation"),
        ({"nbody.integrator": "euler"}, "nbody.integrator"),
        ({"runtime.parallel_backend": "carrier-pigeon"}, "loky or dask"),
    ],
)
def test_mistakes_are_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        generate(values)
    assert not CSV.exists()


def test_runaway_numbers_are_named() -> None:
    with pytest.raises(InputError, match=r"raise nbody\.softening"):
        generate({"nbody.softening": 0.0, "nbody.G": 1e12, "nbody.substeps": 1})


def test_animation_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "FRAMES", 20)
    run_stage("generate_nbody", "--animate", "3", "film.gif")
    with Image.open("film.gif") as film:
        assert film.n_frames == 20
        pictures = []
        for frame in (0, film.n_frames // 2, film.n_frames - 1):
            film.seek(frame)
            pictures.append(np.asarray(film.convert("L"), dtype=float))
    assert pictures[0].shape[1] <= 900
    sky = pictures[0][100:-100, 120:-200]
    assert np.median(sky) < 30 and sky.max() > 100  # stars on a dark sky
    assert all(np.abs(now - then).max() > 100 for then, now in pairwise(pictures))
    assert not CSV.exists()


@pytest.mark.parametrize("arguments", [("60", "film.gif"), ("x", "film.gif"), ("1", "film.avi")])
def test_animation_mistakes(arguments: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="--animate"):
        run_stage("generate_nbody", "--animate", *arguments)


def test_mp4_without_ffmpeg_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="ffmpeg"):
        run_stage("generate_nbody", "--animate", "1", "film.mp4")


@pytest.mark.parametrize("by_params", [False, True])
def test_live_view_without_display_goes_on(by_params: bool, capsys: pytest.CaptureFixture[str]) -> None:
    edit_params(Path(), {"runtime.plot_real_time": by_params})
    run_stage("generate_nbody", *([] if by_params else ["--live"]))
    assert "no display" in capsys.readouterr().err
    assert CSV.exists()
