"""The command that asks trained models: its subcommands, names of answers, and what a bad input does."""

import gc
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import psutil
import pytest
from astropy.io import fits
from astropy.table import Table
from conftest import ROOT, edit_params, run_stage
from matplotlib.figure import Figure
from PIL import Image

from pipeline import predict
from pipeline.errors import InputError
from pipeline.evaluation.common.result import Animation, Picture, Result
from pipeline.prediction import answers
from pipeline.prediction.answers import answer_names
from pipeline.prediction.trained import Trained, sets
from pipeline.training.registry import MODELS

ENDS = (".json", "_map.fits", "_seen.png")
FAMILIES = sorted(
    {m.family for m in MODELS.values() if (ROOT / "pipeline/evaluation" / m.family / "arguments.py").exists()}
)


@pytest.mark.parametrize("family", [*FAMILIES, "--serve"])
def test_each_family_has_a_help_that_answers_at_once(family: str) -> None:
    code = (
        "import sys\nfrom pipeline.predict import main\n"
        f"try: main(['{family}', '--help'])\nexcept SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'pytorch_lightning', 'matplotlib', 'numba', 'astropy', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert ("--port" if family == "--serve" else "--checkpoint") in told and "--device" in told
    assert ("BUNIT" in told and "--band" in told) == (family in ("ebm", "pidoc"))


def test_every_model_of_a_family_is_in_one_set() -> None:
    assert sets("autoencoder") == [["autoencoder-healthy"], ["autoencoder-covid"]]
    assert sets("pidoc") == [["pidoc-mass", "pidoc-age-distance"]]
    assert sets("rbm") == [["rbm"]]


def names(*paths: str) -> list[str]:
    return list(answer_names([Path(path) for path in paths]).values())


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


def map_hdus() -> fits.HDUList:
    return fits.HDUList([fits.PrimaryHDU(np.zeros((2, 2)))])


def answer(models: list[Any], path: Path, **options: Any) -> Result:
    """A prediction that refuses inputs named bad, and says what it was asked in its warnings."""
    if "bad" in path.stem:
        raise InputError(f"{path}: no good; give another")
    figure = plt.figure(figsize=(2, 1))
    figure.suptitle(path.stem)
    distance = {"value": 15.25, "low": 14.0, "high": 17.0, "unit": "kpc"}
    metrics = {"input": path.name, "distance": distance, "mse": 0.5, "warnings": ["odd", f"long {'x' * 300}"]}
    return Result(metrics, [Picture("seen", "What was seen.", figure)], {"map": map_hdus()})


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of inputs, and a family rbm that answers at once."""
    plt.close("all")  # those of other tests
    monkeypatch.setattr(predict, "load_models", lambda *_, **__: Trained("rbm", [], {"rbm": "0" * 64}, "tiny"))
    monkeypatch.setattr("pipeline.evaluation.rbm.prediction.predict", answer)
    for name in ("a/map.png", "b/map.png", "c/bad.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(*arguments: str | Path) -> None:
    predict.main(["rbm", *map(str, arguments), "--out", "out"])


def written() -> list[str]:
    return sorted(str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file())


def test_a_bad_input_does_not_stop_the_others(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="2 of 4 inputs"):
        ask("a/map.png", "c/bad.png", "none.png", "b/map.png")
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{name}/map.png: distance 15.2 (14.0 to 17.0) kpc, mse 0.5, warnings: 2 -> out/{name}/map.json"
        for name in "ab"
    ]
    lines = told.err.splitlines()
    assert lines[0].startswith("warning: the weights were trained at scale tiny")
    assert lines[1] == "warning: map.png: odd"
    assert lines[2].startswith("warning: map.png: long xxx") and lines[2].endswith(" ...") and len(lines[2]) < 270
    assert lines[3:] == [
        "error: c/bad.png: no good; give another",
        "error: none.png: no such file; give an existing input",
    ]
    assert written() == ["a/map.json", "a/map_map.fits", "a/map_seen.png", *(f"b/map{e}" for e in ENDS), "summary.ecsv"]


def test_summary_has_a_row_for_each_input_of_all_runs(family: Path) -> None:
    with pytest.raises(InputError):
        ask("a/map.png", "c/bad.png")
    table = Table.read("out/summary.ecsv")
    assert table["input"].tolist() == ["a/map.png", "c/bad.png"]
    assert [table[f"distance{end}"][0] for end in ("", "_low", "_high")] == [15.25, 14.0, 17.0]
    assert table["distance"].unit == "kpc" and table["mse"].unit is None and table["warnings"].tolist() == [2, 0]
    assert table["distance"].mask.tolist() == [False, True] and "no good" in table["error"][1]
    with pytest.raises(InputError):
        ask("b/map.png", "c/bad.png")  # b/map.png would be called map too
    table = Table.read("out/summary.ecsv")
    assert table["input"].tolist() == ["a/map.png", "b/map.png", "c/bad.png"]
    assert table["answer"].tolist()[:2] == ["map.json", "map-2.json"]
    Path("out/summary.ecsv").write_text("mine")
    with pytest.raises(InputError, match=r"out/summary\.ecsv: no summary"):
        ask("a/map.png")
    assert Path("out/summary.ecsv").read_text() == "mine"


def test_an_answer_replaces_only_one_to_the_same_question(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        ask("a/map.png")
    assert written() == [*(f"map{end}" for end in ENDS), "summary.ecsv"]
    ask("b/map.png")
    Path("a/map.png").write_text("changed")
    ask("a/map.png")
    other = Trained("rbm", [], {"rbm": "1" * 64}, "tiny")
    monkeypatch.setattr(predict, "load_models", lambda *_, **__: other)
    ask("a/map.png")
    Path("out/map-5.json").write_text("[]")  # somebody's own
    Path("b/map.png").write_text("changed too")
    ask("b/map.png")
    inputs = [json.loads(Path(f"out/map{k}.json").read_text())["provenance"] for k in ("", "-2", "-3", "-4", "-6")]
    assert len({str(origin) for origin in inputs}) == 5
    assert Path("out/map-5.json").read_text() == "[]"


def test_an_interrupted_run_keeps_what_it_has(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(models: list[Any], path: Path, **options: Any) -> Result:
        if path.parent.name == "b":
            raise KeyboardInterrupt
        return answer(models, path)

    monkeypatch.setattr("pipeline.evaluation.rbm.prediction.predict", stopped)
    with pytest.raises(KeyboardInterrupt):
        ask("b/map.png", "a/map.png")
    assert not Path("out/summary.ecsv").exists()
    with pytest.raises(KeyboardInterrupt):
        ask("a/map.png", "b/map.png")
    assert Table.read("out/summary.ecsv")["input"].tolist() == ["a/map.png"]


def test_a_killed_run_keeps_most_of_its_summary(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("out").mkdir()
    summary = answers.Summary(Path("out/summary.ecsv"))
    for seconds, rows in ((1e9, None), (0.0, ["a.png", "b.png"])):
        monkeypatch.setattr(answers, "SECONDS", seconds)
        summary.add_failure(Path("b.png" if rows else "a.png"), "no good")
        summary.write_if_due()
        found = Table.read("out/summary.ecsv")["input"].tolist() if Path("out/summary.ecsv").exists() else None
        assert found == rows


def test_folders_are_inputs(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a/notes.txt", "a/.hidden.png", "a/.cache/map.png", "a/deep/down/map.PNG"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("empty").mkdir()
    ask("a", "b/map.png")
    assert [name for name in written() if name.endswith("json")] == ["a/map.json", "b/map.json", "down/map.json"]
    assert "warning: a: left out for their suffix: 1, such as notes.txt; name those" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"empty: no input in this folder outside --out; give files that end in \.png"):
        ask("empty")
    with pytest.raises(InputError, match="1 of 2 inputs had no answer"):
        ask("empty", "b/map.png")
    assert "error: empty: no input in this folder" in capsys.readouterr().err


def test_answers_in_a_folder_of_inputs_are_no_inputs(family: Path) -> None:
    Path("c/bad.png").unlink()
    for _ in range(2):
        ask(".")
    assert Table.read("out/summary.ecsv")["input"].tolist() == ["a/map.png", "b/map.png"]


def test_an_answer_says_where_it_comes_from(family: Path) -> None:
    ask("a/map.png")
    digest = hashlib.sha256(b"a/map.png").hexdigest()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert json.loads(Path("out/map.json").read_text())["provenance"] == {
        "input": {"name": "map.png", "sha256": digest},
        "family": "rbm",
        "options": {},
        "models": {"rbm": "0" * 64},
        "scale": "tiny",
        "version": f"star-cluster-pipeline {version}",
    }
    header = fits.getheader("out/map_map.fits")
    assert header["CREATOR"] == f"star-cluster-pipeline {version}"
    told = list(header["HISTORY"])
    assert told[:5] == [
        "input map.png",
        f"sha256 {digest}",
        "weights rbm",
        f"sha256 {'0' * 64}",
        "trained at scale tiny",
    ]
    assert "warning: odd" in told


def test_an_answer_names_further_inputs_by_their_content(family: Path) -> None:
    ask("a/map.png", "--with", "b/map.png", "--samples", "3")
    digest = hashlib.sha256(b"b/map.png").hexdigest()
    options = json.loads(Path("out/map.json").read_text())["provenance"]["options"]
    assert options == {"parents": [{"name": "map.png", "sha256": digest}], "samples": 3}


def test_an_answer_says_what_its_pictures_show(family: Path) -> None:
    ask("a/map.png")
    assert json.loads(Path("out/map.json").read_text())["pictures"] == {"map_seen.png": "What was seen."}


def test_an_animation_is_written_beside_the_pictures(tmp_path: Path) -> None:
    film = Animation("moves", "It moves.", [Image.new("RGB", (8, 8), (k, 0, 0)) for k in (0, 255)], 0.1)
    written = answers.write(Result({"provenance": {}}, animations=[film]), tmp_path / "stars", Path("stars.csv"))
    assert json.loads(written.read_text())["pictures"] == {"stars_moves.webp": "It moves."}
    with Image.open(tmp_path / "stars_moves.webp") as moving:
        assert moving.n_frames == 2


@pytest.mark.parametrize("name", [b"cost $x^$.png", b"m\xe4p\xff.png", "ö★.png".encode(), b"-x.png"])
def test_names_of_every_kind(family: Path, name: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    Path("d").mkdir()
    path = Path("d", os.fsdecode(name))
    path.write_text("x")
    ask(path)
    assert sorted(os.listdir(b"out")) == sorted([name[:-4] + end.encode() for end in ENDS] + [b"summary.ecsv"])
    shown = name.decode("utf-8", "backslashreplace")
    assert json.loads(Path("out", f"{path.stem}.json").read_text("utf-8"))["input"] == shown
    assert capsys.readouterr().out.startswith(f"d/{shown}: ")
    assert Table.read("out/summary.ecsv")["input"].tolist() == [f"d/{shown}"]


def test_many_inputs_leave_no_figures_in_memory(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process, used = psutil.Process(), {}

    def measured(models: list[Any], path: Path, **options: Any) -> Result:
        used[len(used)] = process.memory_info().rss
        return answer(models, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.evaluation.rbm.prediction.predict", measured)
        for k in range(200):
            Path(f"a/{k:03d}.png").touch()
        ask("a")
    assert len(used) == 201 and plt.get_fignums() == []
    gc.collect()
    assert sum(type(thing) is Figure for thing in gc.get_objects()) == 0
    assert used[200] - used[50] < 20e6, "bytes"


def test_the_lines_of_the_documentation(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    section = (ROOT / "docs/data.md").read_text().partition("## From Python\n")[2]
    code = re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)[0]
    assert len([line for line in code.splitlines() if line and not line.startswith(("print", "#"))]) == 3
    edit_params(workspace, {f"{name}.trainer.max_epochs": 1 for name in ("pidoc-mass", "pidoc-age-distance")})
    for name in ("pidoc-mass", "pidoc-age-distance"):
        run_stage("train", name)
    (workspace / "examples").symlink_to(ROOT / "examples")
    capsys.readouterr()
    exec(code, {})
    assert "kpc" in capsys.readouterr().out


def test_python_takes_the_options_of_the_command_line(family: Path) -> None:
    models = Trained("rbm", [], {}, "tiny")
    assert predict.predict(models, "a/map.png").metrics["distance"]["value"] == 15.25
    with pytest.raises(TypeError, match="rbm has no option fwhm"):
        predict.predict(models, "a/map.png", fwhm=1.0)


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
        "pipeline.training.registry.Model.load", lambda model, *_: SimpleNamespace(to=lambda _: model.name)
    )
    monkeypatch.setattr("pipeline.prediction.weights_archive.read_checkpoint", lambda path: b"")
    assert predict.load_models("autoencoder").modules == ["autoencoder-healthy"]
    assert predict.load_models("pidoc").modules == ["pidoc-mass", "pidoc-age-distance"]
