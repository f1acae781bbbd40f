"""A user's mistake ends in one line that names it and the remedy, status 2, and nothing half-written."""

import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch
from conftest import edit_params, run_stage
from PIL import Image

from pipeline.errors import run


def expect_error(capsys: pytest.CaptureFixture[str], stage: str, *arguments: str) -> str:
    """Run a stage as its command line does; return its one line of error."""
    before = {path for path in Path().rglob("*") if path.is_file()}
    capsys.readouterr()
    main = import_module(f"pipeline.{stage}").main
    with pytest.raises(SystemExit) as stop:
        run(lambda: main(list(arguments)))
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert "Traceback" not in error
    outs = {path for path in Path().rglob("*") if path.is_file()} - before
    assert not [path for path in outs if path.parts[0] != "runs"], "nothing half-written"
    return error


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("nbody.softning", 0.1, "unknown key nbody.softning"),
        ("nbody.dt", -0.1, "nbody.dt is -0.1"),
        ("nbody.dt", "0.1", "nbody.dt is '0.1'"),
        ("nbody.dt", 0.3, "nbody"),
        ("nbody.dt", float("nan"), "nbody.dt is nan"),
        ("nbody.n_simulations", 0, "nbody.n_simulations is 0"),
        ("nbody.n_stars", 1, "nbody.n_stars is 1"),
        ("autoencoder.model.lr", 0.0, "autoencoder.model.lr is 0.0"),
        ("pidoc-mass.trainer.precision", "16", "pidoc-mass.trainer.precision"),
    ],
)
def test_parameters(workspace: Path, capsys: pytest.CaptureFixture[str], key: str, value: object, words: str) -> None:
    edit_params(workspace, {key: value})
    assert words in expect_error(capsys, "generate_nbody")


def test_missing_parameter_and_file(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Path("params.yaml").read_text().splitlines()
    Path("params.yaml").write_text("\n".join(line for line in lines if not line.startswith("  softening")))
    assert "nbody.softening is missing" in expect_error(capsys, "generate_nbody")
    assert "nowhere.yaml" in expect_error(capsys, "generate_nbody", "--params", "nowhere.yaml")


def empty(folder: Path) -> None:
    pass


def text_as_png(folder: Path) -> None:
    (folder / "a.png").write_text("no picture")


def truncated(folder: Path) -> None:
    Image.effect_noise((64, 64), 50).save(folder / "a.png")
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(content[: len(content) // 2])


def huge(folder: Path) -> None:
    Image.new("1", (20000, 20000)).save(folder / "a.png")


@pytest.mark.parametrize("make", [empty, text_as_png, truncated, huge])
def test_pictures(workspace: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None]) -> None:
    source = workspace / "source"
    source.mkdir()
    make(source)
    edit_params(workspace, {"images.lungs.source": str(source)})
    (workspace / "data").unlink()
    error = expect_error(capsys, "import_images", "lungs")
    assert str(source) in error
    assert not Path("data/raw").exists()


def nan_value(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1].rpartition(",")[0] + ",NaN"]


def missing_column(lines: list[str]) -> list[str]:
    return [line.rpartition(",")[0] for line in lines]


def cut_last_line(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1][: len(lines[-1]) // 2]]


@pytest.mark.parametrize("spoil", [nan_value, missing_column, cut_last_line])
def test_trajectories(
    workspace: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[list[str]], list[str]]
) -> None:
    source = Path("data/nbody/trajectories.csv").resolve()
    Path("data").unlink()
    Path("data/nbody").mkdir(parents=True)
    Path("data/nbody/trajectories.csv").write_text("\n".join(spoil(source.read_text().splitlines())))
    assert "data/nbody/trajectories.csv" in expect_error(capsys, "train", "gnn")


def test_missing_data(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").unlink()
    assert "data/clusters: no such data" in expect_error(capsys, "train", "ebm")


def test_checkpoints(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "models/gnn.ckpt: no such checkpoint" in expect_error(capsys, "evaluate", "gnn")
    edit_params(workspace, {"gnn.trainer.max_epochs": 1})
    run_stage("train", "gnn")
    shutil.copy("models/gnn.ckpt", "models/rbm.ckpt")
    assert "models/rbm.ckpt: the checkpoint of another model" in expect_error(capsys, "evaluate", "rbm")
    stored = torch.load("models/gnn.ckpt", weights_only=True)
    older = {name: tensor for name, tensor in stored["state_dict"].items() if name != "speed_range"}
    torch.save(stored | {"state_dict": older}, "models/gnn.ckpt")
    for stage in (("evaluate", "gnn"), ("predict", "gnn", "data/nbody/trajectories.csv", "--out", "out")):
        told = expect_error(capsys, *stage)
        assert "models/gnn.ckpt: of an older version, lacks speed_range; train it again (dvc repro train@gnn)" in told
    torch.save({name: stored[name] for name in ("state_dict", "hyper_parameters")}, "models/gnn.ckpt")
    assert "models/gnn.ckpt: not a checkpoint" in expect_error(capsys, "evaluate", "gnn")
    Path("models/gnn.ckpt").write_bytes(Path("models/gnn.ckpt").read_bytes()[:1000])
    assert "models/gnn.ckpt: not a checkpoint" in expect_error(capsys, "evaluate", "gnn")
    csv = "data/nbody/trajectories.csv"
    assert "other.ckpt" in expect_error(capsys, "predict", "gnn", csv, "--out", "out", "--checkpoint", "other.ckpt")


def test_unwritable_folder(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_params(workspace, {"gnn.trainer.max_epochs": 1})
    Path("models").write_text("a file where the folder should be")
    error = expect_error(capsys, "train", "gnn")
    assert "models" in error and "folder" in error


def test_diverging_training(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_params(workspace, {"gnn.model.lr": 1.0e30, "gnn.trainer.gradient_clip_val": None})
    assert "lower gnn.model.lr" in expect_error(capsys, "train", "gnn")


@pytest.mark.parametrize("key", [None, "0" * 40])
def test_tracker_trouble_only_warns(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("HOME", str(workspace))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    edit_params(workspace, {"gnn.trainer.max_epochs": 1})
    run_stage("train", "gnn")
    assert Path("models/gnn.ckpt").is_file()
    warning = capsys.readouterr().err
    assert "W&B stays offline" in warning and ("no API key" if key is None else "cannot be reached") in warning
