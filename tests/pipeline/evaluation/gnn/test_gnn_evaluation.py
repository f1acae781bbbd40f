"""The measures of forecasts on systems whose answer is known, and evaluation and prediction as a whole."""

import json
import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from conftest import ROOT

from datamodules.nbody import NBodyDataModule
from datamodules.trajectories import Units
from lit_modules.gnn import LitGNN
from pipeline.errors import InputError
from pipeline.evaluation.common.result import numbers, write_pictures
from pipeline.evaluation.gnn import prediction
from pipeline.evaluation.gnn.evaluation import LABELS, evaluate
from pipeline.evaluation.gnn.figures import AxisUnits
from pipeline.evaluation.gnn.measures import CAP, Run, drifts, relative_error, squared_error, time_until
from pipeline.evaluation.gnn.prediction import predict
from pipeline.inputs.star_units import OURS
from pipeline.settings.load import load_params
from pipeline.simulation.nbody.integrators import integrate

PARAMS: Any = load_params(ROOT / "params.yaml").gnn
UNITS = Units(G=1.0, softening=0.1, total_mass=20.0, length_unit="", time_unit="", mass_unit="")


def runs(systems: int = 20, steps: int = 10) -> Run:
    x, v = np.random.default_rng(0).standard_normal((2, systems, 5, 3))
    return Run(*integrate(x, v, 4.0, dt=0.1, steps=steps, substeps=40, softening=0.1))


def csv(folder: Path, run: Run, dt: float = 0.1, **columns: float) -> Path:
    systems, times, n, _ = run.x.shape
    sim, step, star = (grid.ravel() for grid in np.mgrid[:systems, :times, :n])
    table = {"N_sim": sim, "N_star": star, "time_step": np.round(dt * step, 10)}
    for k, name in enumerate("xyz"):
        table |= {name: run.x[..., k].ravel(), f"v{name}": run.v[..., k].ravel()}
    frame = pl.DataFrame(table).select("N_sim", "N_star", "time_step", "x", "y", "z", "vx", "vy", "vz")
    frame.with_columns(**{name: pl.lit(value) for name, value in columns.items()}).write_csv(
        folder / "trajectories.csv"
    )
    return folder / "trajectories.csv"


def untrained(data: NBodyDataModule, **changes: object) -> LitGNN:
    torch.manual_seed(0)
    module = LitGNN(**{**PARAMS.model.model_dump(), **changes})
    data.setup("test")
    module.fit_statistics(data)
    return module.eval()


def test_measures_on_known_answers() -> None:
    true = runs()
    mass = np.full((20, 5), 4.0)
    kept = drifts(true, mass, UNITS.gravity)
    assert kept["energy"].max() < 1e-3 and kept["momentum"].max() < 1e-12 and kept["angular_momentum"].max() < 1e-6
    faster = Run(true.x, np.concatenate([true.v[:, :1], 2 * true.v[:, 1:]], 1))  # kinetic energy times four
    kinetic = 0.5 * (mass[:, None, :, None] * true.v**2).sum((2, 3))
    energy = kinetic[:, 0] - sum(
        16 / np.sqrt(((true.x[:, 0, i] - true.x[:, 0, j]) ** 2).sum(-1) + 0.01) for i in range(5) for j in range(i)
    )
    expected = np.abs(3 * kinetic[:, 1:] / energy[:, None])
    assert np.allclose(drifts(faster, mass, UNITS.gravity)["energy"][:, 1:], expected, rtol=0.1, atol=0.01)
    assert "energy" not in drifts(true, mass, None)

    away = Run(true.x + np.array([3.0, 4.0, 0.0]), true.v)
    size = np.sqrt(np.square(true.x - true.x.mean(2, keepdims=True)).mean((-1, -2)))
    assert np.allclose(relative_error(away, true), 5 / np.sqrt(3) / size)
    assert np.allclose(squared_error(away.x[:, 1], true.x[:, 1]), 25 / 3)
    lost = Run(np.full_like(true.x, np.nan), true.v)
    assert (relative_error(lost, true) == CAP).all()


def test_time_until() -> None:
    error = np.array([[0, 0.05, 0.2, 0.01], [0, 0, 0, 0], [0, 0.3, 0.4, 0.5]])
    assert time_until(error, 0.1, np.array([0.0, 1.0, 2.0, 3.0])).tolist() == [2, 3, 1]


