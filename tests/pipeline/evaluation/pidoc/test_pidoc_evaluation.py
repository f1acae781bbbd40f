"""The authors' measures against their definition written out, and an evaluation and a prediction end to end."""

import itertools
import json
import math
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from conftest import check_items
from scipy.ndimage import gaussian_filter

from datamodules.cluster_maps import ClusterMapsDataModule
from datamodules.telescope import Looks, Telescope
from lit_modules.networks.maps.statistics import map_statistics
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.evaluation.common.result import Result, write_json, write_pictures
from pipeline.evaluation.pidoc import charts, figures, measures, scores
from pipeline.evaluation.pidoc import evaluation as pidoc
from pipeline.evaluation.pidoc.answers import collected

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


def test_mean_over_bins_of_some_maps() -> None:
    """Those of all maps together, and of a part of them."""
    rng = np.random.default_rng(1)
    true = rng.uniform(-2, 1, (5, 40))
    predicted = true + rng.normal(0, 0.2, true.shape)
    binned = measures.by_bin(true, predicted, measures.MASS_BINS, measures.percent)
    for rows in (slice(None), [0, 3]):
        expected = measures.binned_error(true[rows], predicted[rows], measures.MASS_BINS, measures.percent)
        assert measures.mean_over_bins(binned[rows]) == pytest.approx(expected, rel=1e-12)


