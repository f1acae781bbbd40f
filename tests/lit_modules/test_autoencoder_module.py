"""The LightningModule: deformations that no number of processes changes, the snapshot, held-out gain."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from conftest import training_split
from torch import Tensor

from datamodules.base import TensorDataModule
from lit_modules.autoencoder import N_EXAMPLES, LitAutoencoder
from pipeline.errors import InputError
from pipeline.settings.base import DataSettings
from pipeline.train import export
from pipeline.training.registry import load_checkpoint

SETTINGS: dict[str, Any] = {
    "side": 12, "widths": [48, 32, 24], "active_units": 8, "snapshot_epoch": 2, "rotation": 0.1, "scale": 0.1,
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
    padded, white = False, 255

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


def test_snapshot_is_that_of_its_epoch() -> None:
    """It holds validation pictures; of the last epoch it holds what the final weights draw, of an earlier one not."""
    model, data = fitted(5)
    originals, early = model.snapshot
    expected = data.splits["val"]["image"][torch.arange(N_EXAMPLES) % 5]
    torch.testing.assert_close(originals, expected, rtol=0, atol=0)
    late, _ = fitted(5, snapshot_epoch=5)
    with torch.no_grad():
        torch.testing.assert_close(late.snapshot[1], late.net(expected))
    assert (early - late.snapshot[1]).abs().max() > 1e-3


def test_an_error_is_ranked_among_those_of_the_validation_pictures(tmp_path: Path) -> None:
    """They are those of the final weights, sorted; a checkpoint brings as many as it has."""
    model, data = fitted(2)
    images = data.splits["val"]["image"]
    with torch.no_grad():
        expected = sorted(float((model.net(image[None]) - image).square().mean()) for image in images)
    assert model.validation_errors.tolist() == pytest.approx(expected, rel=1e-5)
    assert [model.percentile(error) for error in (0.0, (expected[1] + expected[2]) / 2, 1e9)] == [0, 40, 100]
    export(model, tmp_path / "a.ckpt")
    again = LitAutoencoder.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert torch.equal(again.validation_errors, model.validation_errors)
    del model._buffers["validation_errors"]
    export(model, tmp_path / "old.ckpt")
    with pytest.raises(InputError, match=r"old\.ckpt: of an older version, lacks validation_errors; train it again"):
        load_checkpoint(LitAutoencoder, tmp_path / "old.ckpt")


def test_held_out_error_beats_principal_components() -> None:
    model, data = fitted(150)
    untrained = module(active_units=None)
    untrained.fit_statistics(data)
    # random rows beside the axes of 16 pictures: full-rank PCA is the projection on the axes alone
    untrained.net.linear_encoder.weight.data[15:] = 0
    untrained.net.linear_decoder.weight.data[:, 15:] = 0
    with torch.no_grad():
        own, pca = (float(each.losses(data.splits["test"])["loss"]) for each in (model, untrained))
    assert own < 0.8 * pca


def test_pictures_of_another_size_are_named() -> None:
    with pytest.raises(InputError, match="side is 12 but the pictures have 10"):
        module().fit_statistics(training_split({"image": torch.rand(4, 1, 10, 10)}))


def test_example_images() -> None:
    [(_, grid)] = module().example_images({"image": blobs(3, 0)}).items()
    assert grid.shape == (1, 3 * 13 - 1, 3 * 13 - 1) and 0 <= float(grid.min()) and float(grid.max()) <= 1
