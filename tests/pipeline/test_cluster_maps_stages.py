"""generate_clusters and preprocess_maps: contract, conservation, the same bytes after any interruption, acceptance."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from conftest import edit_params, run_stage
from scipy.stats import kstest

from datamodules.cluster_maps import ClusterMapsDataModule
from datamodules.telescope import Looks
from lit_modules.networks.maps.statistics import LENGTH, map_statistics
from pipeline import generate_clusters, preprocess_maps
from pipeline.errors import InputError
from pipeline.preprocess_maps import draw_looks
from pipeline.settings.clusters import Clusters
from pipeline.settings.load import load_params
from pipeline.simulation.clusters.star_cluster import draw_parameters
from pipeline.simulation.clusters.stars import SUN_V, flux
from pipeline.simulation.clusters.telescope import LIGHT_UNIT, PIXEL, blur, gaussian_psf, log_map

MAPS, SEEN = Path("data/clusters/maps"), Path("data/clusters/seen")
SMALL = {
    "clusters.n_train": 11,
    "clusters.n_val": 2,
    "clusters.n_calibration": 1,
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
    assert catalogue["map"].to_list() == list(range(14 * 3 + 2 * 4))
    assert catalogue.group_by("cluster").agg(pl.col("split").n_unique())["split"].max() == 1
    assert catalogue.filter(pl.col("split") == "val")["cluster"].unique().sort().to_list() == [11, 12]
    assert catalogue.filter(pl.col("split") == "calibration")["cluster"].to_list() == [13] * 3
    test = catalogue.filter(pl.col("split") == "test")
    assert test["distance_kpc"].to_list() == [15.0, 30.0, 60.0, 80.0] * 2
    assert (np.hypot(catalogue["shift_x_arcsec"], catalogue["shift_y_arcsec"]) <= 6).all()
    np.testing.assert_allclose(
        catalogue["mass_msun"] / catalogue["luminosity_v"], catalogue["mass_to_light"], rtol=1e-5
    )

    light, mass = np.load(MAPS / "light.npy"), np.load(MAPS / "mass.npy")
    assert light.dtype == mass.dtype == np.float16 and light.shape == (50, 208, 208) and mass.shape == (50, 160, 160)
    assert np.isfinite(light).all() and np.isfinite(mass).all() and mass.min() >= -3
    lsun, msun = LIGHT_UNIT * light.astype(float), 10 ** mass.astype(float)
    assert (lsun.sum((1, 2)) <= 1.0002 * catalogue["luminosity_v"].to_numpy()).all()
    assert (msun.sum((1, 2)) <= 1.0002 * catalogue["mass_msun"].to_numpy() + 1e-3 * mass[0].size).all()

    data = ClusterMapsDataModule("data/clusters", batch_size=9, seed=1, statistics_passes=1)
    data.setup()
    split = {name: torch.cat([batch[name] for batch in data.observed("train")]) for name in ("flux", "mass")}
    flux_map, statistics = split["flux"][:, 0], np.load(SEEN / "statistics.npy")
    assert statistics.dtype == np.float32 and statistics.shape == (50, 4, LENGTH) and np.isfinite(statistics).all()
    assert flux_map.min() >= -8 and flux_map.shape == (33, 160, 160)
    one = map_statistics(10 ** flux_map[30:31], torch.tensor([4.0]), torch.zeros(1))[0]  # as of a map to predict
    np.testing.assert_allclose(statistics[30, 0], one, rtol=1e-3, atol=2e-3)
    for column, of in zip(moments, [f for maps in split.values() for f in (maps.mean, maps.std)], strict=True):
        np.testing.assert_allclose(catalogue[column][:33], of((1, 2, 3)), atol=1e-3)
    np.testing.assert_allclose(10 ** catalogue["field_log_mass"].to_numpy(), msun.sum((1, 2)), rtol=1e-4)
    k = int(lsun[:33, 64:144, 64:144].sum((1, 2)).argmax())  # where the light lies well inside the field
    seen = 4 * np.pi * catalogue["distance_kpc"][k] ** 2 * (10 ** flux_map[k].double()).sum()
    assert float(seen) == pytest.approx(lsun[k, 24:184, 24:184].sum(), rel=0.05)


def test_looks_are_drawn_from_their_ranges() -> None:
    """The first is clean; the further ones are as section maps says, by the test of Kolmogorov and Smirnov."""
    maps = load_params("params.yaml").maps.model_copy(update={"looks": 2})
    looks = np.stack([draw_looks(maps, number) for number in range(400)])
    assert looks.shape == (400, 3, 5) and looks.dtype == np.float64
    assert (looks[:, 0] == [4.0, 0, 0, 0, 0]).all()
    psf_sigma, noise, sky, foreground, seed = looks[:, 1:].reshape(-1, 5).T
    magnitude = SUN_V + 10 - 2.5 * np.log10(4 * np.pi * sky / PIXEL**2)
    assert (seed % 1 == 0).all() and len(set(seed)) == 800 and seed.max() < 2**53
    spreads = ((psf_sigma, 2.4, 6.0), (np.log10(noise), -7.5, -5.0), (magnitude, 19.5, 22.0), (foreground, 0.0, 8.0))
    for drawn, low, high in spreads:
        assert kstest((drawn - low) / (high - low), "uniform").pvalue > 0.01
    assert np.abs(np.corrcoef(looks[:, 1:].reshape(-1, 5).T) - np.eye(5)).max() < 0.15
    assert (draw_looks(maps, 7) == looks[7]).all()
    assert (draw_looks(maps.model_copy(update={"looks": 1}), 7) == looks[7, :2]).all()
    assert (draw_looks(maps.model_copy(update={"seed": 2}), 7)[1:] != looks[7, 1:]).all()


def test_looks_do_not_tell_the_labels(default_folder: Path) -> None:
    """They once shared random numbers with the clusters: the width of the PSF was the age."""
    params = load_params(default_folder / "params.yaml")
    maps, clusters = params.maps, params.clusters
    looks, ages = [], []
    for number in range(200):
        rng = np.random.default_rng(np.random.SeedSequence(clusters.seed, spawn_key=(number,)))  # of generate_clusters
        looks.append(draw_looks(maps, number)[1:, :4].ravel())
        ages.append(draw_parameters(rng, **clusters.chosen.intervals()).age_gyr)
    correlation = np.corrcoef(np.array(looks).T, ages)[-1, :-1]
    assert np.abs(correlation).max() < 0.3


def test_statistics_of_a_look_are_those_of_its_flux() -> None:
    """Stored statistics against those of the flux made again: in double precision, and as the loader makes it."""
    run_stage("generate_clusters")
    run_stage("import_clusters")
    run_stage("preprocess_maps")
    data = ClusterMapsDataModule("data/clusters", batch_size=9, seed=1, statistics_passes=1)
    data.setup()
    test = data.splits["test"]
    assert (test["looks"].numpy() == np.load(SEEN / "looks.npy")[-8:]).all()
    distance = torch.tensor(pl.read_csv(SEEN / "catalogue.csv")["distance_kpc"].to_numpy()[-8:])
    for number in range(4):
        looks = Looks.of(test["looks"][:, number])
        flux = data.telescope.flux(test["light"], distance, looks)
        again = map_statistics(flux, looks.psf_sigma, looks.noise)
        np.testing.assert_allclose(test["statistics"][:, number], again, atol=1.1e-5, rtol=1e-6)
        (batch,) = data.observed("test", number)
        served = batch["flux"][:, 0].double()
        assert (batch["statistics"] == test["statistics"][:, number]).all()
        difference = (served - data.telescope.log(flux, looks)).abs()
        assert (difference > 0).double().mean() < 1e-4 and difference.max() < 2**-7  # steps of half precision
        of_served = map_statistics(10**served, looks.psf_sigma, looks.noise)[:, :-3]
        np.testing.assert_allclose(batch["statistics"][:, :-3], of_served, atol=2e-3, rtol=1e-3)
        psf_sigma, log_noise = batch["statistics"][:, -2:].T
        np.testing.assert_allclose(psf_sigma, looks.psf_sigma, rtol=1e-5)
        np.testing.assert_allclose(log_noise, looks.noise.clamp_min(1e-8).log10(), atol=1e-5)


def test_no_further_looks_are_needed() -> None:
    edit_params(Path(), {"maps.looks": 0})
    run_stage("generate_clusters")
    run_stage("import_clusters")
    run_stage("preprocess_maps")
    assert np.load(SEEN / "statistics.npy").shape == (50, 1, LENGTH)
    data = ClusterMapsDataModule("data/clusters", batch_size=9, seed=1, statistics_passes=2)
    data.setup()
    assert all((batch["statistics"][:, -1] == -8).all() for batch in data.train_dataloader())


@pytest.mark.parametrize(
    ("spread", "share"), [("uniform", lambda d: (d - 5) / 105), ("log-uniform", lambda d: np.log(d / 5) / np.log(22))]
)
def test_distances_are_spread_as_asked(spread: str, share: Callable[[np.ndarray], np.ndarray]) -> None:
    """Between 5 and 110 kpc, by the test of Kolmogorov and Smirnov."""
    clusters = load_params("params.yaml").clusters
    few = {"initial_stars": {"low": 1e4, "high": 1e4}, "distance_spread": spread}
    broad = type(clusters.broad).model_validate(clusters.broad.model_dump() | few)
    clusters = clusters.model_copy(update={"broad": broad, "n_train": 1, "projections": 300})
    drawn = np.array([row["distance_kpc"] for row, _ in generate_clusters.draw(clusters, 0)])
    assert kstest(share(drawn), "uniform").pvalue > 0.01


def test_same_bytes_whoever_draws_and_however_often_it_stops(folder: Path) -> None:
    run_stage("generate_clusters")
    run_stage("import_clusters")
    run_stage("preprocess_maps")
    expected = digests()
    assert len(expected) == 7 and not list((folder / "runs/generate_clusters").iterdir())

    edit_params(folder, {"runtime.workers": 2})
    clusters = load_params("params.yaml").clusters
    scratch = generate_clusters.scratch_folder(clusters)
    generate_clusters._make_maps(scratch, clusters)
    generate_clusters.draw_block(clusters, range(10), scratch / f"{0:09d}.csv")  # then the run is killed
    run_stage("generate_clusters")
    run_stage("import_clusters")
    run_stage("preprocess_maps")
    assert digests() == expected


def test_maps_that_were_looked_at_are_not_looked_at_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_params(folder, {"clusters.n_train": 5})
    for stage in ("generate_clusters", "import_clusters", "preprocess_maps"):
        run_stage(stage)
    expected = digests()
    monkeypatch.setattr(preprocess_maps, "PART", 20)  # two blocks
    asked = []

    def killed(function: Callable[..., Any], jobs: list[Any], *_: Any) -> Iterator[Any]:
        asked.append(len(jobs))
        for job in jobs[: 3 if len(asked) == 1 else None]:
            yield function(*job)
        if len(asked) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(preprocess_maps, "in_parallel", killed)
    with pytest.raises(KeyboardInterrupt):
        run_stage("preprocess_maps")
    run_stage("preprocess_maps")
    assert asked == [4, 2]  # of 32 maps
    assert digests() == expected
    assert not list((folder / "runs/preprocess_maps").iterdir())


def test_clusters_depend_on_their_number_alone(folder: Path) -> None:
    few = load_params("params.yaml").clusters
    many = few.model_copy(update={"n_train": 500})
    for (_, image), (_, again) in zip(generate_clusters.draw(few, 3), generate_clusters.draw(many, 3), strict=True):
        np.testing.assert_array_equal(image, again)


def test_every_field_shows_stars(folder: Path) -> None:
    edit_params(folder, {"clusters.broad.distance_kpc.low": 0.3, "clusters.broad.distance_kpc.high": 0.4})
    clusters = load_params("params.yaml").clusters
    field = slice(clusters.margin, clusters.margin + clusters.pixels)
    for number in range(6):
        for _, (light, _) in generate_clusters.draw(clusters, number):
            assert light[field, field].sum() >= generate_clusters.LEAST_LIGHT
    empty = {"distance_kpc.low": 0.1, "distance_kpc.high": 0.1, "initial_stars.low": 1e3, "initial_stars.high": 1e3}
    edit_params(folder, {f"clusters.broad.{name}": value for name, value in empty.items()})
    with pytest.raises(InputError, match="raise distance_kpc"):
        for number in range(20):
            list(generate_clusters.draw(load_params("params.yaml").clusters, number))


def test_bad_input(folder: Path) -> None:
    with pytest.raises(InputError, match="import_clusters"):
        run_stage("preprocess_maps")
    with pytest.raises(InputError, match="generate_clusters"):
        run_stage("import_clusters")
    edit_params(folder, {"clusters.margin": 10})
    with pytest.raises(InputError, match="raise margin"):
        run_stage("generate_clusters")
    edit_params(folder, {"clusters.margin": 16, "maps.looks": 0})
    run_stage("generate_clusters")
    run_stage("import_clusters")
    edit_params(folder, {"clusters.margin": 24, "maps.looks": 1})
    with pytest.raises(InputError, match=r"margin is 16 pixels, .* 6 in section maps needs 24"):
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
    """The authors' CNN on 1200 test maps at 15, 30, 60 and 80 kpc: mean errors of at most 12 kpc and 2.0 Gyr.

    A hundred clusters are few: their mean errors of age scatter from 1.7 to 2.1 Gyr around 1.83.
    """
    import torch

    from lit_modules.networks.pidoc.keras_weights import published_network

    network, kernel, clusters = (
        published_network(real_data / "pidoc_published/CNN_100.h5"),
        gaussian_psf(4.0),
        authors(300),
    )
    maps, targets = [], []
    for number in range(clusters.n - clusters.n_test, clusters.n):
        for row, (light, _) in generate_clusters.draw(clusters, number):
            maps.append(log_map(flux(blur(light, kernel, 160), row["distance_kpc"]), -8.0))
            targets.append((row["distance_kpc"], row["age_gyr"]))
    with torch.no_grad():
        batches = torch.from_numpy(np.array(maps, dtype=np.float32))[:, None].split(50)
        read = network.targets.unscale(torch.cat([network(batch).mean for batch in batches]))
    distance, age = (torch.stack(read, 1) - torch.tensor(targets)).abs().mean(0).tolist()
    assert len(maps) == 1200 and distance <= 12 and age <= 2.0


def test_light_that_cannot_be_stored_is_refused(folder: Path) -> None:
    edit_params(folder, {"clusters.broad.initial_stars": {"low": 1e7, "high": 1e7}, "clusters.broad.age_gyr.high": 0.1})
    edit_params(folder, {"clusters.broad.half_mass_radius_pc": {"low": 0.1, "high": 0.1}})
    with pytest.raises(InputError, match="more than can be stored"):
        run_stage("generate_clusters")
