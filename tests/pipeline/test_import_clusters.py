"""import_clusters: our mocks as they are; own maps, images and tables of stars."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from astropy.io import fits
from conftest import ROOT, edit_params, run_stage

from pipeline.simulation.clusters import telescope
from pipeline.simulation.clusters.star_cluster import draw_cluster
from pipeline.simulation.clusters.telescope import LIGHT_UNIT
from tests.pipeline.cluster_folders import (
    NEEDED,
    OURS,
    OUT,
    SMALL,
    clusters,
    digests,
    edit_catalogue,
    import_from,
    own_stars,
)


@pytest.fixture(autouse=True)
def folder(default_folder: Path) -> Path:
    edit_params(default_folder, SMALL)
    return default_folder


def test_our_own_mocks_are_linked_as_they_are() -> None:
    run_stage("generate_clusters")
    run_stage("import_clusters")
    assert digests(OUT) == digests(OURS) and len(digests(OUT)) == 3
    assert all((OUT / name).samefile(OURS / name) for name in digests(OUT)), "no second copy on disk"


def test_few_maps_of_a_split_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    edit_params(Path(), {"clusters.n_val": 1})
    run_stage("generate_clusters")
    run_stage("import_clusters")
    assert "1 maps in split val; evaluations need 4" in capsys.readouterr().err


def test_files_of_people_are_copied() -> None:
    run_stage("generate_clusters")
    OURS.rename("mine")
    import_from("mine")
    assert digests(OUT) == digests(Path("mine"))
    assert not (OUT / "light.npy").samefile("mine/light.npy"), "DVC makes what it keeps read-only"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maps_of_other_types_with_the_needed_columns_alone(dtype: Any) -> None:
    run_stage("generate_clusters")
    mine = Path("mine")
    mine.mkdir()
    for name in ("light.npy", "mass.npy"):
        np.save(mine / name, np.load(OURS / name).astype(dtype))
    pl.read_csv(OURS / "catalogue.csv").select(NEEDED).write_csv(mine / "catalogue.csv")
    import_from(mine)
    for name in ("light.npy", "mass.npy"):
        assert np.load(OUT / name).dtype == np.float16
        np.testing.assert_array_equal(np.load(OUT / name), np.load(OURS / name))
    catalogue = pl.read_csv(OUT / "catalogue.csv")
    assert set(catalogue.columns) == {"map", "cluster", "split", *NEEDED}
    assert catalogue["map"].to_list() == list(range(16)) == catalogue["cluster"].to_list()
    assert catalogue["split"].value_counts().sort("split")["count"].to_list() == [4, 8, 4]


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Directions of view, as the generator draws them."""
    views, draw = [], telescope.random_view
    monkeypatch.setattr(telescope, "random_view", lambda rng: views.append(draw(rng)) or views[-1])
    return views


