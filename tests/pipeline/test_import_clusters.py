"""import_clusters: our mocks as they are; own maps, images and tables of stars; and what each mistake is told."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from astropy.io import fits
from conftest import ROOT, edit_params, run_stage

from pipeline.errors import InputError
from pipeline.settings.clusters import Clusters
from pipeline.settings.load import load_params
from pipeline.simulation.clusters import telescope
from pipeline.simulation.clusters.star_cluster import draw_cluster
from pipeline.simulation.clusters.telescope import LIGHT_UNIT

OUT, OURS = Path("data/clusters/maps"), Path("data/synthetic/cluster_maps")
SMALL = {"clusters.n_train": 8, "clusters.n_val": 4, "clusters.n_test": 1, "runtime.workers": 1}
NEEDED, SPLITS = ("age_gyr", "distance_kpc"), ["train", "val", "test"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    edit_params(tmp_path, SMALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def clusters() -> Clusters:
    return load_params("params.yaml").clusters


def import_from(source: str | Path) -> None:
    edit_params(Path(), {"clusters.source": str(source)})
    run_stage("import_clusters")


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


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


def plummer(n: int, seed: int = 1) -> pl.DataFrame:
    """A cluster of equal stars, all within 10 pc."""
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal((3, n))
    position = direction / np.linalg.norm(direction, axis=0) * rng.uniform(0, 10, n)
    return pl.DataFrame(dict(zip("xyz", position, strict=True))).with_columns(mass=pl.lit(0.5), luminosity=pl.lit(0.25))


def own_stars(mine: Path, n: int = 12) -> pl.DataFrame:
    mine.mkdir()
    for k in range(n):
        plummer(2000, k).write_csv(mine / f"run{k}.csv")
    rows = pl.DataFrame(
        {
            "star_file": [f"run{k}.csv" for k in range(n)],
            "age_gyr": 12.0 - 0.5 * np.arange(n),
            "distance_kpc": [100.0] * n,
        }
    )
    rows.write_csv(mine / "catalogue.csv")
    return rows


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


def edit_catalogue(**columns: Any) -> Callable[[Path], None]:
    def edit(mine: Path) -> None:
        table = pl.read_csv(mine / "catalogue.csv")
        for name, value in columns.items():
            table = table.drop(name) if value is None else table.with_columns(pl.Series(name, value))
        table.write_csv(mine / "catalogue.csv")

    return edit


def edit_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    return lambda mine: np.save(mine / name, change(np.load(mine / name).astype(np.float32)))


def at(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(maps: np.ndarray) -> np.ndarray:
        maps[3, 100, 50] = value
        return maps

    return change


def whole(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(maps: np.ndarray) -> np.ndarray:
        maps[3] = value
        return maps

    return change


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda mine: (mine / "catalogue.csv").unlink(), r"mine/catalogue\.csv: cannot be read .*; give a folder with"),
        (edit_catalogue(age_gyr=None), r"catalogue\.csv: column age_gyr is missing"),
        (edit_catalogue(age_gyr=[12e9] * 12), r"row 0: age_gyr is 12000000000\.0; it should lie between 0\.001 and 14"),
        (edit_catalogue(distance_kpc=[5.0, 5.0, None, *[5.0] * 9]), "row 2: distance_kpc is None"),
        (edit_catalogue(distance_kpc=["near"] * 12), "distance_kpc is not all numbers"),
        (edit_catalogue(map=range(1, 13)), "column map does not number"),
        (edit_catalogue(split=[*SPLITS * 3, "train", "val", "check"]), "column split has check"),
        (edit_catalogue(split=["train"] * 12), "column split has no val"),
        (
            edit_catalogue(split=SPLITS * 4, cluster=[0, 1, 2, 3, 3, *range(5, 12)]),
            "cluster 3 is in more than one split",
        ),
        (edit_catalogue(cluster=[0] * 9 + [1, 2, 3]), "4 clusters are too few to be split"),
        (edit_array("light.npy", at(np.nan)), r"mine: map 3 \(light.npy, mass.npy\): 1 pixels of light are no finite"),
        (edit_array("light.npy", at(-1.0)), r"map 3 .*a pixel of light is -16 Lsun"),
        (edit_array("light.npy", at(1e5)), r"map 3 .*more than can be stored"),
        (edit_array("light.npy", whole(0.0)), r"map 3 .*light in the field is 0 Lsun"),
        (edit_array("mass.npy", at(np.inf)), r"map 3 .*1 pixels of mass are no finite"),
        (edit_array("mass.npy", whole(-3.0e2)), r"map 3 .*mass in the field is 2.56e-296 Msun"),
        (edit_array("mass.npy", whole(30.0)), r"map 3 .*mass in the field is 2\.56e\+34 Msun"),
        (edit_array("light.npy", lambda maps: maps * 1e-3), r"map 0 .*check the unit"),
        (edit_array("light.npy", lambda maps: maps[:4]), r"light\.npy: \(4, 208, 208\) should be \(12, 208, 208\)"),
        (edit_array("light.npy", lambda maps: maps[:, :160, :160]), r"\(12, 160, 160\) should be .* clusters\.margin"),
        (
            edit_array("mass.npy", lambda maps: maps[:, :80, :80]),
            r"mass\.npy: \(12, 80, 80\) should be \(12, 160, 160\)",
        ),
        (edit_array("mass.npy", lambda maps: maps.astype(complex)), "numbers of type complex128"),
        (lambda mine: (mine / "mass.npy").write_text("x"), r"mass\.npy: cannot be read"),
    ],
)
def test_mistakes_in_finished_maps(spoil: Callable[[Path], None], words: str) -> None:
    own_stars(Path("stars"))
    import_from("stars")
    OUT.rename("mine")
    edit_catalogue(star_file=None, split=None, cluster=None, map=None)(Path("mine"))
    spoil(Path("mine"))
    with pytest.raises(InputError, match=words) as error:
        import_from("mine")
    assert len(str(error.value).splitlines()) == 1
    assert not OUT.exists(), "nothing half-written"


def edit_stars(**columns: Any) -> Callable[[Path], None]:
    def edit(mine: Path) -> None:
        table = pl.read_csv(mine / "run2.csv").with_columns(**{n: v for n, v in columns.items() if v is not None})
        table.drop([name for name, value in columns.items() if value is None]).write_csv(mine / "run2.csv")

    return edit


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (edit_stars(luminosity=None), r"run2\.csv: column luminosity is missing"),
        (edit_stars(mass=pl.col("mass") * -1), r"run2\.csv: row 0: mass is -0\.5"),
        (edit_stars(mass=pl.col("mass") * 2e30), r"run2\.csv: row 0: mass is 1e\+30"),
        (
            edit_stars(mass=pl.col("mass") / 2000),
            r"map 2 \(star_file run2\.csv\): mass in the field is .* check its unit",
        ),
        (
            edit_stars(x=pl.col("x") + 8000),
            r"run2\.csv: the stars' middle is \(8e\+03, .*subtract the cluster's centre",
        ),
        (edit_stars(x=pl.lit(float("nan"))), r"run2\.csv: row 0: x is nan"),
        (lambda mine: (mine / "run2.csv").unlink(), r"run2\.csv: cannot be read"),
        (lambda mine: (mine / "run2.csv").write_text("x,y,z,mass,luminosity\n"), r"run2\.csv: has no rows"),
        (edit_catalogue(mass_file=["a"] * 12, star_file=None), "one of light_file and flux_file"),
    ],
)
def test_mistakes_in_tables_of_stars(spoil: Callable[[Path], None], words: str) -> None:
    own_stars(Path("mine"))
    spoil(Path("mine"))
    with pytest.raises(InputError, match=words):
        import_from("mine")
    assert not OUT.exists()


def test_mistakes_in_images() -> None:
    rows = own_stars(Path("mine"))
    rows.select(NEEDED).with_columns(light_file=pl.lit("l.fits"), mass_file=pl.lit("m.npy")).write_csv(
        "mine/catalogue.csv"
    )
    np.save("mine/m.npy", np.ones((208, 208)))
    good = np.ones((208, 208))
    for image, cards, words in (
        (good[:160, :160], {}, r"l\.fits: light of .*give numbers of 208 x 208 pixels"),
        (good, {"BUNIT": "mag"}, "BUNIT 'mag' is no unit of light"),
        (good, {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -1e-4, "CDELT2": 1e-4}, "pixels of 0.36 arcsec"),
    ):
        fits.writeto("mine/l.fits", image, fits.Header(cards), overwrite=True)
        with pytest.raises(InputError, match=words):
            import_from("mine")
    with pytest.raises(InputError, match=r"clusters\.source: nowhere is no folder"):
        import_from("nowhere")


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
            assert maps == {"train": 80, "val": 10, "test": 10}


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