TELESCOPE = Telescope(4.0, 0.25, 160, -8.0, 16.0, 0.0)
SEEN = {"clean": [4.0, 0.0, 0.0, 0.0], "noisy": [5.0, 1e-6, 1e-5, 0.0]}  # psf_sigma, noise, sky, foreground


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty round clusters whose mass is exactly their light, seen clean and behind noise."""
    path = tmp_path_factory.mktemp("clusters")
    rng = np.random.default_rng(1)
    y, x = 0.25 * (np.indices((208, 208)) - 103.5)
    distance, age = rng.choice([15.0, 30, 60, 80], 60), rng.uniform(0.1, 14, 60)
    light = [
        10 ** (0.5 - 1.5 * np.log10(1 + (x**2 + y**2) * (d / 30) ** 2 / 60) + rng.normal(0, 0.01, x.shape))
        for d in distance
    ]
    stored = (np.stack(light) / 16).astype(np.float16)
    mass = np.log10([gaussian_filter(16.0 * each.astype(float), 4.0)[24:-24, 24:-24] for each in stored])
    looks = np.array([[[*look, float(k)] for look in SEEN.values()] for k in range(60)])
    every = [Looks.of(torch.tensor(each)) for each in looks.swapaxes(0, 1)]
    flux = [TELESCOPE.flux(torch.tensor(stored), torch.tensor(distance), look) for look in every]
    statistics = [map_statistics(f, look.psf_sigma, look.noise) for f, look in zip(flux, every, strict=True)]
    for part in ("maps", "seen"):
        (path / part).mkdir()
    np.save(path / "maps/light.npy", stored)
    np.save(path / "maps/mass.npy", mass.astype(np.float16))
    np.save(path / "seen/looks.npy", looks)
    np.save(path / "seen/statistics.npy", torch.stack(statistics, 1).float().numpy())
    (path / "seen/telescope.json").write_text(json.dumps(asdict(TELESCOPE)))
    splits = ["train"] * 36 + ["val"] * 4 + ["calibration"] * 4 + ["test"] * 16
    field = np.log10((10**mass).sum((1, 2)))
    columns = {"age_gyr": age, "distance_kpc": distance, "field_log_mass": field, "split": splits}
    for name, maps in (("flux", TELESCOPE.log(flux[0], every[0]).numpy()), ("mass", mass)):
        columns |= {f"{name}_mean": maps.mean((1, 2)), f"{name}_std": maps.std((1, 2))}
    pl.DataFrame({"map": range(60), "cluster": range(60), **columns}).write_csv(path / "seen/catalogue.csv")
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> ClusterMapsDataModule:
    data = ClusterMapsDataModule(folder, seed=1, batch_size=16, statistics_passes=2)
    data.setup()
    return data


@pytest.fixture(scope="module")
def models(data: ClusterMapsDataModule) -> list:
    torch.manual_seed(1)
    common = {"width": 0.1, "units": 8, "features": 8, "dropout": 0.0, "beta": 0.5, "lr": 1e-3, "weight_decay": 0.0}
    models = [
        LitPidocMass(network="folded", field_weight=1.0, statistics_lr=1e-3, **common),
        LitPidocAgeDistance(network="statistics", **common),
    ]
    for model in models:
        model.fit_statistics(data)
        model.eval()
    return models


UNITS = {"field_mass": "msun", "distance": "kpc", "age": "gyr"}
QUANTITIES = {
    f"{title}, {look}": name
    for title, name in (
        ("a pixel's mass", "pixel"),
        ("the mass in the field", "field"),
        ("distance", "distance"),
        ("age", "age"),
    )
    for look in SEEN
}
PICTURES = [
    ["maps", "looks", "mass", "mass_to_light", "calibration"],
    ["maps", "labels", "distributions", "calibration"],
]


@pytest.mark.parametrize("which", [0, 1])
def test_evaluation_is_finite_and_illustrated(
    models: list, data: ClusterMapsDataModule, which: int, tmp_path: Path
) -> None:
    result = pidoc.evaluate(models[which], data, PARAMS)
    write_json(result.metrics, tmp_path / "metrics.json")
    write_pictures(result.pictures, tmp_path)
    assert [picture.name for picture in result.pictures] == PICTURES[which]
    if which == 0:  # where mass is light the rule of a constant M/L is right to half precision
        assert result.metrics["baseline/constant_mass_to_light/field_error_percent"] < 0.5
        assert result.metrics["baseline/constant_mass_to_light/pixel_error_percent"] < 1.0
    else:  # and the size on the sky tells the distance
        assert result.metrics["baseline/radial_ridge/distance_error_percent"] < 10
    headlines = [
        ("pixel_error_percent", "pixel_error_dex", "field_error_percent", "pixel_in_68_percent", "field_in_68_percent"),
        ("distance_error_kpc", "age_error_gyr", "distance_in_68_percent", "age_in_68_percent"),
    ]
    for what in (*headlines[which], "outside_training_percent"):
        for look in ("", "noisy/"):
            found = [result.metrics[f"test/{look}{what}{end}"] for end in ("_low", "", "_high")]
            assert found == sorted(found)
    assert result.metrics[f"test/noisy/{headlines[which][0]}"] != result.metrics[f"test/{headlines[which][0]}"]
    assert all(key.split("/")[-1].removesuffix("_low").removesuffix("_high") in pidoc.LABELS for key in result.metrics)

    check_items(result.items, result.metrics, otherwise=["distance_error_kpc"])
    check_charts(result)
    assert len(result.items) == len(result.thumbnails) == 2 * 16
    assert {picture.shape for picture in result.thumbnails} == {(64, 192) if which == 0 else (64, 64)}
    if which == 1:
        for look, place in (("clean", "test"), ("noisy", "test/noisy")):
            rows = result.items.filter(look=look)
            errors, distance = rows["distance_error_kpc"].to_numpy(), rows["distance_truth_kpc"].to_numpy()
            expected = measures.by_distance(errors, distance, np.array(PARAMS.evaluate.distances))
            assert result.metrics[f"{place}/distance_error_kpc"] == pytest.approx(expected, rel=1e-9)


def check_charts(result: Result) -> None:
    """Where they say the same as items and metrics."""
    for chart in result.charts:
        for look, place in (("clean", "test"), ("noisy", "test/noisy")):
            if chart.kind == "predicted":
                rows, unit = result.items.filter(look=look), UNITS[chart.name]
                for what in ("truth", "predicted", "low", "high"):
                    found = rows[f"{chart.name}_{what}_{unit}"].to_numpy()
                    found = np.log10(found) if unit == "msun" else found
                    np.testing.assert_allclose(chart.table.filter(group=look)[what], found, rtol=1e-6)
            else:
                one_sigma = chart.table.filter((pl.col("stated_percent") - 68.26895).abs() < 1e-4)
                for group, share in one_sigma.select("group", "found_percent").rows():
                    if group.endswith(look):
                        assert share == pytest.approx(result.metrics[f"{place}/{QUANTITIES[group]}_in_68_percent"])


def test_both_looks_are_answered_as_they_were_seen(models: list, data: ClusterMapsDataModule) -> None:
    """The flux shown is that of the telescope with its noise, and so are the statistics that flag a map."""
    for look, expected in enumerate(SEEN.values()):
        test = collected(models[1], data, look)
        split = data.splits["test"]
        rows = split["looks"][:, look]
        assert rows[0, :4].tolist() == expected
        flux = TELESCOPE.log_flux(data.files["light"][split["map"]], split["distance"], Looks.of(rows))
        np.testing.assert_array_equal(test["flux"], flux.numpy())
        log_light, psf_sigma, log_noise = split["statistics"][:, look, -3:].unbind(1)
        drowned = 10 ** (log_light - log_noise) / 160 < 5
        beyond = (psf_sigma > 1.01 * models[1].psf_range[1]) | (log_noise > models[1].noise_range[1])
        outside = (models[1].training_space(split["statistics"][:, look]) > 1) | drowned | beyond
        assert test["outside"].tolist() == (100 * outside).tolist()
    assert collected(models[1], data, 2) == {}


def test_mass_read_a_tenth_of_a_dex_too_high() -> None:
    """All masses are 25.9 % too large, none is within σ of 0.05 dex and all within 0.2; a quarter is flagged."""
    mass = np.random.default_rng(1).normal(-0.5, 0.2, (8, 160, 160))
    flags = 100.0 * np.isin(np.arange(8), [2, 6])
    test = {"mass": mass, "log_mass": mass + 0.1, "sigma": np.full(mass.shape, 0.05), "field_sigma": np.full(8, 0.2)}
    test |= {"cluster": np.arange(8) // 2, "outside": flags}
    read = {"model": test["log_mass"]}
    errors = scores.mass_errors(mass, read)
    found = scores.mass_metrics(scores.weighed(test), read, errors, "noisy/")
    for what in ("pixel", "field", "ring"):
        for end in ("", "_low", "_high"):
            assert found[f"test/noisy/{what}_error_percent{end}"] == pytest.approx(100 * (10**0.1 - 1))
    assert found["test/noisy/pixel_error_dex"] == pytest.approx(0.1)
    assert (found["test/noisy/pixel_in_68_percent"], found["test/noisy/field_in_68_percent"]) == (0, 100)
    assert found["test/noisy/outside_training_percent"] == 25
    looks = {"noisy": scores.weighed(test) | {"distance": np.full(8, 30.0), "age": np.full(8, 9.0)}}
    items = charts.mass_items(looks, {"noisy": errors})
    field = (10**mass).sum((1, 2))
    for what, offset in (("truth", 0), ("predicted", 0.1), ("low", 0.1 - 0.2), ("high", 0.1 + 0.2)):
        np.testing.assert_allclose(items[f"field_mass_{what}_msun"], field * 10**offset, rtol=1e-9)
    assert items["outside_training"].to_list() == (flags > 0).tolist()


def test_distances_read_a_tenth_too_far() -> None:
    """An error of 0.6 is within σ of 1 and beyond 0.5; in kpc, the mean over 15 and 80 kpc of a tenth of them."""
    distance = np.array([15.0, 15, 15, 80])
    test = {"distance": distance, "age": np.full(4, 8.0), "distance_read": 1.1 * distance, "age_read": np.full(4, 9.0)}
    test |= {"z_true": np.zeros((4, 2)), "z_mean": np.full((4, 2), 0.6), "z_sigma": np.tile([1.0, 0.5], (4, 1))}
    test |= {"cluster": np.arange(4), "outside": np.zeros(4)}
    found = scores.label_metrics(scores.with_z(test), {"model": scores.read_of(test)}, np.array([15.0, 30, 60, 80]))
    assert found["test/distance_error_kpc"] == pytest.approx((1.5 + 8.0) / 2)
    assert found["test/distance_error_percent"] == pytest.approx(10)
    assert found["test/age_error_gyr"] == pytest.approx(1)
    assert (found["test/distance_in_68_percent"], found["test/age_in_68_percent"]) == (100, 0)
    assert found["test/outside_training_percent"] == 0
    ends = {
        "distance_low": distance - 20,
        "distance_high": distance + 20,
        "age_low": np.ones(4),
        "age_high": np.ones(4),
    }
    items = charts.label_items({"clean": scores.with_z(test | ends)})
    assert items["distance_low_kpc"].to_list() == [0, 0, 0, 60]
    assert items["distance_high_kpc"].to_list() == [35, 35, 35, 100]
    assert items["distance_error_percent"].to_list() == pytest.approx([10] * 4)


def test_a_cluster_seen_again_narrows_no_interval() -> None:
    """Each map three times, under the number of its cluster: no number and no end of an interval moves."""
    rng = np.random.default_rng(1)
    mass, distance, age = rng.normal(-0.5, 0.3, (6, 32, 32)), rng.uniform(5, 90, 6), rng.uniform(6, 13, 6)
    test = {"mass": mass, "log_mass": mass + rng.normal(0, 0.1, mass.shape), "sigma": np.full(mass.shape, 0.1)}
    test |= {"field_sigma": np.full(6, 0.01), "cluster": np.arange(6), "outside": 100.0 * (np.arange(6) < 2)}
    test |= {"distance": distance, "distance_read": distance * rng.lognormal(0, 0.2, 6), "age": age}
    test |= {"age_read": age + rng.normal(0, 1, 6), "z_true": np.zeros((6, 2))}
    test |= {"z_mean": rng.normal(0, 1, (6, 2)), "z_sigma": np.ones((6, 2))}
    once, thrice = (numbers({name: x.repeat(n, 0) for name, x in test.items()}) for n in (1, 3))
    assert once == pytest.approx(thrice, rel=1e-9) and len(once) > 30
    assert once["test/age_error_gyr_low"] < once["test/age_error_gyr"] < once["test/age_error_gyr_high"]


def numbers(test: dict[str, np.ndarray]) -> dict[str, float]:
    """Of all that both networks are measured by."""
    read = {"model": test["log_mass"]}
    found = scores.mass_metrics(scores.weighed(test), read, scores.mass_errors(test["mass"], read))
    return found | scores.label_metrics(scores.with_z(test), {"model": scores.read_of(test)}, np.array([15.0, 60]))


def test_examples_of_few_maps_are_different_ones() -> None:
    """Two clusters seen from four places each, none at a distance of the published test."""
    test = {"distance": np.array([9.0, 18, 46, 80, 12, 19, 43, 69]), "age": np.array([5.9] * 4 + [8.6] * 4)}
    chosen = figures.examples(test, np.array([15.0, 30.0, 60.0, 80.0]))
    assert len(set(chosen)) == 4
    assert set(test["age"][chosen]) == {5.9, 8.6}
