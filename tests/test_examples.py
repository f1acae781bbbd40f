"""The shipped examples: drawn again by their script, and answered by each command of their README."""

import json
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from astropy.io import fits
from conftest import ROOT, edit_params, run_stage, working_in
from PIL import Image
from pydicom import dcmread

from examples import make_examples
from pipeline.simulation.clusters.stars import flux_of_magnitude
from pipeline.training.registry import MODELS

EXAMPLES = ROOT / "examples"
COMMANDS = re.findall(r"^python -m pipeline\.predict (.+)$", (EXAMPLES / "README.md").read_text(), re.M)


def shipped_files() -> list[Path]:
    return [path for path in EXAMPLES.rglob("*.*") if path.suffix in (".fits", ".png", ".csv", ".dcm")]


def test_the_script_draws_them_again(tmp_path: Path) -> None:
    make_examples.main(tmp_path)
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")} == {
        path.relative_to(EXAMPLES) for path in shipped_files()
    }
    for name in ("lung_phantom.png", "mock_cluster_picture.png"):
        np.testing.assert_array_equal(*(np.asarray(Image.open(folder / name)) for folder in (tmp_path, EXAMPLES)))
    for path in (path for path in shipped_files() if path.suffix == ".csv"):
        assert (tmp_path / path.relative_to(EXAMPLES)).read_bytes() == path.read_bytes()
    assert (tmp_path / "lung_phantom.dcm").read_bytes() == (EXAMPLES / "lung_phantom.dcm").read_bytes()
    for name in ("flux", "g", "r"):
        drawn, shipped = (fits.open(folder / f"mock_cluster_{name}.fits")[0] for folder in (tmp_path, EXAMPLES))
        np.testing.assert_allclose(drawn.data, shipped.data, atol=1e-6)
        assert drawn.header == shipped.header


def test_the_two_bands_are_the_flux_map_in_other_units() -> None:
    """V of Lupton's relation, summed over the same 40 arcsec."""
    pictures = [fits.getdata(EXAMPLES / f"mock_cluster_{band}.fits").astype(float) for band in "gr"]
    g, r = (picture[6:-6, 6:-6].sum() for picture in pictures)
    light = (10.0 ** fits.getdata(EXAMPLES / "mock_cluster_flux.fits").astype(float)).sum()
    v = 22.5 - 2.5 * np.log10(g) - 0.5784 * 2.5 * np.log10(r / g) - 0.0038
    assert flux_of_magnitude(v) == pytest.approx(light, rel=0.02)


def test_the_dicom_file_is_the_phantom() -> None:
    image, phantom = dcmread(EXAMPLES / "lung_phantom.dcm"), np.asarray(Image.open(EXAMPLES / "lung_phantom.png"))
    np.testing.assert_array_equal((4095 - image.pixel_array) / 16, phantom)


def test_every_file_is_explained_and_small() -> None:
    told = (EXAMPLES / "README.md").read_text()
    for path in shipped_files():
        assert str(path.relative_to(EXAMPLES)).split("/")[0] in told and path.stat().st_size < 250_000


def test_every_family_has_a_command() -> None:
    families = {model.family for model in MODELS.values()}
    answering = {family for family in families if find_spec(f"pipeline.evaluation.{family}.arguments")}
    assert {command.split()[0] for command in COMMANDS} == answering


@pytest.fixture(scope="session")
def folder(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data at scale tiny and trainings of one epoch."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "params.yaml").write_text((tiny_data / "params.yaml").read_text())
    for name in ("data", "examples"):
        (folder / name).symlink_to((tiny_data if name == "data" else ROOT) / name)
    sections = {model.section for model in MODELS.values()}
    edit_params(folder, {f"{section}.trainer.max_epochs": 1 for section in sections})
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_readme(folder: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = shlex.split(command)
    with working_in(folder):
        for name, model in MODELS.items():
            if model.family == arguments[0]:
                run_stage("train", name)
        capsys.readouterr()
        run_stage("predict", *arguments)
    [line] = capsys.readouterr().out.splitlines()
    source = next(Path(word) for word in arguments if word.startswith("examples/"))
    out = folder / arguments[arguments.index("--out") + 1]
    assert line.startswith(f"{source}: ") and line.endswith(f"{source.stem}.json")
    assert json.loads((out / f"{source.stem}.json").read_text())
    assert list(out.glob(f"{source.stem}_*.png"))


def test_star_clusters_are_a_source_of_maps(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "examples").symlink_to(EXAMPLES)
    edit_params(tmp_path, {"clusters.source": "examples/star_clusters", "runtime.workers": 1})
    with working_in(tmp_path):
        run_stage("import_clusters")
        run_stage("preprocess_maps")
    seen = pl.read_csv(tmp_path / "data/clusters/seen/catalogue.csv")
    assert seen["distance_kpc"].to_list() == [10.0, 20.0, 40.0, 80.0] * 3
    assert (seen["field_log_mass"].diff().to_numpy()[[1, 2, 3, 5, 6, 7, 9, 10, 11]] > 0).all(), "farther, more in view"
