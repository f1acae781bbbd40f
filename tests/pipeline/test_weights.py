"""Archives of weights: the same bytes, read anywhere, refused in one line where they are not as they were packed."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, edit_params, run_stage

from pipeline import scale
from pipeline.errors import InputError
from pipeline.predict import load_models
from pipeline.prediction.provenance import version
from pipeline.prediction.weights_archive import read_weights

PARAMS = (ROOT / "params.yaml").read_text()


@pytest.fixture(scope="module")
def packed(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one trained model and its archive."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "params.yaml").write_text((tiny_data / "params.yaml").read_text())
    (folder / "data").symlink_to(tiny_data / "data")
    edit_params(folder, {"gnn.trainer.max_epochs": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_stage("train", "gnn")
        run_stage("weights")
    return folder


def test_the_archive_holds_all_that_was_trained(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(packed)
    with zipfile.ZipFile("weights.zip") as archive:
        assert archive.namelist() == ["weights.json", "models/gnn.ckpt", "params.yaml"]
        contents = json.loads(archive.read("weights.json"))
        for name in ("models/gnn.ckpt", "params.yaml"):
            assert archive.read(name) == Path(name).read_bytes()
            assert contents["sha256"][name] == hashlib.sha256(Path(name).read_bytes()).hexdigest()
    assert contents["version"] == version() and contents["scale"] in ("edited", "unknown")
    os.utime("models/gnn.ckpt", (1e9, 1e9))
    run_stage("weights", "--out", "again/other.zip")
    assert Path("again/other.zip").read_bytes() == Path("weights.zip").read_bytes()


def test_a_colleague_needs_the_archive_alone(packed: Path, tmp_path: Path) -> None:
    """In an empty folder: the same answer as where the weights were trained, but for nothing."""
    source = ROOT / "examples/nbody_systems.csv"
    command = [sys.executable, "-m", "pipeline.predict", "gnn", str(source), "--out", str(tmp_path / "out")]
    here = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "--weights", str(packed / "weights.zip")], cwd=tmp_path, env=here, check=True)
    there = json.loads((tmp_path / "out/nbody_systems.json").read_text())
    subprocess.run(command, cwd=packed, env=here, check=True)
    assert json.loads((tmp_path / "out/nbody_systems.json").read_text()) == there
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    digest = hashlib.sha256((packed / "models/gnn.ckpt").read_bytes()).hexdigest()
    assert there["provenance"]["models"] == {"gnn": digest}


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def bit_flipped(content: bytes) -> bytes:
    place = content.index(b"models/gnn.ckpt", content.index(b"\n}\n")) + 1000  # after its hash: among the weights
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def no_zip(content: bytes) -> bytes:
    return b"weights"


def another_zip(content: bytes) -> bytes:
    Path("other.zip").unlink(missing_ok=True)
    with zipfile.ZipFile("other.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    return Path("other.zip").read_bytes()


def exchanged(content: bytes) -> bytes:
    """A whole zip whose checkpoint is not the one that was packed."""
    Path("old.zip").write_bytes(content)
    with zipfile.ZipFile("old.zip") as old, zipfile.ZipFile("new.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"other weights" if name.endswith("ckpt") else old.read(name))
    return Path("new.zip").read_bytes()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "no whole archive"),
        (bit_flipped, "no whole archive"),
        (no_zip, "no whole archive"),
        (another_zip, "no whole archive"),
        (exchanged, r"gnn is not as it was packed"),
    ],
)
def test_spoilt_archives(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.zip").write_bytes(spoil((packed / "weights.zip").read_bytes()))
    with pytest.raises(InputError, match=f"^mine.zip: .*{words}"):
        load_models("gnn", weights="mine.zip")


def test_what_an_archive_lacks(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="has no rbm"):
        load_models("rbm", weights=packed / "weights.zip")
    with pytest.raises(InputError, match=r"nowhere\.zip: no such archive"):
        read_weights(Path("nowhere.zip"), ["gnn"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="models: no trained model"):
        run_stage("weights")


def test_scale_of_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "_committed", lambda: PARAMS)
    params = tmp_path / "params.yaml"
    params.write_text(PARAMS)
    edit_params(tmp_path, {"runtime.workers": 7})
    assert scale.scale_of(params) == "default", "where it runs is no part of a scale"
    scale.write_scale(ROOT / "scales/tiny.yaml", params)
    assert scale.scale_of(params) == "tiny"
    edit_params(tmp_path, {"clusters.seed": 7})
    assert scale.scale_of(params) == "edited"
    params.write_text(PARAMS)
    edit_params(tmp_path, {"ebm.trainer.max_epochs": 21})
    assert scale.scale_of(params) == "edited"
    monkeypatch.setattr(scale, "_committed", lambda: None)
    assert scale.scale_of(params) == "unknown", "without Git"


def test_git_tells_what_the_default_is(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a Git checkout")
    shown = subprocess.run(["git", "show", "HEAD:params.yaml"], cwd=ROOT, capture_output=True, text=True, check=True)
    (tmp_path / "params.yaml").write_text(shown.stdout)
    assert scale._committed() == shown.stdout