@pytest.mark.parametrize("attribute", ["none", "mass", "charge"])
def test_evaluate(tmp_path: Path, attribute: str) -> None:
    path = csv(tmp_path, runs(), **({} if attribute == "none" else {attribute: 4.0}))
    data = NBodyDataModule(path.parent, batch_size=4, horizon=1, val_fraction=0.2, test_fraction=0.5, seed=0)
    if attribute != "charge":
        (tmp_path / "units.json").write_text(json.dumps(asdict(UNITS)))
    result = evaluate(untrained(data, attribute=attribute), data, PARAMS)
    found = numbers(result.metrics)
    write_pictures(result.pictures, tmp_path)
    assert [picture.name for picture in result.pictures] == ["tracks", "error_growth", "force_law"]
    assert all((tmp_path / f"{picture.name}.png").stat().st_size > 10_000 for picture in result.pictures)
    assert all(re.sub("_(low|high)$", "", key.split("/")[-1]) in LABELS for key in found)
    [film], [chart], items = result.animations, result.charts, result.items
    assert film.name == "rollout" and chart.kind == "predicted"
    assert items is not None and len(items) == len(result.thumbnails) == 10
    assert sorted(items["item"]) == sorted(set(items["item"])) and (items["stars"] == 5).all()
    assert items["rollout_position_error"].median() == pytest.approx(found["test/rollout_position_error"])
    low, value, high = (found[f"test/rollout_position_error{end}"] for end in ("_low", "", "_high"))
    assert low <= value <= high
    position = {key.split("/")[1]: value for key, value in found.items() if key.endswith("one_step_position_mse")}
    if attribute == "charge":
        assert set(position) == {"one_step_position_mse", "constant_velocity"}
        return
    # the physics of the baselines: finer leapfrogs are better; none is worse than a few times its known error
    assert 1e-7 < position["leapfrog_10_substeps"] < 5e-5 < 5e-4 < position["leapfrog"] < 5e-2
    assert 1e-3 < position["constant_velocity"] < 1e-2
    momentum = [value for key, value in found.items() if key.endswith("rollout_momentum_error")]
    assert len(momentum) == 4 and all(value < 1e-5 for value in momentum)


def test_systems_of_unequal_numbers_of_stars_count_alike(tmp_path: Path) -> None:
    path = csv(tmp_path, runs(), mass=4.0)
    table = pl.read_csv(path).filter((pl.col("N_sim") % 2 > 0) | (pl.col("N_star") < 3))
    table.write_csv(path)
    data = NBodyDataModule(tmp_path, batch_size=4, horizon=1, val_fraction=0.2, test_fraction=0.5, seed=0)
    result = evaluate(untrained(data, attribute="mass"), data, PARAMS)
    assert [group["position"].shape[2] for group in data.trajectories["test"]] == [3, 5]
    squared = []
    for group in data.trajectories["test"]:
        x, v = group["position"].double().numpy(), group["velocity"].double().numpy()
        squared += np.square(x[:, :-1] + 0.1 * v[:, :-1] - x[:, 1:]).mean((2, 3)).ravel().tolist()
    found = numbers(result.metrics)["baseline/constant_velocity/one_step_position_mse"]
    assert found == pytest.approx(np.mean(squared), rel=1e-4)
    assert result.items is not None and [number % 2 for number in result.items["item"]] == [
        stars == 5 for stars in result.items["stars"]
    ], "the numbers are those of the file"


def test_rollout_longer_than_the_run(tmp_path: Path) -> None:
    path = csv(tmp_path, runs(steps=4))
    data = NBodyDataModule(path.parent, batch_size=4, horizon=1, val_fraction=0.2, test_fraction=0.5, seed=0)
    with pytest.raises(InputError, match=r"gnn\.evaluate\.rollout_steps is 10, but a run has 4 outputs"):
        evaluate(untrained(data), data, PARAMS)


@pytest.mark.parametrize("masses", [{}, {"mass": 0.5}])
def test_memory_holds_some_of_many_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, masses: dict[str, float]
) -> None:
    path = csv(tmp_path, runs(), **masses)
    data = NBodyDataModule(path.parent, batch_size=4, horizon=1, val_fraction=0.2, test_fraction=0.5, seed=0)
    model, seen = untrained(data), []
    assert model.settings.attribute == ("mass" if masses else "none")
    together, rollout = predict([model], path).tables["forecast"], model.net.rollout

    def counted(x: torch.Tensor, *rest: Any) -> Any:
        seen.append(len(x))
        return rollout(x, *rest)

    monkeypatch.setattr(model.net, "rollout", counted)
    monkeypatch.setattr(prediction, "MOST_PAIRS", 80)  # of which a system has ten
    parts = predict([model], path).tables["forecast"]
    assert seen == [8, 8, 4]
    np.testing.assert_allclose(parts.to_numpy(), together.to_numpy(), rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(prediction, "MOST_PAIRS", 9)
    with pytest.raises(InputError, match=r"trajectories\.csv: a system of 5 stars, .* all pairs of them, 9 at most"):
        predict([model], path)


def test_predict(tmp_path: Path) -> None:
    path = csv(tmp_path, runs())
    data = NBodyDataModule(path.parent, batch_size=4, horizon=1, val_fraction=0.2, test_fraction=0.5, seed=0)
    model = untrained(data)
    result = predict([model], path)
    assert result.metrics["systems"] == 20 and result.metrics["steps"] == 10
    assert all(math.isfinite(result.metrics[f"position_error_{which}"]) for which in ("median", "largest"))
    [film] = result.animations
    assert len(film.frames) == 11 and 0.3 < film.seconds <= 0.4
    first = predict([model], csv(tmp_path, Run(*(a[:2, :1] for a in runs()))))
    assert first.metrics["steps"] == 10 and "position_error_median" not in first.metrics
    with pytest.raises(InputError, match=r"trajectories\.csv: outputs are 0\.2 apart, but the network steps by 0\.1"):
        predict([model], csv(tmp_path, runs(), dt=0.2))
    with pytest.raises(InputError, match="outputs are 0"):
        predict([model], csv(tmp_path, runs(), dt=0.3))


def test_axes_are_in_the_units_of_the_data() -> None:
    physical = Units(G=1.0, softening=0.0, total_mass=None, **OURS)
    assert AxisUnits.of(physical) == ("pc", "14.9 Myr", "pc / (14.9 Myr)²")
    for units in (UNITS, None):
        assert set(AxisUnits.of(units)) == {"N-body units"}
