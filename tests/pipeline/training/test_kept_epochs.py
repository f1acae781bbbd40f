"""The weights part-way through a training lie beside the last ones, whenever it was killed."""

from pathlib import Path

import pytest
import torch
from conftest import edit_params, run_stage

from lit_modules.autoencoder import LitAutoencoder
from lit_modules.base import PictureReader
from pipeline.errors import InputError
from pipeline.settings.load import load_params
from pipeline.training import callbacks, resume
from pipeline.training.registry import MODELS

NAME = "autoencoder-covid"
MODEL = MODELS[NAME]


@pytest.fixture(autouse=True)
def random_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings that do not start from principal components, which take seconds."""
    monkeypatch.setattr(LitAutoencoder, "fit_statistics", PictureReader.fit_statistics)


def prepare(workspace: Path, snapshot: int, epochs: int) -> None:
    model = {"snapshot_epoch": snapshot, "widths": [16, 8]}
    edit_params(workspace, {f"autoencoder.model.{key}": value for key, value in model.items()})
    edit_params(workspace, {"autoencoder.trainer.max_epochs": epochs})


def test_they_are_the_weights_of_their_epoch(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the last epoch are the exported ones, but for what is measured at the end."""
    seen = []
    curves = callbacks.Curves.on_train_epoch_end

    def look(self: callbacks.Curves, fit: object, module: torch.nn.Module) -> None:
        seen.append(module.state_dict()["net.linear_encoder.weight"].clone())
        curves(self, fit, module)  # type: ignore[arg-type]

    monkeypatch.setattr(callbacks.Curves, "on_train_epoch_end", look)
    for snapshot in (2, 3):
        prepare(workspace, snapshot, 3)
        run_stage("train", NAME)
        assert [path.name for path in MODEL.part_way.iterdir()] == [f"{snapshot}.ckpt"]
        part_way, last = MODEL.load(MODEL.part_way / f"{snapshot}.ckpt"), MODEL.load(f"models/{NAME}.ckpt")
        assert torch.equal(part_way.net.linear_encoder.weight, seen[3 * (snapshot - 2) + snapshot - 1])
        assert torch.equal(part_way.net.linear_encoder.weight, last.net.linear_encoder.weight) == (snapshot == 3)


def test_a_killed_training_still_has_them(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crash(Exception):
        pass

    def crash(self: callbacks.Curves, fit: object, module: object) -> None:
        curves(self, fit, module)  # type: ignore[arg-type]
        if len(self.rows) == 3:
            raise Crash

    prepare(workspace, 1, 3)
    run_stage("train", NAME)
    undisturbed = (MODEL.part_way / "1.ckpt").read_bytes()
    (MODEL.part_way / "1.ckpt").unlink()
    curves = callbacks.Curves.on_train_epoch_end
    monkeypatch.setattr(resume, "MOST_SECONDS", -1.0)
    monkeypatch.setattr(callbacks.Curves, "on_train_epoch_end", crash)
    with pytest.raises(Crash):
        run_stage("train", NAME)
    assert not any(MODEL.part_way.iterdir())
    monkeypatch.setattr(callbacks.Curves, "on_train_epoch_end", curves)
    run_stage("train", NAME)
    assert (MODEL.part_way / "1.ckpt").read_bytes() == undisturbed


def test_a_model_without_any_has_an_empty_folder(workspace: Path) -> None:
    edit_params(workspace, {"gnn.trainer.max_epochs": 1})
    run_stage("train", "gnn")
    assert not any(MODELS["gnn"].part_way.iterdir())


def test_an_epoch_after_the_last_is_refused(default_folder: Path) -> None:
    edit_params(default_folder, {"autoencoder.trainer.max_epochs": 99})
    with pytest.raises(InputError) as caught:
        load_params("params.yaml")
    told = "params.yaml: autoencoder: model.snapshot_epoch 100 is after trainer.max_epochs 99; lower it"
    assert str(caught.value) == told
