"""The authors' measures against their definition written out, and an evaluation and a prediction end to end."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.networks.pidoc.encoder_decoder import log_sum
from lit_modules.networks.pidoc.statistics import map_statistics
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.evaluation.common.result import write_json, write_pictures
from pipeline.evaluation.pidoc import evaluation as pidoc
from pipeline.evaluation.pidoc import measures

PARAMS = SimpleNamespace(evaluate=SimpleNamespace(distances=[15.0, 30.0, 60.0, 80.0]))


def test_binned_error_is_the_authors_definition() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.uniform(-2.5, 1.5, 4000)
    true = predicted + rng.normal(0.05, 0.1, 4000)
    edges = np.linspace(-2, 1, 50)
    errors = []
    for low, high in itertools.pairwise(edges):
        inside = (predicted >= low) & (predicted < high)
        mass, centre = 10 ** true[inside], 10 ** ((low + high) / 2)
        errors.append(np.mean(100 * np.abs(mass - centre) / mass))
    assert measures.binned_error(true, predicted, edges, measures.percent) == pytest.approx(
        np.nanmean(errors), rel=1e-12
    )
    assert math.isnan(measures.binned_error(true, predicted + 9, edges, measures.percent))


def test_bias_curves_of_a_shifted_prediction() -> None:
    centres = 0.5 * (measures.AGE_BINS[1:] + measures.AGE_BINS[:-1])
    mean, spread = measures.bias_curve(np.repeat(centres + 0.25, 3), np.repeat(centres, 3), measures.AGE_BINS)
    np.testing.assert_allclose(mean, 0.25)
    np.testing.assert_allclose(spread, 0, atol=1e-12)


def test_distance_error_is_the_mean_over_distances() -> None:
    distance = np.array([15.0, 15, 15, 80])
    errors = np.array([1.0, 2, 3, 10])
    assert measures.by_distance(errors, distance, np.array([15.0, 30, 60, 80])) == pytest.approx((2 + 10) / 2)


def test_honest_errors_are_covered_as_stated() -> None:
    z = np.random.default_rng(1).normal(size=200_000)
    np.testing.assert_allclose(measures.coverage(z), measures.LEVELS, atol=5e-3)
    assert measures.coverage(2 * z)[-1] < 0.7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty round clusters whose mass is exactly their light."""
    path = tmp_path_factory.mktemp("clusters")
    rng = np.random.default_rng(1)
    y, x = 0.25 * (np.indices((160, 160)) - 79.5)
    distance, age = rng.choice([15.0, 30, 60, 80], 60), rng.uniform(0.1, 14, 60)
    mass = [
        4.5 - 1.5 * np.log10(1 + (x**2 + y**2) * (d / 30) ** 2 / 60) - 4 + rng.normal(0, 0.01, x.shape)
        for d in distance
    ]
    light = np.stack(mass) - np.log10(4 * np.pi * distance**2)[:, None, None]
    np.save(path / "mass.npy", np.stack(mass).astype(np.float16))
    np.save(path / "flux.npy", light.astype(np.float16))
    np.save(path / "statistics.npy", map_statistics(torch.tensor(light)).numpy())
    splits = ["train"] * 40 + ["val"] * 4 + ["test"] * 16
    field = np.log10((10 ** np.stack(mass)).sum((1, 2)))
    lines = [f"{i},{i},{age[i]},{distance[i]},{field[i]},{splits[i]}" for i in range(60)]
    header = "map,cluster,age_gyr,distance_kpc,field_log_mass,split"
    (path / "catalogue.csv").write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> ClusterMapsDataModule:
    data = ClusterMapsDataModule(folder, batch_size=16, seed=1, statistics_passes=2)
    data.setup()
    return data


@pytest.fixture(scope="module")
def models(data: ClusterMapsDataModule) -> list:
    torch.manual_seed(1)
    common = {"width": 0.1, "uncertainty": True, "statistics": True, "beta": 0.5}
    common |= {"lr": 1e-3, "statistics_lr": 1e-3, "weight_decay": 0.0}
    models = [
        LitPidocMass(field_weight=0.1, **common),
        LitPidocAgeDistance(dropout=0.0, target_scaling="separate", **common),
    ]
    for model in models:
        model.fit_statistics(data)
        model.eval()
    with torch.no_grad():  # untrained, but right about the mass in a field, so that only a strange map is warned of
        flux, mass = (data.splits["train"][name].float() for name in ("flux", "mass"))
        models[0].net.mass_mean += (log_sum(mass) - models[0](flux).field_log_mass).mean()
    return models


@pytest.mark.parametrize("which", [0, 1])
def test_evaluation_is_finite_and_illustrated(
    models: list, data: ClusterMapsDataModule, which: int, tmp_path: Path
) -> None:
    result = pidoc.evaluate(models[which], data, PARAMS)
    write_json(result.metrics, tmp_path / "metrics.json")
    write_pictures(result.pictures, tmp_path)
    assert len(result.pictures) == 4
    if which == 0:  # where mass is light the rule of a constant M/L is right to half precision
        assert result.metrics["M/L of the field, mean error (%)"]["constant M/L, distance known"] < 0.5
        assert result.metrics["pixel mass, mean error (%)"]["constant M/L, distance known"] < 1.0
    else:  # and the size on the sky tells the distance
        assert result.metrics["distance, mean error (%)"]["radial ridge"] < 10
