"""import_clusters: what each mistake in a catalogue, maps, images or tables of stars is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from astropy.io import fits
from conftest import edit_params

from pipeline.errors import InputError
from tests.pipeline.cluster_folders import NEEDED, OUT, SMALL, SPLITS, edit_catalogue, import_from, own_stars


@pytest.fixture(autouse=True)
def folder(default_folder: Path) -> Path:
    edit_params(default_folder, SMALL)
    return default_folder


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
        (edit_catalogue(map=[0, None, *range(2, 12)]), "row 1: column map is empty"),
        (edit_catalogue(cluster=["a", "b", None, *"cdefghijk"]), "row 2: column cluster is empty"),
        (edit_catalogue(shift_y_arcsec=None), "column shift_y_arcsec is missing"),
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
        (lambda mine: (mine / "mass.npy").write_text("x"), r"mass\.npy: not an NPY array"),
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
        (edit_catalogue(star_file=["run0.csv", None] * 6), "row 1: column star_file is empty"),
        (edit_catalogue(star_file=range(12)), "column star_file names no files"),
        (
            edit_catalogue(shift_x_arcsec=[0.5, None] * 6, shift_y_arcsec=[0.5] * 12),
            "row 1: shift_x_arcsec is None",
        ),
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
