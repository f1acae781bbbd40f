"""The command that asks trained models: its subcommands, names of answers, and what a bad input does."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import pytest
from conftest import ROOT

from pipeline import predict
from pipeline.errors import InputError
from pipeline.evaluation.common.result import Picture, Result
from pipeline.training.registry import MODELS

FAMILIES = sorted({model.family for model in MODELS.values()})


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_a_help_that_answers_at_once(family: str) -> None:
    code = (
        "import sys\nfrom pipeline.predict import main\n"
        f"try: main(['{family}', '--help'])\nexcept SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'pytorch_lightning', 'matplotlib', 'numba', 'astropy', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "--checkpoint" in told and "--device" in told
    assert ("BUNIT" in told and "--psf-fwhm" in told) == (family in ("ebm", "pidoc"))


def names(*paths: str) -> list[str]:
    return list(predict.answer_names([Path(path) for path in paths]).values())


def test_a_family_without_arguments_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(predict.MODELS, "mine", replace(MODELS["gnn"], name="mine", family="common"))
    offered = predict.make_parser().format_help()
    assert "common" not in offered and "gnn" in offered


def test_names_of_answers_tell_the_inputs_apart() -> None:
    assert names("a/one.fits", "b/two.fits") == ["one", "two"]
    assert names("a/map.fits", "b/map.fits", "c/other.fits") == ["a/map", "b/map", "other"]
    assert names("a/x/map.fits", "b/x/map.fits", "b/y/map.fits") == ["a/x/map", "b/x/map", "y/map"]
    assert names("a/map.fits", "a/map.npy") == ["map.fits", "map.npy"]
    assert names("a/map.fits", "a/map.npy", "b/map.npy") == ["map.fits", "map.npy", "b/map"]
    assert names("a/map.fits", "a/../a/map.fits") == ["map"], "one file, one answer"
    many = names(*(f"{a}/{b}/map{c}" for a in "pq" for b in "pq" for c in (".fits", ".npy", ".fits.npy")))
    assert len(set(many)) == 12
    assert not any(".." in Path(name).parts or Path(name).is_absolute() for name in many)


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of inputs, and a prediction that refuses those named bad."""

    def answer(models: list[Any], path: Path, **options: Any) -> Result:
        if "bad" in path.stem:
            raise InputError(f"{path}: no good; give another")
        assert not options, "the family has none of its own"
        figure = plt.figure()
        distance = {"value": 15.25, "low": 14.0, "high": 17.0, "unit": "kpc"}
        metrics = {"input": path.name, "distance": distance, "mse": 0.5, "warnings": ["odd"]}
        return Result(metrics, [Picture("seen", "", figure)])

    plt.close("all")  # those of other tests
    monkeypatch.setattr(predict, "load_models", lambda *_: [])
    monkeypatch.setattr("pipeline.evaluation.rbm.prediction.predict", answer)
    for name in ("a/map.png", "b/map.png", "c/bad.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_bad_input_does_not_stop_the_others(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="2 of 4 inputs"):
        predict.main(["rbm", "a/map.png", "c/bad.png", "none.png", "b/map.png", "--out", "out"])
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{name}/map.png: distance 15.2 (14.0 to 17.0) kpc, mse 0.5, warnings: 1 -> out/{name}/map.json"
        for name in "ab"
    ]
    assert told.err.splitlines() == [
        "error: c/bad.png: no good; give another",
        "error: none.png: no such file; give an existing input",
    ]
    found = sorted(str(path) for path in Path("out").rglob("*") if path.is_file())
    assert found == [f"out/{name}/map{end}" for name in "ab" for end in (".json", "_seen.png")]
    assert plt.get_fignums() == [], "figures are closed"


def test_checkpoints_of_other_families_are_refused(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"models/rbm\.ckpt: no such checkpoint"):
        predict.load_models("rbm")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match="--device cpu"):
        predict.load_models("rbm", None, "cuda")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "weights.ckpt")
    with pytest.raises(InputError, match="not a checkpoint"):
        predict.load_models("pidoc", tmp_path / "weights.ckpt")


def test_one_model_of_each_kind_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pipeline.training.registry.Model.load", lambda model, _: SimpleNamespace(to=lambda _: model.name)
    )
    assert predict.load_models("autoencoder") == ["autoencoder-healthy"]
    assert predict.load_models("pidoc") == ["pidoc-mass", "pidoc-age-distance"]


@pytest.mark.parametrize("width", ["0", "-1", "nan", "wide"])
def test_a_width_that_is_none_is_refused(width: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        predict.main(["pidoc", "map.fits", "--out", "out", "--psf-fwhm", width])
    assert stop.value.code == 2
    assert f"argument --psf-fwhm: '{width}' is no number above zero" in capsys.readouterr().err
