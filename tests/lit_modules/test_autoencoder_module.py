"""The LightningModule: deformations that no number of processes changes, where it starts, held-out gain."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from conftest import training_split
from torch import Tensor

from benchmarks.lungs_xrays import KINDS_OF_CODE
from datamodules.base import TensorDataModule
from lit_modules.autoencoder import LitAutoencoder
from pipeline.errors import InputError
from pipeline.settings.base import DataSettings
from pipeline.train import export
from pipeline.training.registry import load_checkpoint

SETTINGS: dict[str, Any] = {
    "side": 12, "widths": [48, 32, 24], "code": "top_k", "active_units": 8, "sparsity": 0.01, "target": 0.1,
    "tied": False, "noise": 0.0, "copies": 0, "snapshot_epoch": 2, "rotation": 0.1, "scale": 0.1,
    "shift": 0.2, "warp": 0.05, "contrast": 0.2, "augment_seed": 1, "lr": 3.0e-3, "weight_decay": 1.0e-2,
}  # fmt: skip


def blobs(n: int, seed: int) -> Tensor:
    """Spots anywhere: a family that a linear span of few samples does not cover."""
    g = torch.Generator().manual_seed(seed)
    place = 3 + 6 * torch.rand(n, 2, 1, 1, generator=g)
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    return torch.exp(-((y - place[:, 0]) ** 2 + (x - place[:, 1]) ** 2) / 6)[:, None]


class Blobs(TensorDataModule):
    Settings = DataSettings
    padded, white, drawn = False, 255, True

    def setup(self, stage: str | None = None) -> None:
        sizes = {"train": 16, "val": 5, "test": 64}
        self.splits = {name: {"image": blobs(n, seed)} for seed, (name, n) in enumerate(sizes.items())}


def module(**changes: Any) -> LitAutoencoder:
    torch.manual_seed(0)
    return LitAutoencoder(**{**SETTINGS, **changes})


def fitted(epochs: int, **changes: Any) -> tuple[LitAutoencoder, Blobs]:
    model, data = module(**changes), Blobs("", batch_size=8, seed=1)
    data.setup()
    model.fit_statistics(data)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    return model.eval(), data


def test_ranks_see_slices_of_one_draw() -> None:
    model, images = module(), blobs(8, 0)
    together = model.deformed(images, step=5)
    apart = [model.deformed(part, step=5, rank=rank, world_size=2) for rank, part in enumerate(images.split(4))]
    torch.testing.assert_close(torch.cat(apart), together, rtol=0, atol=0)
    assert not torch.equal(model.deformed(images, step=6), together)
    assert not torch.equal(module(augment_seed=2).deformed(images, step=5), together)


def test_training_starts_from_the_components_of_deformed_copies() -> None:
    model, data = module(copies=6, code="dense"), Blobs("", batch_size=8, seed=1)
    data.setup()
    model.fit_statistics(data)
    copies = torch.cat([model.deformed(data.splits["train"]["image"], step) for step in range(6)]).flatten(1).numpy()
    mean = copies.mean(axis=0)
    axes = np.linalg.svd(windowed((copies - mean).reshape(-1, 12, 12)), full_matrices=False)[2][:24]
    held_out = data.splits["test"]["image"]
    expected = mean + (held_out.flatten(1).numpy() - mean) @ axes.T @ axes
    np.testing.assert_allclose(model(held_out).detach().flatten(1), expected, atol=1e-3)


def test_many_pictures_have_fewer_copies() -> None:
    """Memory does not grow without end; of the pictures of the course none is left out."""
    model = module(copies=80)
    assert [model.copies_of_each(n) for n in (1, 125, 5000, 10**6)] == [80, 80, 2, 1]
    assert module(copies=3).deformed_copies(blobs(4, 0)).shape == (12, 1, 12, 12)


def test_phantoms_are_known_as_such() -> None:
    assert fitted(1)[0].drawn
    other = module()
    other.fit_statistics(training_split({"image": blobs(4, 0)}))
    assert not other.drawn


def windowed(pictures: np.ndarray) -> np.ndarray:
    """Pictures (n, 12, 12) through nine windows whose products add up to the factor of the covariance, (9 n, 144)."""
    angle = np.pi / 2 * np.arange(12) / 12
    along = np.stack([np.cos(angle) ** 2, 2**0.5 * np.cos(angle) * np.sin(angle), np.sin(angle) ** 2])
    return np.concatenate([pictures * row[:, None] * column for row in along for column in along]).reshape(-1, 144)


def test_linear_path_learns_more_slowly() -> None:
    for tied in (False, True):
        model = module(tied=tied)
        others, linear = model.parameter_groups()
        assert len(linear["params"]) == (1 if tied else 2) and 0 < linear["lr"] < model.settings.lr / 10
        every = [id(weight) for group in (others, linear) for weight in group["params"]]
        assert sorted(every) == sorted(id(weight) for weight in model.parameters())


@pytest.mark.parametrize("copies", [0, 3])
def test_no_picture_lies_in_the_weights(copies: int) -> None:
    """Nothing as long as a picture is one, be it brightened or stretched: no correlation comes near 1."""
    model, data = fitted(3, copies=copies)
    images = torch.cat([data.splits[split]["image"] for split in ("train", "val")]).flatten(1)
    weights = [tensor for tensor in model.state_dict().values() if tensor.numel() >= 144]
    either_way = [turned for tensor in weights for turned in (tensor.flatten(), tensor.transpose(0, -1).flatten())]
    parts = torch.cat([flat[: len(flat) // 144 * 144].reshape(-1, 144) for flat in either_way])
    assert len(parts) > 2 * (48 + 24), "matrices from and to pixels"
    alike = torch.corrcoef(torch.cat([images, parts]))[: len(images), len(images) :]
    assert float(alike.nan_to_num().abs().max()) < 0.95, "nan: zeros"


def test_input_is_corrupted_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """By noise of the standard deviation that is named; the target stays clean."""
    seen: list[Any] = []
    losses = LitAutoencoder.losses
    monkeypatch.setattr(LitAutoencoder, "losses", lambda self, batch: seen.append(batch) or losses(self, batch))
    fitted(2, noise=0.3)
    trained, validated = ([batch for batch in seen if ("input" in batch) == noisy] for noisy in (True, False))
    assert len(trained) == 4 and len(validated) == 2
    added = torch.cat([(batch["input"] - batch["image"]).flatten() for batch in trained])
    assert float(added.std()) == pytest.approx(0.3, rel=0.03) and abs(float(added.mean())) < 0.02
    assert 0 <= float(trained[0]["image"].min()) and float(trained[0]["image"].max()) <= 1
    model, images, blank = module(), blobs(4, 0), torch.zeros(4, 1, 12, 12)
    with torch.no_grad():
        loss, expected = (
            model.losses({"image": images, "input": blank})["loss"],
            (model(blank) - images).square().mean(),
        )
    assert float(loss) == pytest.approx(float(expected))


@pytest.mark.parametrize("code", ["l1", "kl"])
@pytest.mark.parametrize("sparsity", [0.0, 1.0])
def test_the_error_is_told_beside_the_loss_with_its_penalty(code: str, sparsity: float) -> None:
    model, data = fitted(1, code=code, sparsity=sparsity)
    images = data.splits["test"]["image"]
    with torch.no_grad():
        coefficients, losses = model.net.coefficients(images), model.losses({"image": images})
        error, weighted = (model(images) - images).square().mean(), model.net.penalty(coefficients)
    assert float(losses["reconstruction"]) == pytest.approx(float(error))
    assert float(losses["loss"]) == pytest.approx(float(error + weighted))
    assert (float(weighted) > 0) == (sparsity > 0)


def test_l1_leaves_less_than_half_of_the_entries_active_that_a_dense_code_uses() -> None:
    shares = []
    for code in ("dense", "l1"):
        model, data = fitted(40, code=code, sparsity=KINDS_OF_CODE["L1"]["sparsity"])
        shares.append(model.active_share(data.splits["test"]["image"]))
    assert 0.02 < shares[1] < 0.5 * shares[0]


def test_kl_brings_the_activity_to_its_target() -> None:
    """Most of the way down from where it starts; a picture uses fewer entries than of a dense code."""
    target, activities = KINDS_OF_CODE["KL"]["target"], []
    for epochs in (1, 100):
        model, data = fitted(epochs, **KINDS_OF_CODE["KL"], copies=6)
        images = data.splits["test"]["image"]
        c = model.net.coefficients(images).detach().double().numpy()
        activities.append(model.activity(images))
        assert activities[-1] == pytest.approx((c**2 / (1 + c**2)).mean(), rel=1e-5)
    assert activities[0] > 3 * target
    assert target / 2 < activities[1] < 2.5 * target
    dense, _ = fitted(1, code="dense", copies=6)
    assert model.active_share(images) < 0.7 * dense.active_share(images)


def test_an_error_is_ranked_among_those_of_the_validation_pictures(tmp_path: Path) -> None:
    """They are those of the final weights, sorted; a checkpoint brings as many as it has."""
    model, data = fitted(2)
    images = data.splits["val"]["image"]
    with torch.no_grad():
        expected = sorted(float((model.net(image[None]) - image).square().mean()) for image in images)
    assert model.validation_errors.tolist() == pytest.approx(expected, rel=1e-5)
    assert [model.percentile(error) for error in (0.0, (expected[1] + expected[2]) / 2, 1e9)] == [0, 40, 100]
    export(model, model.state_dict(), tmp_path / "a.ckpt")
    again = LitAutoencoder.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert torch.equal(again.validation_errors, model.validation_errors)
    del model._buffers["validation_errors"]
    export(model, model.state_dict(), tmp_path / "old.ckpt")
    with pytest.raises(InputError, match=r"old\.ckpt: of an older version, lacks validation_errors; train it again"):
        load_checkpoint(LitAutoencoder, tmp_path / "old.ckpt")


def test_held_out_error_beats_principal_components() -> None:
    model, data = fitted(150)
    untrained = module(code="dense")
    untrained.fit_statistics(data)
    with torch.no_grad():
        own, pca = (float(each.losses(data.splits["test"])["loss"]) for each in (model, untrained))
    assert own < 0.8 * pca


def test_pictures_of_another_size_are_named() -> None:
    with pytest.raises(InputError, match="side is 12 but the pictures have 10"):
        module().fit_statistics(training_split({"image": torch.rand(4, 1, 10, 10)}))


def test_example_images() -> None:
    [(_, grid)] = module().example_images({"image": blobs(3, 0)}).items()
    assert grid.shape == (1, 3 * 13 - 1, 3 * 13 - 1) and 0 <= float(grid.min()) and float(grid.max()) <= 1
