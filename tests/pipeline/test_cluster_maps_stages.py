"""generate_clusters and preprocess_maps: contract, conservation, the same bytes after any interruption, acceptance."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from conftest import ROOT, edit_params, run_stage
from scipy.stats import kstest

from lit_modules.networks.pidoc.statistics import map_statistics
from pipeline import generate_clusters
from pipeline.errors import InputError
from pipeline.settings.clusters import Clusters
from pipeline.settings.load import load_params
from pipeline.simulation.clusters.telescope import blur, flux, gaussian_psf, log_map

RAW, DONE = Path("data/synthetic/cluster_maps"), Path("data/clusters")
SMALL = {
    "clusters.n_train": 11,
    "clusters.n_val": 2,
    "clusters.n_test": 2,
    "clusters.projections": 3,
    "runtime.workers": 1,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    edit_params(tmp_path, SMALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digests() -> dict[str, str]:
    files = sorted(path for out in (RAW, DONE) if out.exists() for path in out.iterdir())
    return {path.name + path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_contract_and_conservation() -> None:
    run_stage("generate_clusters")
    run_stage("preprocess_maps")
    catalogue, raw = pl.read_csv(DONE / "catalogue.csv"), pl.read_csv(RAW / "catalogue.csv")
    assert catalogue.drop("field_log_mass").equals(raw)
    assert catalogue["map"].to_list() == list(range(13 * 3 + 2 * 4))
    assert catalogue.group_by("cluster").agg(pl.col("split").n_unique())["split"].max() == 1
    assert catalogue.filter(pl.col("split") == "val")["cluster"].unique().sort().to_list() == [11, 12]
    test = catalogue.filter(pl.col("split") == "test")
    assert test["distance_kpc"].to_list() == [15.0, 30.0, 60.0, 80.0] * 2
    assert (np.hypot(catalogue["shift_x_arcsec"], catalogue["shift_y_arcsec"]) <= 6).all()
    np.testing.assert_allclose(
        catalogue["mass_msun"] / catalogue["luminosity_v"], catalogue["mass_to_light"], rtol=1e-5
    )

    light, mass = np.load(RAW / "light.npy"), np.load(RAW / "mass.npy")
    assert light.dtype == mass.dtype == np.float32 and light.shape == (47, 208, 208)
    assert (light.sum((1, 2)) <= 1.0001 * catalogue["luminosity_v"].to_numpy()).all()
    assert (mass.sum((1, 2)) <= 1.0001 * catalogue["mass_msun"].to_numpy()).all()

    statistics = np.load(DONE / "statistics.npy")
    assert statistics.dtype == np.float32 and len(statistics) == 47 and np.isfinite(statistics).all()
    flux_map, mass_map = np.load(DONE / "flux.npy"), np.load(DONE / "mass.npy")
    one = map_statistics(torch.from_numpy(flux_map[30:31].astype(np.float32)))[0]  # as of a map to predict
    np.testing.assert_allclose(statistics[30], one, rtol=1e-4, atol=1e-4)
    assert flux_map.dtype == mass_map.dtype == np.float16 and flux_map.shape == mass_map.shape == (47, 160, 160)
    assert np.isfinite(flux_map).all() and flux_map.min() >= -8 and mass_map.min() >= -3
    field = 10 ** catalogue["field_log_mass"].to_numpy()
    np.testing.assert_allclose(field, (10 ** mass_map.astype(float)).sum((1, 2)), rtol=1e-4)
    k = int(light[:, 64:144, 64:144].sum((1, 2)).argmax())  # where the light lies well inside the field
    seen = 4 * np.pi * catalogue["distance_kpc"][k] ** 2 * (10 ** flux_map[k].astype(float)).sum()
    assert seen == pytest.approx(light[k, 24:184, 24:184].sum(), rel=0.05)


@pytest.mark.parametrize(
    ("spread", "share"), [("uniform", lambda d: (d - 5) / 105), ("log-uniform", lambda d: np.log(d / 5) / np.log(22))]
)
def test_distances_are_spread_as_asked(spread: str, share: Callable[[np.ndarray], np.ndarray]) -> None:
    """Between 5 and 110 kpc, by the test of Kolmogorov and Smirnov."""
    clusters = load_params("params.yaml").clusters
    few = {"initial_stars": {"low": 1e3, "high": 1e3}, "distance_spread": spread}
    broad = type(clusters.broad).model_validate(clusters.broad.model_dump() | few)
    clusters = clusters.model_copy(update={"broad": broad, "n_train": 1, "projections": 300, "pixels": 2})
    drawn = np.array([row["distance_kpc"] for row, _ in generate_clusters.draw(clusters, 0)])
    assert kstest(share(drawn), "uniform").pvalue > 0.01


def test_same_bytes_whoever_draws_and_however_often_it_stops(folder: Path) -> None:
    run_stage("generate_clusters")
    run_stage("preprocess_maps")
    expected = digests()
    assert len(expected) == 7 and not list((folder / "runs/generate_clusters").iterdir())

    edit_params(folder, {"runtime.workers": 2})
    clusters = load_params("params.yaml").clusters
    scratch = generate_clusters.scratch_folder(clusters)
    generate_clusters._make_maps(scratch, clusters)
    generate_clusters.draw_block(clusters, range(10), scratch / f"{0:09d}.csv")  # then the run is killed
    run_stage("generate_clusters")
    run_stage("preprocess_maps")
    assert digests() == expected


def test_clusters_depend_on_their_number_alone(folder: Path) -> None:
    few = load_params("params.yaml").clusters
    many = few.model_copy(update={"n_train": 500})
    for (_, image), (_, again) in zip(generate_clusters.draw(few, 3), generate_clusters.draw(many, 3), strict=True):
        np.testing.assert_array_equal(image, again)


def test_bad_input(folder: Path) -> None:
    with pytest.raises(InputError, match="generate_clusters"):
        run_stage("preprocess_maps")
    edit_params(folder, {"clusters.pixels": 180})
    run_stage("generate_clusters")
    with pytest.raises(InputError, match="need 192"):
        run_stage("preprocess_maps")
    assert not DONE.exists()
    edit_params(folder, {"clusters.broad.age_gyr.high": 15.0})
    with pytest.raises(InputError, match=r"clusters.broad.age_gyr"):
        run_stage("generate_clusters")


def authors(n: int) -> Clusters:
    clusters = load_params("params.yaml").clusters
    return clusters.model_copy(update={"priors": "authors", "n_train": n, "n_test": n})


def test_authors_priors_have_the_published_means_and_deviations() -> None:
    """Standardisation scalars of the published training maps, within 0.1 dex each; plausible M/L_V by age."""
    clusters, kernel = authors(240), gaussian_psf(4.0)
    log_flux, log_mass, rows = [], [], []
    for number in range(clusters.n_train):
        for row, (light, mass) in generate_clusters.draw(clusters, number):
            seen = flux(blur(light, kernel, 160), row["distance_kpc"])
            log_flux.append(log_map(seen, -8.0)[::4, ::4])
            log_mass.append(log_map(blur(mass, kernel, 160), -3.0)[::4, ::4])
            rows.append((row["age_gyr"], row["mass_to_light"]))
    statistics = [f(np.array(maps, dtype=float)) for maps in (log_flux, log_mass) for f in (np.mean, np.std)]
    np.testing.assert_allclose(statistics, [-5.382, 0.970, -0.851, 0.449], atol=0.1)
    age, ratio = np.array(rows).T
    for at, expected in ((0.5, 0.25), (2, 0.53), (5, 0.92), (8, 1.31), (12, 1.51)):
        assert np.median(ratio[np.abs(age - at) < 0.12 * at + 0.3]) == pytest.approx(expected, rel=0.3)


@pytest.mark.slow
def test_published_network_reads_our_mocks_as_its_own(real_data: Path) -> None:
    """The authors' CNN on 400 test maps at 15, 30, 60 and 80 kpc: mean errors of at most 12 kpc and 2.0 Gyr."""
    import torch

    from lit_modules.networks.pidoc.keras_weights import published_network

    network, kernel, clusters = (
        published_network(real_data / "pidoc_published/CNN_100.h5"),
        gaussian_psf(4.0),
        authors(100),
    )
    maps, targets = [], []
    for number in range(clusters.n_train + clusters.n_val, clusters.n):
        for row, (light, _) in generate_clusters.draw(clusters, number):
            maps.append(log_map(flux(blur(light, kernel, 160), row["distance_kpc"]), -8.0))
            targets.append((row["distance_kpc"], row["age_gyr"]))
    with torch.no_grad():
        batches = torch.from_numpy(np.array(maps, dtype=np.float32))[:, None].split(50)
        found = torch.cat([network(batch)[0] for batch in batches]) * network.target_std + network.target_mean
    distance, age = (found - torch.tensor(targets)).abs().mean(0).tolist()
    assert len(maps) == 400 and distance <= 12 and age <= 2.0