def star_tables(mine: Path, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Tables of the stars behind the generator's maps, a catalogue of them, and the views of those maps."""
    mine.mkdir()
    drawn: list[Any] = []
    monkeypatch.setattr(
        "pipeline.simulation.clusters.star_cluster.draw_cluster",
        lambda rng, parameters: drawn.append(draw_cluster(rng, parameters)) or drawn[-1],
    )
    views = recorded(monkeypatch)
    run_stage("generate_clusters")
    for number, cluster in enumerate(drawn):
        stars = dict(zip("xyz", cluster.position, strict=True))
        stars |= {"mass": cluster.mass, "luminosity": cluster.luminosity_v}
        pl.DataFrame(stars | {"id": range(len(cluster.mass))}).write_parquet(mine / f"run{number + 10}.parquet")
    catalogue = pl.read_csv(OURS / "catalogue.csv")
    catalogue = catalogue.select(
        *NEEDED, "shift_x_arcsec", "shift_y_arcsec", star_file=pl.format("run{}.parquet", pl.col("cluster") + 10)
    )
    catalogue.write_csv(mine / "catalogue.csv")
    return views


def test_stars_become_the_maps_that_the_generator_makes_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    views = star_tables(Path("mine"), monkeypatch)
    assert len(views) == 16
    again = iter(views * 2)  # for the maps, then for the shifts of the catalogue
    monkeypatch.setattr(telescope, "random_view", lambda rng: next(again))
    import_from("mine")
    for name in ("light.npy", "mass.npy"):
        # shifts in the catalogue have seven digits, so that a star in 1e5 may fall beside its pixel
        ours, theirs = np.load(OURS / name), np.load(OUT / name)
        assert (ours == theirs).mean() > 0.999, name
    light = LIGHT_UNIT * np.load(OUT / "light.npy").astype(float)
    np.testing.assert_allclose(
        light.sum((1, 2)), LIGHT_UNIT * np.load(OURS / "light.npy").astype(float).sum((1, 2)), rtol=1e-3
    )
    catalogue = pl.read_csv(OUT / "catalogue.csv")
    assert catalogue.group_by("cluster").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 13
    assert catalogue["cluster"].to_list() == [*range(12), 12, 12, 12, 12], "views of one table are one cluster"


def test_light_and_mass_of_stars_are_conserved() -> None:
    """At 100 kpc 10 pc are 21 arcsec: all stars are in the field and its margins."""
    own_stars(Path("mine"))
    edit_params(
        Path(), {"clusters.broad.shift_arcsec": 0.0, "clusters.mass_floor": -8.0, "clusters.mass_psf_sigma": 0.5}
    )
    import_from("mine")
    light = LIGHT_UNIT * np.load(OUT / "light.npy").astype(float)
    np.testing.assert_allclose(light.sum((1, 2)), 2000 * 0.25, rtol=1e-3)
    field = light[:, 24:-24, 24:-24].sum((1, 2)) / 0.25 * 0.5
    np.testing.assert_allclose((10.0 ** np.load(OUT / "mass.npy").astype(float)).sum((1, 2)), field, rtol=0.01)
    shown = pl.read_csv(OUT / "catalogue.csv")
    assert shown["shift_x_arcsec"].to_list() == [0.0] * 12 and sorted(shown["split"].unique()) == [
        "test",
        "train",
        "val",
    ]
    first = digests(OUT)
    run_stage("import_clusters")
    assert digests(OUT) == first
    edit_params(Path(), {"clusters.seed": 2})
    run_stage("import_clusters")
    assert digests(OUT)["light.npy"] != first["light.npy"], "views are drawn from the seed"


@pytest.mark.parametrize("kind", ["light", "flux"])
@pytest.mark.parametrize("suffix", [".npy", ".fits"])
def test_images_become_maps(kind: str, suffix: str) -> None:
    """Of light or flux and mass, before any telescope: the same maps as from the stars that were binned."""
    rows = own_stars(Path("stars"))
    import_from("stars")
    expected = {name: np.load(OUT / name) for name in ("light.npy", "mass.npy")}
    mine, params = Path("mine"), clusters()
    mine.mkdir()
    from pipeline.inputs.cluster_catalogue import read_source
    from pipeline.inputs.cluster_maps import light_and_mass

    source = read_source(Path("stars"), params)
    for row in source.rows(range(12)):
        light, mass = light_and_mass(source.folder, source.layout, row, params)
        first = light if kind == "light" else light / (4 * np.pi * row["distance_kpc"] ** 2)
        for name, image in ((kind, first), ("mass", mass)):
            image = np.pad(image, 3)  # more than is needed
            if suffix == ".npy":
                np.save(mine / f"{name}{row['map']}.npy", image)
                continue
            header = fits.Header({"BUNIT": {"light": "Lsun", "flux": "Lsun / kpc2", "mass": "kg"}[name]})
            header.update({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -1 / 14400, "CDELT2": 1 / 14400})
            image = image * 1.988409870698051e30 if name == "mass" else image
            fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image, header)]).writeto(mine / f"{name}{row['map']}.fits")
    files = {f"{name}_file": [f"{name}{k}{suffix}" for k in range(12)] for name in (kind, "mass")}
    rows.select(NEEDED).with_columns(**{name: pl.Series(values) for name, values in files.items()}).write_csv(
        mine / "catalogue.csv"
    )
    import_from(mine)
    np.testing.assert_allclose(np.load(OUT / "light.npy"), expected["light.npy"], rtol=1e-3)
    np.testing.assert_allclose(np.load(OUT / "mass.npy"), expected["mass.npy"], atol=2e-3)


