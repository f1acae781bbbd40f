"""The shipped examples: drawn again by their script, and answered by each command of their README."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from conftest import ROOT, edit_params, run_stage, working_in
from PIL import Image

from examples import make_examples
from pipeline.training.registry import MODELS

EXAMPLES = ROOT / "examples"
COMMANDS = re.findall(r"^python -m pipeline\.predict (.+)$", (EXAMPLES / "README.md").read_text(), re.M)


def test_the_script_draws_them_again(tmp_path: Path) -> None:
    make_examples.main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for path in EXAMPLES.iterdir() if path.suffix in (".fits", ".png", ".csv")
    }
    for name in ("lung_phantom.png", "mock_cluster_picture.png"):
        np.testing.assert_array_equal(*(np.asarray(Image.open(folder / name)) for folder in (tmp_path, EXAMPLES)))
    assert (tmp_path / "nbody_systems.csv").read_bytes() == (EXAMPLES / "nbody_systems.csv").read_bytes()
    drawn, shipped = (fits.open(folder / "mock_cluster_flux.fits")[0] for folder in (tmp_path, EXAMPLES))
    np.testing.assert_allclose(drawn.data, shipped.data, atol=1e-6)
    assert drawn.header == shipped.header


def test_every_file_is_explained_and_small() -> None:
    told = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.iterdir():
        if path.suffix in (".fits", ".png", ".csv"):
            assert path.name in told and path.stat().st_size < 250_000


def test_every_family_has_a_command() -> None:
    assert {command.split()[0] for command in COMMANDS} == {model.family for model in MODELS.values()}


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
    source, out = Path(arguments[1]), folder / arguments[arguments.index("--out") + 1]
    assert line.startswith(f"{source}: ") and line.endswith(f"{source.stem}.json")
    assert json.loads((out / f"{source.stem}.json").read_text())
    assert list(out.glob(f"{source.stem}_*.png"))
