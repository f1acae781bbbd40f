"""A run's data are told by DVC's hash and by the parameters that made them."""

import hashlib
from pathlib import Path

import pytest
from conftest import ROOT
from dvc.repo import Repo

from pipeline.settings.load import load_params
from pipeline.tracking import artifacts
from pipeline.tracking.config import provenance, stage_config

CHAIN = """
stages:
  draw:
    cmd: mkdir -p data/raw && echo one > data/raw/a.txt
    params: [draw]
    outs: [data/raw]
  cut:
    cmd: mkdir -p data/cut && cp data/raw/a.txt data/cut/b.txt
    deps: [data/raw]
    params: [cut.size, draw.seed]
    outs: [data/cut]
  other:
    cmd: echo two > other.txt
    params: [unused]
    outs: [other.txt]
"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project of three stages that ran."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / "dvc.yaml").write_text(CHAIN)
    (folder / "params.yaml").write_text("draw: {n: 3, seed: 1}\ncut: {size: 5, colour: 7}\nunused: 1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with Repo.init(no_scm=True) as repo:
            repo.reproduce()
    return folder


def md5_of_folder(name: str, content: str) -> str:
    """DVC's hash of a folder of one file."""
    listing = f'[{{"md5": "{hashlib.md5(content.encode()).hexdigest()}", "relpath": "{name}"}}]'
    return f"{hashlib.md5(listing.encode()).hexdigest()}.dir"


def test_data_have_their_hash_and_all_parameters_before_them_once(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(chain)
    assert provenance(Path("data/cut")) == {
        "path": "data/cut",
        "md5": {"data/cut": md5_of_folder("b.txt", "one\n")},
        "parameters": {"draw": {"n": 3, "seed": 1}, "cut": {"size": 5}},
    }
    both = provenance(Path("data"))
    assert both["md5"] == {"data/raw": md5_of_folder("a.txt", "one\n"), "data/cut": md5_of_folder("b.txt", "one\n")}


def test_data_that_dvc_did_not_make_have_no_parameters(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(chain, tmp_path / "edited")
    monkeypatch.chdir(tmp_path / "edited")
    shutil.rmtree("data/cut")
    Path("data/cut").mkdir()
    Path("data/cut/b.txt").write_text("mine")
    assert provenance(Path("data/cut")) == {"path": "data/cut", "md5": {"data/cut": md5_of_folder("b.txt", "mine")}}


def test_without_dvc_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    assert provenance(Path("data")) == {"path": "data", "md5": {}}
    assert artifacts.dataset(Path("data")) is None


def test_a_broken_dvc_is_told_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Repo.init(no_scm=True).close()
    Path("dvc.yaml").write_text("stages: [")
    Path("data").mkdir()
    assert provenance(Path("data"))["md5"] == {}
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith("warning: ") and "dvc.yaml" in said


def test_code_that_draws_data_is_hashed_itself() -> None:
    code = ROOT / "datamodules/densities.py"
    expected = {"datamodules/densities.py": hashlib.md5(code.read_bytes()).hexdigest()}
    assert provenance(code) == {"path": "datamodules/densities.py", "md5": expected}


def test_config_is_the_section_of_the_stage_and_its_data() -> None:
    section = load_params(ROOT / "params.yaml").model_section("gnn")
    config = stage_config(section, ROOT / "datamodules/densities.py")
    assert set(config) == {"model", "data", "trainer", "seed", "dataset"}
    assert config["model"] == section.model.model_dump() and config["seed"] == section.seed


def test_dataset_is_a_reference_and_the_same_for_the_same_data(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(chain)
    one, again, raw = (artifacts.dataset(Path(path)) for path in ("data/cut", "data/cut", "data/raw"))
    assert one and again and raw
    [entry] = one.manifest.entries.values()
    assert entry.ref == f"dvc://data/cut?md5={md5_of_folder('b.txt', 'one' + chr(10))}" and entry.local_path is None
    assert one.name == "data-cut" and one.type == "dataset"
    assert one.digest == again.digest != raw.digest


def test_checkpoint_is_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))
    Path("models").mkdir()
    Path("models/gnn.ckpt").write_bytes(b"weights")
    artifact = artifacts.checkpoint("gnn")
    Path("models/gnn.ckpt").write_bytes(b"of the next training")
    assert (artifact.name, artifact.type) == ("models-gnn", "model")
    [entry] = artifact.manifest.entries.values()
    assert entry.path == "gnn.ckpt" and Path(str(entry.local_path)).read_bytes() == b"weights"