def test_splits_are_drawn_by_cluster_and_hold_enough_maps() -> None:
    from pipeline.inputs.cluster_catalogue import read_source

    for views, n in ((1, 100), (1, 12), (3, 10), (10, 3)):
        names = [f"run{k}.csv" for k in range(n) for _ in range(views)]
        Path("catalogue.csv").unlink(missing_ok=True)
        pl.DataFrame({"star_file": names, "age_gyr": 1.0, "distance_kpc": 9.0}).write_csv("catalogue.csv")
        drawn = read_source(Path(), clusters()).catalogue
        assert drawn.group_by("star_file").agg(pl.col("split").n_unique())["split"].max() == 1
        maps = dict(drawn.group_by("split").len().iter_rows())
        assert min(maps.values()) >= 4 and maps["train"] == max(maps.values())
        if n == 100:
            assert maps == {"train": 70, "val": 10, "calibration": 10, "test": 10}
        if n == 12:
            assert maps == {"train": 4, "val": 4, "test": 4}, "too few for a calibration of their own"


def test_calibration_takes_no_cluster_of_val_and_test() -> None:
    from pipeline.inputs.cluster_catalogue import read_source

    pl.DataFrame({"age_gyr": [1.0] * 60, "distance_kpc": 9.0, "star_file": [f"{k}.csv" for k in range(60)]}).write_csv(
        "catalogue.csv"
    )
    without, with_it = (
        read_source(Path(), clusters().model_copy(update={"calibration_fraction": fraction})).catalogue["split"]
        for fraction in (0.0, 0.2)
    )
    assert (with_it == "calibration").sum() == 12 and "calibration" not in without
    assert (without.filter(with_it == "calibration") == "train").all()
    kept = with_it != "calibration"
    assert with_it.filter(kept).to_list() == without.filter(kept).to_list()


@pytest.mark.parametrize("splits", [["train", "val", "calibration", "test"], ["train", "val", "test"]])
def test_an_own_split_may_have_a_calibration(splits: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    own_stars(Path("mine"), 16)
    edit_catalogue(split=(splits * 6)[:16])(Path("mine"))
    import_from("mine")
    assert pl.read_csv(OUT / "catalogue.csv")["split"].to_list() == (splits * 6)[:16]
    assert "in split" not in capsys.readouterr().err


def test_tables_as_people_write_them() -> None:
    """A BOM, semicolons, spaces in the header, the generator's own name of the luminosity."""
    own_stars(Path("mine"))
    import_from("mine")
    expected = digests(OUT)
    text = (
        Path("mine/run1.csv")
        .read_text()
        .replace(",", ";")
        .replace("x;y;z;mass;luminosity", "x; y; z; mass; luminosity_v")
    )
    Path("mine/run1.csv").write_text("\ufeff" + text.replace("\n", "\r\n"), "utf-8")
    import_from("mine")
    assert digests(OUT) == expected


def test_maps_of_stars_are_trained_on_and_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    """With the needed columns alone, through every later stage of both families."""
    from pipeline.scale import write_scale

    write_scale(ROOT / "scales/tiny.yaml", Path("params.yaml"))
    own_stars(Path("mine"), 20)
    edit_catalogue(age_gyr=[12.0] * 20)(Path("mine"))  # as snapshots of one time
    edit_params(Path(), {"clusters.val_fraction": 0.2, "clusters.test_fraction": 0.25, "runtime.workers": 1})
    import_from("mine")
    assert "age_gyr is the same for all maps" in capsys.readouterr().err
    run_stage("preprocess_maps")
    for name in ("pidoc-mass", "pidoc-age-distance", "ebm"):
        edit_params(Path(), {f"{name}.trainer.max_epochs": 1})
        run_stage("train", name)
        run_stage("evaluate", name)
        metrics = json.loads(Path(f"reports/evaluate/{name}.json").read_text())
        errors = [key for key in metrics if key in ("test/pixel_error_percent", "test/distance_error_percent")]
        assert errors and all(metrics[f"{key}_low"] < metrics[f"{key}_high"] for key in errors), (
            "clusters of one age are many"
        )
