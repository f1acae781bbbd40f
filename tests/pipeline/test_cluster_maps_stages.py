"""generate_clusters and preprocess_maps: contract, conservation, the same bytes after any interruption, acceptance."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from conftest import edit_params, run_stage
from scipy.stats import kstest

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.networks.maps.statistics import map_statistics
from pipeline import generate_clusters
from pipeline.errors import InputError
from pipeline.settings.clusters import Clusters
from pipeline.settings.load import load_params
from pipeline.simulation.clusters.stars import flux, flux_of_magnitude
from pipeline.simulation.clusters.telescope import LIGHT_UNIT, PIXEL, blur, gaussian_psf, log_map

MAPS, SEEN = Path("data/clusters/maps"), Path("data/clusters/seen")
SMALL = {
    "clusters.n_train": 11,
    "clusters.n_val": 2,
    "clusters.n_test": 2,
    "clusters.projections": 3,
    "runtime.workers": 1,
}


@pytest.fixture(autouse=True)
def folder(default_folder: Path) -> Path:
    edit_params(default_folder, SMALL)
    return default_folder


def digests() -> dict[str, str]:
    files = sorted(path for out in (MAPS, SEEN) if out.exists() for path in out.iterdir())
    return {path.name + path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_contract_and_conservation() -> None:
    run_stage("generate_clusters")
    run_stage("import_clusters")
    run_stage("preprocess_maps")
    catalogue, drawn = pl.read_csv(SEEN / "catalogue.csv"), pl.read_csv(MAPS / "catalogue.csv")
    assert catalogue.select(drawn.columns).equals(drawn)
    moments = ("flux_mean", "flux_std", "mass_mean", "mass_std")
    assert set(catalogue.columns) - set(drawn.columns) == {"field_log_mass", *moments}
    assert catalogue["map"].to_list() == list(range(13 * 3 + 2 * 4))
    assert catalogue.group_by("cluster").agg(pl.col("split").n_unique())["split"].max() == 1
    assert catalogue.filter(pl.col("split") == "val")["cluster"].unique().sort().to_list() == [11, 12]
    test = catalogue.filter(pl.col("split") == "test")
    assert test["distance_kpc"].to_list() == [15.0, 30.0, 60.0, 80.0] * 2
    assert (np.hypot(catalogue["shift_x_arcsec"], catalogue["shift_y_arcsec"]) <= 6).all()
    np.testing.assert_allclose(
        catalogue["mass_msun"] / catalogue["luminosity_v"], catalogue["mass_to_light"], rtol=1e-5
    )

    light, mass = np.load(MAPS / "light.npy"), np.load(MAPS / "mass.npy")
    assert light.dtype == mass.dtype == np.float16 and light.shape == (47, 208, 208) and mass.shape == (47, 160, 160)
    assert np.isfinite(light).all() and np.isfinite(mass).all() and mass.min() >= -3
    lsun, msun = LIGHT_UNIT * light.astype(float), 10 ** mass.astype(float)
    assert (lsun.sum((1, 2)) <= 1.0002 * catalogue["luminosity_v"].to_numpy()).all()
    assert (msun.sum((1, 2)) <= 1.0002 * catalogue["mass_msun"].to_numpy() + 1e-3 * mass[0].size).all()

    data = ClusterMapsDataModule("data/clusters", batch_size=9, seed=1, statistics_passes=1)
    data.setup()
    split = {name: torch.cat([batch[name] for batch in data.observed("train")]) for name in ("flux", "mass")}
    flux_map, statistics = split["flux"][:, 0], np.load(SEEN / "statistics.npy")
    assert statistics.dtype == np.float32 and len(statistics) == 47 and np.isfinite(statistics).all()
    assert flux_map.min() >= -8 and flux_map.shape == (33, 160, 160)
    one = map_statistics(flux_map[30:31], 4.0)[0]  # as of a map to predict
    np.testing.assert_allclose(statistics[30], one, rtol=1e-3, atol=2e-3)
    for column, of in zip(moments, [f for maps in split.values() for f in (maps.mean, maps.std)], strict=True):
        np.testing.assert_allclose(catalogue[column][:33], of((1, 2, 3)), atol=1e-3)
    np.testing.assert_allclose(10 ** catalogue["field_log_mass"].to_numpy(), msun.sum((1, 2)), rtol=1e-4)
    k = int(lsun[:33, 64:144, 64:144].sum((1, 2)).argmax())  # where the light lies well inside the field
    seen = 4 * np.pi * catalogue["distance_kpc"][k] ** 2 * (10 ** flux_map[k].double()).sum()
    assert float(seen) == pytest.approx(lsun[k, 24:184, 24:184].sum(), rel=0.05)


def test_noise_is_drawn_once_for_each_map() -> None:
    """Noisy maps are kept, are served as they are, and differ from the clean ones by as much as the photons count."""
    run_stage("generate_clusters")
    run_stage("import_clusters")
    edit_params(Path(), {"maps.sky": 21.9, "maps.one_electron": 29.3, "maps.read_noise": 3.0, "maps.foreground": 2.0})
    run_stage("preprocess_maps")
    kept, statistics = np.load(SEEN / "flux.npy"), np.load(SEEN / "statistics.npy")
    data = ClusterMapsDataModule("data/clusters", batch_size=9, seed=1, statistics_passes=1)
    data.setup()
    served = torch.cat([batch["flux"] for split in ("train", "val", "test") for batch in data.observed(split)])
    assert kept.dtype == np.float16 and (served[:, 0].numpy() == kept).all()
    np.testing.assert_allclose(statistics[5], map_statistics(torch.from_numpy(kept[5:6]).double(), 4.0)[0], atol=1e-5)
    light, distance = data.splits["train"]["light"][:1], data.splits["train"]["distance"][:1]
    clean = data.telescope.flux(light, distance.double())[0].numpy()
    unit, sky = flux_of_magnitude(29.3), flux_of_magnitude(21.9) * PIXEL**2
    pull = (10 ** kept[0].astype(float) - clean) / np.sqrt((clean + sky) * unit + (3 * unit) ** 2)
    assert np.median(np.abs(pull)) == pytest.approx(0.67, rel=0.15)
    edit_params(Path(), {"runtime.workers": 2})
    run_stage("preprocess_maps")
    assert (np.load(SEEN / "flux.npy") == kept).all()


@pytest.mark.parametrize(
    ("spread", "share"), [("uniform", lambda d: (d - 5) / 105), ("log-uniform", lambda d: np.log(d / 5) / np.log(22))]
)
def test_distances_are_spread_as_asked(spread: str, share: Callable[[np.ndarray], np.ndarray]) -> None:
    """Between 5 and 110 kpc, by the test of Kolmogorov and Smirnov."""
    clusters = load_params("params.yaml").clusters
    few = {"initial_stars": {"low": 1e3, "high": 1e3}, "distance_spread": spread}
    broad = type(clusters.broad).model_validate(clusters.broad.model_dump() | few)
    clusters = clusters.model_copy(update={"broad": broad, "n_train": 1, "projections": 300, "pixels": 2, "margin": 1})
    drawn = np.array([row["distance_kpc"] for row, _ in generate_clusters.draw(clusters, 0)])
    assert kstest(share(drawn), "uniform").pvalue > 0.01


def test_same_bytes_whoever_draws_and_however_often_it_stops(folder: Path) -> None:
    run_stage("generate_clusters")
    run_stage("import_clusters")
    run_stage("preprocess_maps")
    expected = digests()
    assert len(expected) == 6 and not list((folder / "runs/generate_clusters").iterdir())

    edit_params(folder, {"runtime.workers": 2})
    clusters = load_params("params.yaml").clusters
    scratch = generate_clusters.scratch_folder(clusters)
    generate_clusters._make_maps(scratch, clusters)
    generate_clusters.draw_block(clusters, range(10), scratch / f"{0:09d}.csv")  # then the run is killed
    run_stage("generate_clusters")
    run_stage("import_clusters")
    run_stage("preprocess_maps")
    assert digests() == expected


def test_clusters_depend_on_their_number_alone(folder: Path) -> None:
    few = load_params("params.yaml").clusters
    many = few.model_copy(update={"n_train": 500})
    for (_, image), (_, again) in zip(generate_clusters.draw(few, 3), generate_clusters.draw(many, 3), strict=True):
        np.testing.assert_array_equal(image, again)


def test_bad_input(folder: Path) -> None:
    with pytest.raises(InputError, match="import_clusters"):
        run_stage("preprocess_maps")
    with pytest.raises(InputError, match="generate_clusters"):
        run_stage("import_clusters")
    edit_params(folder, {"clusters.margin": 10})
    with pytest.raises(InputError, match="raise margin"):
        run_stage("generate_clusters")
    edit_params(folder, {"clusters.margin": 16})
    run_stage("generate_clusters")
    run_stage("import_clusters")
    edit_params(folder, {"maps.psf_sigma": 5.0})
    with pytest.raises(InputError, match="needs 20"):
        run_stage("preprocess_maps")
    assert not SEEN.exists()
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
        read = network.targets.unscale(torch.cat([network(batch).mean for batch in batches]))
    distance, age = (torch.stack(read, 1) - torch.tensor(targets)).abs().mean(0).tolist()
    assert len(maps) == 400 and distance <= 12 and age <= 2.0


def test_light_that_cannot_be_stored_is_refused(folder: Path) -> None:
    edit_params(folder, {"clusters.broad.initial_stars": {"low": 1e7, "high": 1e7}, "clusters.broad.age_gyr.high": 0.1})
    edit_params(folder, {"clusters.broad.half_mass_radius_pc": {"low": 0.1, "high": 0.1}})
    with pytest.raises(InputError, match="more than can be stored"):
        run_stage("generate_clusters")
